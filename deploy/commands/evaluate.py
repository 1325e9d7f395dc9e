"""`finsentry evaluate`: how good a bundle is on sets that did not train it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
from deploy.commands.output import print_json, progress_bar
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from model.data.splits import Splits
    from model.evaluation.checklist import Result
    from model.evaluation.evaluate import Answers, Report
    from model.settings import ModelSettings


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder the recipe's paths start from.")
@click.option("--recipe", type=click.Path(path_type=Path), help="Whose held-out sets; default: the default bundle's.")
@click.option("--against", type=click.Path(path_type=Path), help="Another bundle: is the difference real?")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--language", type=click.Choice(["en", "zh"]), help="Of the checks' texts; default: the bundle's.")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for pictures: each set's confusion and calibration.",
)
@with_settings
def evaluate(
    settings: Settings,
    bundle: Path | None,
    data: Path,
    recipe: Path | None,
    against: Path | None,
    as_json: bool,
    plots: Path | None,
    language: str | None,
) -> None:
    """Measure BUNDLE on the held-out sets of a recipe; without BUNDLE, the one of the settings.

    For each set and head: accuracy, macro-F1, AUROC, calibration, each class, the confusion, and for sentiment the
    confusion within each topic; where the calibration error is above 0.03, how often each confidence is right. A set
    that knows only some classes is measured among those. Then checks of what it understands: other companies and
    numbers, beats and misses, negation, hedges, fears that ease.

    With --against a line a set and metric says better or worse where the difference is real, by a paired bootstrap:
    more than the choice of these texts explains, corrected for the number of lines (Holm), so that of two equally good
    bundles at most 5 comparisons in 100 say so anywhere. The interval beside it is of its line alone. What the seed of
    a training does is not in it: the same recipe trained again may differ by as much.

    \b
    Example:
      finsentry evaluate --data labelled --plots confusions
      finsentry evaluate data/bundles/ab --against default --data labelled
      finsentry evaluate data/bundles/zh --data labelled --recipe model/configs/zh.toml
    """
    import msgspec

    from deploy.scorecard import checks, comparison, miscalibrated, scorecard
    from model.bundle import Bundle
    from model.data.recipe import CONFIGS, read_recipe
    from model.data.splits import load_evaluation
    from model.evaluation.comparison import tally
    from model.evaluation.evaluate import against as compare
    from model.evaluation.evaluate import doubts, report

    log_as_command()
    for one in (bundle, against):
        if one is not None:
            Bundle.load(one)  # what is wrong with it is said before the work begins
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
    sets = read_recipe(recipe or CONFIGS / "default.toml")
    splits = load_evaluation(sets, data)
    ours = _Measured(settings.model.model_copy(update={"bundle": bundle} if bundle else {}), splits, language)
    reports = report(ours.answers)
    theirs, differences = None, {}
    if against is not None:
        theirs = _Measured(settings.model.model_copy(update={"bundle": against}), splits, ours.language)
        differences = compare(ours.answers, theirs.answers)
    notes = [note for one in (ours, theirs) if one for note in doubts(one.manifest, splits, sets)]
    if plots is not None:
        _draw(plots, reports)
    if as_json:
        result = {"bundle": ours.manifest.version, "notes": notes, "sets": reports, "checks": _rated(ours.checks)}
        if theirs is not None:
            verdicts = {
                name: {
                    metric: {**msgspec.to_builtins(difference), "verdict": difference.verdict}
                    for metric, difference in by_metric.items()
                }
                for name, by_metric in differences.items()
            }
            result["against"] = {
                "bundle": theirs.manifest.version,
                "differences": verdicts,
                "tally": tally(differences)._asdict(),
                "checks": _rated(theirs.checks),
            }
        print_json(result)
        return
    click.echo(f"{ours.manifest.version}\n")
    for line in scorecard(reports):
        click.echo(line)
    for line in miscalibrated(reports):
        click.echo(line)
    for line in checks(ours.checks, theirs.checks if theirs else ()) if ours.checks else ():
        click.echo(line)
    if theirs is not None:
        for line in comparison(ours.manifest.version, theirs.manifest.version, differences):
            click.echo(line)
        click.echo(f"  {tally(differences)}")
    for note in notes:
        click.echo(f"note: {note}", err=True)


class _Measured:
    """What one bundle says of all held-out texts, with a progress bar while it does."""

    def __init__(self, settings: "ModelSettings", splits: "Splits", language: str | None) -> None:
        from model.classifier import Classifier
        from model.evaluation.checklist import run_checks
        from model.evaluation.checklists import CHECKLISTS
        from model.evaluation.evaluate import answer

        texts = sum(map(len, splits.evaluation.values()))
        with (
            Classifier.load(settings) as classifier,
            progress_bar(length=texts, label=classifier.version) as bar,
        ):
            self.answers: Mapping[str, Answers] = answer(classifier, splits.evaluation, done=bar.update)
            self.manifest = classifier.bundle.manifest
            self.language = language or self.manifest.language
            self.checks: list[Result] = run_checks(CHECKLISTS.get(self.language, ()), classifier.classify)


def _rated(results: "Sequence[Result]") -> list[dict[str, object]]:
    import msgspec

    return [{**msgspec.to_builtins(result), "rate": round(result.rate, 4)} for result in results]


def _draw(folder: Path, reports: "Mapping[str, Report]") -> None:
    from model.evaluation.confusion_plot import draw_confusion
    from model.evaluation.reliability_plot import draw_reliability

    for name, report in reports.items():
        scores = report.scores
        title = f"{name}\n{scores.texts:,} texts, accuracy {scores.accuracy:.3f}, macro-F1 {scores.macro_f1:.3f}"
        file = name.replace("/", "-")
        draw_confusion(report.confusion, list(report.classes), title, folder / f"{file}.png")
        title = f"{name}\n{scores.texts:,} texts, calibration error {scores.calibration_error:.3f}"
        draw_reliability(report.reliability, title, folder / f"{file}-reliability.png")
