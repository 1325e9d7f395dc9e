"""`finsentry train`: a recipe and its data to a run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.output import print_json, progress_bar
from deploy.logs import log_as_command, log_as_role
from deploy.training import training_libraries

if TYPE_CHECKING:
    from model.training.loop import Progress


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder the recipe's paths start from.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--encoder", type=click.Path(path_type=Path), help="Folder of the encoder, in place of the recipe's.")
@click.option(
    "--teacher",
    "teachers",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="RUN",
    help="A run of these sources to learn from; several times.",
)
@click.option("--resume", is_flag=True, help="Go on after the last epoch that --out holds, if it holds one.")
@click.option("--epochs", type=click.IntRange(min=1), help="In place of the recipe's.")
@click.option("--seed", type=click.IntRange(min=0), help="In place of the recipe's.")
@click.option("--json", "as_json", is_flag=True, help="Print what was trained as one JSON object.")
def train(
    config: Path,
    data: Path,
    out: Path,
    encoder: Path | None,
    teachers: tuple[Path, ...],
    resume: bool,
    epochs: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Train the classifier as the recipe CONFIG says.

    Every epoch leaves a run that can be exported and a checkpoint: after an interruption, --resume ends with the very
    weights that an undisturbed training would have had. With --teacher it learns from those runs' answers beside the
    labels; it begins at the mean of those that have its encoder, with the recipe's epochs and rate for a distillation.

    \b
    Example:
      finsentry train model/configs/minilm.toml --data labelled --out data/runs/a
      finsentry train model/configs/minilm.toml --seed 2 --data labelled --out data/runs/b
      finsentry train model/configs/teacher.toml --data labelled --out data/runs/large
      finsentry train model/configs/default.toml --teacher data/runs/large --data labelled --out data/runs/c
      finsentry train model/configs/zh.toml --encoder encoders/e5-small-en-zh --data labelled --out data/runs/zh
    """
    import msgspec

    from model.data.leaks import LeakError, write_rows
    from model.data.recipe import read_recipe
    from model.data.splits import load_splits

    with training_libraries():
        from model.training.train import log_progress
        from model.training.train import train as run_training

    on_terminal = sys.stderr.isatty()
    log_as_command() if on_terminal else log_as_role()
    recipe = read_recipe(config).changed(encoder=encoder, epochs=epochs, seed=seed)
    try:
        splits = load_splits(recipe, data)
    except LeakError as error:
        if not error.rows:
            raise
        listed = out.with_name(f"{out.name}.leaks.csv")
        listed.parent.mkdir(parents=True, exist_ok=True)
        write_rows(listed, error.rows)
        raise LeakError(f"{error.message}; {listed} lists every row", fix=error.fix) from error
    try:
        with _Bar() as bar:
            done = run_training(
                recipe, splits, out, teachers=teachers, resume=resume, watch=bar if on_terminal else log_progress
            )
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; the same command with --resume goes on after {out}'s last epoch", err=True)
        raise
    if as_json:
        print_json({"run": str(out), **msgspec.to_builtins(done)})
    else:
        losses = ", ".join(f"{loss:.4f}" for loss in done.losses)
        click.echo(f"{out}: {done.trained_on:,} texts an epoch, {done.seconds:,.0f} s, loss by epoch: {losses}")


class _Bar:
    """A progress bar of steps that says epoch, loss and, by its own reckoning, the time left."""

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._bar = progress_bar(length=1, label="training", show_pos=True, item_show_func=self._said)

    def __enter__(self) -> "_Bar":
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.render_finish()

    def __call__(self, progress: "Progress") -> None:
        if self._last is None:  # a resumed training begins far from 0, and so the bar's own reckoning would be off
            self._bar.length = progress.steps - progress.step + 1
        self._last = progress
        self._bar.update(1, progress)

    def _said(self, progress: "Progress | None") -> str:
        return f"epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.4f}" if progress else ""
