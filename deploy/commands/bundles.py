"""`finsentry bundles`: which bundles there are, what is in them, whether they are whole, how two differ."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import with_settings
from deploy.commands.output import print_json
from deploy.logs import log_as_command
from deploy.settings import Settings

if TYPE_CHECKING:
    from model.bundle import Manifest
    from model.evaluation.catalogue import Comparison, Entry
    from model.nested import Change

FOLDER = "bundles"
"""Under the data folder."""


@click.group()
def bundles() -> None:
    """List, show, verify and compare bundles, and print their model cards.

    A bundle is a folder with bundle.json, model.onnx and tokenizer.json; a shipped one goes by its name too, such as
    `default`. Without folders as arguments: those under the data folder's bundles/, the one of the settings, and the
    shipped ones.

    \b
    Example:
      finsentry bundles list
      finsentry bundles diff model/bundles/default data/bundles/ab
    """
    log_as_command()


@bundles.command("list")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@with_settings
def list_bundles(settings: Settings, folders: tuple[Path, ...], as_json: bool) -> None:
    """List versions with their macro-F1 on each head's largest held-out set.

    \b
    Example:
      finsentry bundles list data/bundles
    """
    from model.evaluation.catalogue import find_bundles, main_scores, read_entry

    entries = [read_entry(folder) for folder in find_bundles(_places(settings, folders))]
    if as_json:
        print_json([_as_json(entry) for entry in entries])
        return
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        if entry.manifest is None:
            click.echo(f"{entry.name:<{width}}  {entry.folder}  BROKEN: {entry.problem.splitlines()[0]}")
            continue
        megabytes = sum(file.size for file in entry.manifest.files.values()) / 1e6
        scores = "  ".join(f"{name} {found.macro_f1:.3f}" for name, found in main_scores(entry.manifest).items())
        made = str(entry.manifest.made.get("at", ""))[:16].replace("T", " ")
        click.echo(f"{entry.name:<{width}}  {entry.folder}  {made}  {megabytes:.0f} MB  {scores}")


@bundles.command()
@click.argument("bundle", default="")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and the spread as JSON.")
@with_settings
def show(settings: Settings, bundle: str, as_json: bool) -> None:
    """Show what BUNDLE (a folder or version; else the one of the settings) is, how good, and made of what.

    How good it is without near-duplicates of what trained stands there too, as do the spread of the scores of several
    trainings, where it is their mean, and its checklist.

    \b
    Example:
      finsentry bundles show data/bundles/ab
    """
    manifest = _manifest(settings, bundle or str(_configured(settings)))
    if as_json:
        print_json(_with_spread(manifest))
        return
    for line in _described(manifest):
        click.echo(line)


@bundles.command()
@click.argument("bundle", default="")
@with_settings
def card(settings: Settings, bundle: str) -> None:
    """Print the model card of BUNDLE (as for show) in Markdown: uses, scores, spread, checks, data, where it fails.

    \b
    Example:
      finsentry bundles card data/bundles/ab >MODEL_CARD.md
    """
    from model.evaluation.card import model_card

    click.echo(model_card(_manifest(settings, bundle or str(_configured(settings)))), nl=False)


@bundles.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@with_settings
def verify(settings: Settings, folders: tuple[Path, ...], as_json: bool) -> int:
    """Check every file of bundles against its hash; exit code 1 where one is damaged.

    \b
    Example:
      finsentry bundles verify data/bundles
    """
    from model.evaluation.catalogue import find_bundles
    from model.evaluation.catalogue import verify as verify_one

    entries = [verify_one(folder) for folder in find_bundles(_places(settings, folders))]
    if as_json:
        print_json([_as_json(entry) for entry in entries])
    else:
        for entry in entries:
            click.echo(f"{'BROKEN' if entry.problem else 'ok':<8}{entry.folder}  {entry.problem or entry.name}")
    return 1 if any(entry.problem for entry in entries) else 0


@bundles.command()
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_settings
def diff(settings: Settings, old: str, new: str, as_json: bool) -> None:
    """Show how bundle NEW differs from OLD: metrics, recipe, data, the rest. Both are folders or versions.

    Whether a difference in metrics is real says `finsentry evaluate NEW --against OLD`.

    \b
    Example:
      finsentry bundles diff model/bundles/default data/bundles/ab
    """
    from model.evaluation.catalogue import compare_manifests

    before, after = _manifest(settings, old), _manifest(settings, new)
    found = compare_manifests(before, after)
    if as_json:
        changes = {part: [change._asdict() for change in getattr(found, part)] for part in ("recipe", "data", "other")}
        metrics = [{"name": one.name, "old": one.old, "new": one.new, "change": one.change} for one in found.metrics]
        print_json({"old": before.version, "new": after.version, "metrics": metrics, **changes})
        return
    click.echo(f"{before.version} -> {after.version}")
    for line in _compared(found):
        click.echo(line)


def _configured(settings: Settings) -> Path:
    from model.bundle import DEFAULT_BUNDLE, located

    return located(settings.model.bundle) if settings.model.bundle else DEFAULT_BUNDLE


def _places(settings: Settings, folders: Sequence[Path] = ()) -> list[Path]:
    """The folders asked for, else those where bundles usually are."""
    from deploy.errors import InputError
    from model.bundle import SHIPPED, located

    if folders:
        places = [located(folder) for folder in folders]
        if missing := next((place for place in places if not place.is_dir()), None):
            raise InputError(f"{missing}: no such folder", fix="Give folders of bundles, or names of shipped ones.")
        return places
    own = settings.data_folder / FOLDER
    return [*([own] if any(own.glob("*/bundle.json")) else []), _configured(settings), SHIPPED]


def _manifest(settings: Settings, name: str) -> "Manifest":
    from deploy.errors import InputError
    from model.bundle import MANIFEST_FILE, located, read_manifest
    from model.evaluation.catalogue import find_bundles, pick, read_entry

    folder = located(Path(name))
    if folder.is_dir():
        return read_manifest(folder / MANIFEST_FILE)
    entry = pick(name, [read_entry(folder) for folder in find_bundles(_places(settings))])
    if entry.manifest is None:
        raise InputError(entry.problem)
    return entry.manifest


def _described(manifest: "Manifest") -> Iterable[str]:
    from model.nested import flat

    made = dict(manifest.made)
    recipe, original = made.pop("recipe", {}), made.pop("float32", {})
    yield manifest.version
    yield f"  precision       {manifest.precision}"
    yield f"  language        {manifest.language}"
    yield f"  labels          {len(manifest.topics)} topics, {len(manifest.sentiments)} sentiments"
    yield f"  maximum length  {manifest.maximum_length} tokens"
    yield f"  temperatures    topic {manifest.temperatures.topic}, sentiment {manifest.temperatures.sentiment}"
    for head, one in manifest.heads.items():
        yield f"  {head:<15} a model of its own, {one.precision}, {one.maximum_length} tokens"
    for name, file in manifest.files.items():
        yield f"  {name:<15} {file.size:,} bytes, SHA-256 {file.sha256}"
    yield "held-out sets"
    width = max(map(len, manifest.metrics), default=0)
    for name, scores in manifest.metrics.items():
        before = f"   macro-F1 in float32 {original[name]['macro_f1']:.3f}" if name in original else ""
        yield (
            f"  {name:<{width}}  {scores.texts:>6,} texts   accuracy {scores.accuracy:.3f}"
            f"   macro-F1 {scores.macro_f1:.3f}   calibration error {scores.calibration_error:.3f}{before}"
        )
    yield from _understood(manifest)
    yield "data"
    width = max(map(len, manifest.data), default=0)
    for name, data in manifest.data.items():
        yield f"  {name:<{width}}  {data.rows:>7,} rows   SHA-256 {data.sha256[:16]}"
    yield "made"
    for key, value in flat(made).items():
        yield f"  {key}: {value}"
    yield "recipe"
    for key, value in flat(recipe).items():
        if value is not None and ".labels." not in key:
            yield f"  {key}: {value}"


def _understood(manifest: "Manifest") -> Iterable[str]:
    """What hangs on near-duplicates and the seed, what int8 or fp16 costs, and the checklist, as far as known."""
    from model.evaluation.spread import spreads

    if far := manifest.without_near_duplicates:
        yield "without held-out texts that have a near-duplicate in what trained"
        width = max(map(len, far))
        for name, scores in far.items():
            yield (
                f"  {name:<{width}}  {scores.texts:>6,} texts   accuracy {scores.accuracy:.3f}"
                f"   macro-F1 {scores.macro_f1:.3f}"
            )
    if found := spreads(manifest):
        yield f"mean and standard deviation of {len(manifest.trainings)} trainings"
        width = max(map(len, found))
        for name, spread in found.items():
            yield (
                f"  {name:<{width}}  accuracy {spread.accuracy}   macro-F1 {spread.macro_f1}"
                f"   calibration error {spread.calibration_error}"
            )
    if manifest.lost:
        yield "more than half a point of macro-F1 lost against float32, with 95 % interval"
        width = max(map(len, manifest.lost))
        for name, loss in manifest.lost.items():
            yield f"  {name:<{width}}  {100 * loss.value:.1f} ({100 * loss.low:.1f} to {100 * loss.high:.1f})"
    if manifest.checklist:
        yield "checklist"
        width = max(map(len, manifest.checklist))
        for name, check in manifest.checklist.items():
            share = check.passed / check.cases
            yield f"  {name:<{width}}  {check.passed:>3} of {check.cases:>3}  {share:>4.0%}"


def _with_spread(manifest: "Manifest") -> dict[str, object]:
    import msgspec

    from model.evaluation.spread import spreads

    by_metric = {
        name: {metric: spread._asdict() for metric, spread in found._asdict().items()}
        for name, found in spreads(manifest).items()
    }
    return {**msgspec.to_builtins(manifest), "spread": by_metric}


def _compared(found: "Comparison") -> Iterable[str]:
    yield "metrics"
    width = max((len(delta.name) for delta in found.metrics), default=0)
    for delta in found.metrics:
        old, new = ("     -" if value is None else f"{value:.4f}" for value in (delta.old, delta.new))
        change = "" if delta.change is None else f"  {delta.change:+.4f}"
        yield f"  {delta.name:<{width}}  {old} -> {new}{change}"
    parts: dict[str, Sequence[Change]] = {"recipe": found.recipe, "data": found.data, "other": found.other}
    for name, some in parts.items():
        yield f"{name}{'' if some else ': the same'}"
        yield from (f"  {change}" for change in some)


def _as_json(entry: "Entry") -> dict[str, object]:
    return {
        "folder": str(entry.folder),
        "version": entry.manifest.version if entry.manifest else None,
        "problem": entry.problem,
        "metrics": entry.manifest.metrics if entry.manifest else {},
    }
