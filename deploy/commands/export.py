"""`finsentry export`: a run to a bundle that serves."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from deploy.logs import log_as_command
from deploy.training import training_libraries

if TYPE_CHECKING:
    from model.bundle import Manifest


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="What the run was trained on.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--allow-loss", is_flag=True, help="Export though int8 loses more than 0.5 points of macro-F1.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def export(
    runs: tuple[Path, ...],
    data: Path,
    out: Path,
    precision: Literal["int8", "fp32"],
    allow_loss: bool,
    as_json: bool,
) -> None:
    """Make a bundle of the training run RUN: ONNX, quantised, calibrated, measured, signed.

    The weights of several runs (other seeds, other numbers, the same data and encoder) are averaged, which does better
    than each of them.

    Fails where the ONNX model computes something else than the network, and where int8 loses more than 0.5 points of
    macro-F1 against float32 on a held-out set (on one of fewer than 1,000 texts: and the loss is no chance).

    \b
    Example:
      finsentry export data/runs/a data/runs/b --data ../shared/data --out data/bundles/ab
    """
    import msgspec

    from model.data import load_splits

    with training_libraries():
        from model.release import release, texts_to_measure
        from model.soup import average
        from model.train import read_run, recipe_of

    log_as_command()
    for run in runs:
        losses, epochs = read_run(run).losses, recipe_of(run).training.epochs
        if 0 < len(losses) < epochs:
            click.echo(f"note: {run} was interrupted after {len(losses)} of {epochs} epochs", err=True)
    splits = load_splits(recipe_of(runs[0]), data)
    texts = texts_to_measure(splits, precision)
    with (
        tempfile.TemporaryDirectory(prefix="finsentry-") as scratch,
        click.progressbar(length=texts, label="measuring", hidden=not sys.stderr.isatty(), file=sys.stderr) as bar,
    ):
        run = runs[0]
        if len(runs) > 1:
            run = Path(scratch)
            average(runs, run)
        bundle = release(run, splits, out, precision, allow_loss=allow_loss, done=bar.update)
    if as_json:
        click.echo(msgspec.json.encode(bundle.manifest))
        return
    click.echo(f"{out}: {bundle.manifest.version}")
    _show(bundle.manifest)


def _show(manifest: "Manifest") -> None:
    original = manifest.made.get("float32", {})
    width = max(map(len, manifest.metrics), default=0)
    for name, scores in manifest.metrics.items():
        before = f"   fp32 {original[name]['macro_f1']:.4f}" if name in original else ""
        click.echo(
            f"  {name:<{width}}  accuracy {scores.accuracy:.4f}   macro-F1 {scores.macro_f1:.4f}{before}"
            f"   calibration error {scores.calibration_error:.4f}"
        )
