"""`finsentry train`: a recipe and its data to a run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.commands.output import print_json, progress_bar
from deploy.logs import log_as_command, log_as_role
from deploy.stopping import stop_on_signals
from deploy.training import training_libraries

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

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
    help="A run to learn from, of these sources or of all that hold something out; several times.",
)
@click.option("--resume", is_flag=True, help="Go on where the training in --out stopped, if there is one.")
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

    Every epoch leaves a run that can be exported. A checkpoint is left by each, by every five minutes and by Ctrl-C:
    --resume goes on there, and ends with the very weights that an undisturbed training would have had. With --teacher
    it learns from those runs' answers beside the labels; it begins at the mean of those that have its encoder (of those
    with as many layers, if any), with the recipe's epochs and rate for a distillation.

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
        from model.training.train import log_asked, log_progress
        from model.training.train import train as run_training

    on_terminal = sys.stderr.isatty()
    log_as_command() if on_terminal else log_as_role()
    recipe = read_recipe(config).changed(encoder=encoder, epochs=epochs, seed=seed)
    recipe.require_encoder(config)  # said before the data is read, which may take minutes
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
        with _Bars() as bars:
            done = run_training(
                recipe,
                splits,
                out,
                teachers=teachers,
                resume=resume,
                watch=bars.train if on_terminal else log_progress,
                watch_teachers=bars.ask if on_terminal else log_asked,
                listen=stop_on_signals,
            )
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; {_kept(out)}", err=True)
        raise
    if as_json:
        print_json({"run": str(out), **msgspec.to_builtins(done)})
    else:
        losses = ", ".join(f"{loss:.4f}" for loss in done.losses)
        click.echo(f"{out}: {done.trained_on:,} texts an epoch, {done.seconds:,.0f} s, loss by epoch: {losses}")


def _kept(out: Path) -> str:
    """What an interrupted training has left, and how to go on with it."""
    from model.training.train import steps_kept

    kept = steps_kept(out)
    if kept is None:
        return "nothing is saved yet: the same command begins anew"
    step, steps = kept
    if step == steps:
        return f"all {steps} steps were done, and {out} is whole"
    of = f" of {steps}" if steps else ""
    return f"the same command with --resume goes on at step {step + 1}{of}"


class _Bars:
    """A progress bar for each teacher that is asked, then one of steps, each shown once there is something to show."""

    def __init__(self) -> None:
        self._bar: ProgressBar[Any] | None = None
        self._training = False

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def ask(self, run: Path, batch: int, batches: int) -> None:
        """A batch that a teacher has answered."""
        if batch == 1:
            self._open(batches, f"asking teacher {run.name}")
        self._update()

    def train(self, progress: "Progress") -> None:
        """A step; its bar says epoch, loss and, by its own reckoning, the time left."""
        if not self._training:  # a resumed one begins far from 0, and steps of before would put the reckoning off
            self._training = True
            self._open(progress.steps - progress.step + 1, "training", show_pos=True, item_show_func=_said)
        self._update(progress)

    def _open(self, length: int, label: str, **options: Any) -> None:
        self.__exit__()
        self._bar = progress_bar(length=length, label=label, **options)

    def _update(self, progress: "Progress | None" = None) -> None:
        assert self._bar is not None
        self._bar.update(1, progress)


def _said(progress: "Progress | None") -> str:
    return f"epoch {progress.epoch}/{progress.epochs}, loss {progress.loss:.4f}" if progress else ""
