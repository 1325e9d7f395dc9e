"""`finsentry export`: a run, or a published model beside a bundle, to a bundle that serves."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from deploy.commands.output import print_json, progress_bar
from deploy.logs import log_as_command
from deploy.training import training_libraries

if TYPE_CHECKING:
    from model.bundle import Bundle, Manifest, Precision
    from model.data.splits import Splits
    from model.export.compose import Origin


class Pairs(click.ParamType):
    """`a=b,c=d`."""

    name = "theirs=ours,..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        parts = [part.partition("=") for part in str(value).split(",")]
        if not all(theirs.strip() and equals and ours.strip() for theirs, equals, ours in parts):
            self.fail(f"{value!r} is not of the form THEIRS=OURS,THEIRS=OURS", param, ctx)
        return {theirs.strip(): ours.strip() for theirs, _, ours in parts}


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="What the run was trained on, or what to measure on.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the bundle.")
@click.option("--precision", type=click.Choice(["int8", "fp32", "fp16"]), help="Default: int8 where there is --data.")
@click.option("--allow-loss", is_flag=True,
              help="Export though it loses more than 0.5 points of macro-F1 or, of a run, nothing tells.")  # fmt: skip
@click.option("--hub", help="In place of a run: a classifier with one head, by its name on the hub or its folder.")
@click.option("--revision", help="Of the hub's model: a branch, tag or commit.")
@click.option("--head", type=click.Choice(["sentiment", "topic"]), default="sentiment", show_default=True,
              help="What the hub's model says.")  # fmt: skip
@click.option("--labels", type=Pairs(), default={}, help="Its classes to ours; not needed where they are the same.")
@click.option("--beside", type=click.Path(path_type=Path), help="Bundle of the other head; the default one if absent.")
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="With --hub: whose sets; the default bundle's if absent."
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def export(
    runs: tuple[Path, ...],
    data: Path | None,
    out: Path,
    precision: "Precision | None",
    allow_loss: bool,
    hub: str | None,
    revision: str | None,
    head: Literal["sentiment", "topic"],
    labels: dict[str, str],
    beside: Path | None,
    recipe: Path | None,
    as_json: bool,
) -> None:
    """Make a bundle of the training run RUN: ONNX, quantised, calibrated, measured, with a SHA-256 of every file.

    The weights of several runs (of one recipe and data, each with a seed of its own) are averaged. That may do better
    than each of them or worse, above all at a high rate without teachers: the bundle says how each does by itself.

    Fails where the ONNX model computes something else than the network, and where int8 (for CPUs) or fp16 (for GPUs)
    loses more than 0.5 points of macro-F1 against float32 on a held-out set (on one of fewer than 1,000 texts: and the
    loss is no chance). Where nothing is held out that has a topic, or a sentiment, int8 and fp16 are refused: then
    take --precision fp32, or --allow-loss.

    With --hub it is a bundle of two models: a published classifier with one head, such as FinBERT, for sentiments, and
    a bundle of ours for topics. With --data it is calibrated and measured on the held-out sets of a recipe;
    without, its probabilities are its own, it stays float32, and nothing says how good it is.

    \b
    Example:
      finsentry export data/runs/a data/runs/b --data labelled --out data/bundles/ab
      finsentry export data/runs/zh --data labelled --out data/bundles/zh
      finsentry export --hub ProsusAI/finbert --data labelled --out data/bundles/finbert
      finsentry export --hub owner/model --labels LABEL_0=negative,LABEL_1=neutral,LABEL_2=positive --out data/bundles/c
    """
    if bool(runs) == bool(hub):
        raise click.UsageError("give either runs or --hub")
    if runs and (given := _given("revision", "head", "labels", "beside", "recipe")):
        raise click.UsageError(f"--{given} goes with --hub: a run has its own recipe and both heads")
    log_as_command()
    if hub:
        bundle = _compose(
            _origin(hub, revision), head, labels, beside, _splits(recipe, data), out, precision, allow_loss
        )
    elif data is None:
        raise click.UsageError("give --data: what the run was trained on")
    else:
        bundle = _release(runs, data, out, precision or "int8", allow_loss)
    if as_json:
        print_json(bundle.manifest)
        return
    click.echo(f"{out}: {bundle.manifest.version}")
    _show(bundle.manifest)


def _given(*names: str) -> str | None:
    """The first of these options that stands on the command line."""
    context = click.get_current_context()
    given = (name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE)
    return next(given, None)


def _release(runs: tuple[Path, ...], data: Path, out: Path, precision: "Precision", allow_loss: bool) -> "Bundle":
    from model.data.splits import load_splits

    with training_libraries():
        from model.export.release import release, texts_to_measure
        from model.training.run import read_run, recipe_of

    for run in runs:
        losses, epochs = read_run(run).losses, recipe_of(run).training.epochs
        if 0 < len(losses) < epochs:
            click.echo(f"note: {run} was interrupted after {len(losses)} of {epochs} epochs", err=True)
    splits = load_splits(recipe_of(runs[0]), data)
    texts = texts_to_measure(splits, precision, len(runs))
    with progress_bar(length=texts, label="measuring") as bar:
        return release(runs, splits, out, precision, allow_loss=allow_loss, done=bar.update)


def _origin(hub: str, revision: str | None) -> "Origin":
    from model.data.hub import commit_of, fetch

    with training_libraries():
        from model.export.compose import Origin

    if Path(hub).is_dir():
        if revision is not None:
            raise click.UsageError(f"--revision is of a model on the hub, and {hub} is a folder")
        return Origin(Path(hub), Path(hub).resolve().name)
    folder = fetch(hub, revision, key="--hub")
    return Origin(folder, hub, commit_of(folder))


def _splits(recipe: Path | None, data: Path | None) -> "Splits | None":
    from model.data.recipe import CONFIGS, read_recipe
    from model.data.splits import load_splits

    return load_splits(read_recipe(recipe or CONFIGS / "default.toml"), data) if data else None


def _compose(
    origin: "Origin",
    head: Literal["sentiment", "topic"],
    labels: dict[str, str],
    beside: Path | None,
    splits: "Splits | None",
    out: Path,
    precision: "Precision | None",
    allow_loss: bool,
) -> "Bundle":
    from model.bundle import DEFAULT_BUNDLE, Bundle
    from model.export.compose import compose, texts_to_measure
    from model.export.hub_head import HubHead

    model, base = HubHead(origin.folder, head, labels), Bundle.load(beside or DEFAULT_BUNDLE)
    if precision == "fp16":
        raise click.UsageError("fp16 is for runs: give --precision int8 or fp32 with --hub")
    chosen: Precision = precision or ("int8" if splits else "fp32")
    texts = texts_to_measure(splits, chosen)
    with progress_bar(length=texts, label="measuring") as bar:
        return compose(base, model, origin, out, chosen, splits, allow_loss=allow_loss, done=bar.update)


def _show(manifest: "Manifest") -> None:
    original = manifest.made.get("float32", {})
    width = max(map(len, manifest.metrics), default=0)
    for name, scores in manifest.metrics.items():
        before = f"   fp32 {original[name]['macro_f1']:.4f}" if name in original else ""
        click.echo(
            f"  {name:<{width}}  accuracy {scores.accuracy:.4f}   macro-F1 {scores.macro_f1:.4f}{before}"
            f"   calibration error {scores.calibration_error:.4f}"
        )
