"""Training: a recipe and its data in, a run folder out (weights, tokenizer, recipe, what was seen)."""

import logging
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch
from tokenizers import Tokenizer

from model.bundle import TOKENIZER_FILE, DataFingerprint
from model.checkpoint import CHECKPOINT_FILE, State, read_checkpoint, write_checkpoint
from model.data import Example, Splits, require_no_leaks
from model.errors import InputError
from model.loop import IGNORED, RECENT, Chart, Loop, Progress, Row
from model.nested import changes
from model.network import TwoHeads
from model.recipe import Head, Recipe, Training, parse_recipe

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
TENSORBOARD_FOLDER = "tensorboard"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what the export needs to know of a training run, and what the bundle will say of it."""

    recipe: dict[str, object]
    data: dict[str, DataFingerprint]
    trained_on: int
    """Texts of an epoch, the repeats of small sets included."""
    seconds: float
    torch: str
    averaged: list[dict[str, object]] = []
    """The recipes of the trainings whose weights were averaged, where there were several; `recipe` is the first."""
    losses: list[float] = []
    """Mean loss of each epoch that is done; fewer than the recipe's epochs where the training was interrupted."""


def log_progress(progress: Progress) -> None:
    """A log line every 100 steps."""
    if progress.step % RECENT == 0:
        logger.info(
            "training epoch=%d step=%d of=%d loss=%.4f seconds_left=%.0f",
            progress.epoch,
            progress.step,
            progress.steps,
            progress.loss,
            progress.seconds_left,
        )


def train(
    recipe: Recipe,
    splits: Splits,
    run: Path,
    *,
    resume: bool = False,
    watch: Callable[[Progress], object] = log_progress,
    clock: Callable[[], float] = time.monotonic,
) -> Run:
    """Trains as the recipe says and writes `run` after each epoch, so that a long training can be looked at.

    With `resume` it goes on after the last epoch that `run` holds, to the very weights that it would have had without
    an interruption. Raises `InputError` where `run` holds a training already, or another one than is resumed.
    """
    require_no_leaks(splits)
    started = clock()
    said = recipe.model_dump(mode="json")
    asked = {"recipe": said, "data": msgspec.to_builtins(splits.fingerprints)}
    state = _state_to_resume(run, asked) if resume else None
    if state is None and ((run / RUN_FILE).exists() or (run / CHECKPOINT_FILE).exists()):
        raise InputError(
            f"{run}: holds a training already", fix="Go on with it by --resume, or train into another folder."
        )
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)  # noqa: S311 an order of batches is no secret
    folder = recipe.encoder.locate()
    run.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / TOKENIZER_FILE, run / TOKENIZER_FILE)
    weights = {source.name: source.weight for source in recipe.sources}
    rows = tokenise(splits.train, open_tokenizer(run, recipe.training.maximum_length), weights)
    loop = Loop(TwoHeads.pretrained(folder), rows, recipe.training, rng, clock)
    before = 0.0
    if state is not None:
        loop.restore(state["loop"])
        before = state["seconds"]
        logger.info("resumed epochs_done=%d of=%d", len(loop.losses), recipe.training.epochs)
    with _tensorboard(recipe.training, run, loop.step) as chart:
        while len(loop.losses) < recipe.training.epochs:
            loop.run_epoch(watch, chart)
            loop.network.save(run)
            done = Run(
                recipe=said,
                data=splits.fingerprints,
                trained_on=len(rows),
                seconds=round(before + clock() - started, 1),
                torch=str(torch.__version__),
                losses=[round(loss, 6) for loss in loop.losses],
            )
            (run / RUN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
            write_checkpoint(run, {"asked": asked, "seconds": done.seconds, "loop": loop.state()})
    return read_run(run)


def read_run(run: Path) -> Run:
    """What `train` wrote of itself in `run`. Raises `InputError` where there is no run."""
    try:
        return msgspec.json.decode((run / RUN_FILE).read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(
            f"{run / RUN_FILE}: no training run: {error}", fix="Give a folder that `finsentry train` wrote."
        ) from error


def recipe_of(run: Path) -> Recipe:
    """What `run` was trained by. Raises `InputError` where there is no run, or its recipe is of another version."""
    return parse_recipe(read_run(run).recipe, run / RUN_FILE)


def _state_to_resume(run: Path, asked: Mapping[str, object]) -> State | None:
    state = read_checkpoint(run)
    if state is None:
        return None
    if different := changes(state["asked"], asked):
        raise InputError(
            f"{run / CHECKPOINT_FILE}: is of another training: {different[0]}",
            fix="Give the recipe and data that it began with, or train into another folder.",
        )
    return state


@contextmanager
def _tensorboard(training: Training, run: Path, step: int) -> Iterator[Chart]:
    """Draws into event files of `run` where the recipe says so; TensorBoard itself is too large to depend on."""
    if not training.tensorboard:
        yield lambda *_: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning("the recipe asks for TensorBoard, which is not installed: pip install tensorboard")
        yield lambda *_: None
        return
    # What an interrupted epoch drew after the checkpoint is drawn again.
    with SummaryWriter(str(run / TENSORBOARD_FOLDER), purge_step=step) as writer:
        yield writer.add_scalar


def open_tokenizer(folder: Path, maximum_length: int) -> Tokenizer:
    """The run's tokenizer as the classifier will use it: no padding, cut at `maximum_length`."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(maximum_length)
    return tokenizer


def tokenise(
    examples: Sequence[Example], tokenizer: Tokenizer, weights: Mapping[str, float] | None = None
) -> list[Row]:
    """A row for each text, with the labels of both heads where sources gave both; repeats stay repeats.

    `weights` are the losses' weights by source; 1 where it is not named.
    """
    seen: Counter[tuple[str, Head]] = Counter()
    labels: dict[tuple[str, int], dict[Head, tuple[int, float]]] = {}
    for example in examples:
        repeat = seen[example.text, example.head]
        seen[example.text, example.head] += 1
        weight = (weights or {}).get(example.source, 1.0)
        labels.setdefault((example.text, repeat), {})[example.head] = (example.label, weight)
    encodings = tokenizer.encode_batch_fast([text for text, _ in labels])
    rows = []
    for encoding, given in zip(encodings, labels.values(), strict=True):
        topic, topic_weight = given.get("topic", (IGNORED, 1.0))
        sentiment, sentiment_weight = given.get("sentiment", (IGNORED, 1.0))
        rows.append(Row(encoding.ids, topic, sentiment, topic_weight, sentiment_weight))
    return rows
