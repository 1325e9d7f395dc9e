"""`finsentry export`: a run to a bundle that serves."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from deploy.logs import log_as_command
from deploy.training import training_libraries

if TYPE_CHECKING:
    from model.bundle import Manifest


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="What the run was trained on.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--allow-loss", is_flag=True, help="Export though int8 loses more than 0.5 points of macro-F1.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
def export(
    run: Path, data: Path, out: Path, precision: Literal["int8", "fp32"], allow_loss: bool, as_json: bool
) -> None:
    """Make a bundle of the training run RUN: ONNX, quantised, calibrated, measured, signed.

    Fails where the ONNX model computes something else than the network, and where int8 loses more than 0.5 points of
    macro-F1 against float32 on a held-out set (on one of fewer than 1,000 texts: and the loss is no chance).

    \b
    Example:
      finsentry export data/runs/a --data ../shared/data --out data/bundles/a
    """
    import msgspec

    from model.data import load_splits

    with training_libraries():
        from model.release import release, texts_to_measure
        from model.train import read_run, recipe_of

    log_as_command()
    trained = read_run(run)
    recipe = recipe_of(run)
    if 0 < len(trained.losses) < recipe.training.epochs:
        click.echo(
            f"note: {run} was interrupted after {len(trained.losses)} of {recipe.training.epochs} epochs", err=True
        )
    splits = load_splits(recipe, data)
    texts = texts_to_measure(splits, precision)
    with click.progressbar(length=texts, label="measuring", hidden=not sys.stderr.isatty(), file=sys.stderr) as bar:
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
