"""Training: a recipe and its data in, a run folder out (weights, tokenizer, recipe, what was seen)."""

import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event

import msgspec
import torch
from tokenizers import Tokenizer

from model.bundle import TOKENIZER_FILE
from model.data.examples import Example
from model.data.hub import commit_of
from model.data.recipe import Recipe, parse_recipe
from model.data.splits import Splits, require_no_leaks
from model.errors import InputError
from model.evaluation.evaluate import evaluate
from model.evaluation.metrics import Probabilities
from model.labels import Head
from model.nested import changes
from model.training.charts import open_charts
from model.training.checkpoint import CHECKPOINT_FILE, State, read_checkpoint, write_checkpoint
from model.training.device import choose_device, choose_precision
from model.training.encoders import require_length, require_rows
from model.training.loop import RECENT, Loop, Progress
from model.training.lora import adapt
from model.training.network import TwoHeads
from model.training.run import RUN_FILE, Run, read_run
from model.training.step import IGNORED, Row
from model.training.teachers import Teachers, Watch
from model.training.tokenizer_file import open_tokenizer, read_tokenizer, write_tokenizer
from model.training.trained import TrainedNetwork
from model.training.vocabulary import cut_embeddings, cut_vocabulary, ids_of

logger = logging.getLogger(__name__)

SAVE_SECONDS = 300.0
"""Between checkpoints within an epoch: a kill costs no more than these minutes, and to write one takes seconds."""

TOLD = 20
"""Batches that a teacher answers between two log lines: about a minute of 12 layers on two cores."""


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


def log_asked(run: Path, batch: int, batches: int) -> None:
    """A log line every 20 batches."""
    if batch % TOLD == 0:
        logger.info("asking a teacher run=%s batch=%d of=%d", run, batch, batches)


def train(
    recipe: Recipe,
    splits: Splits,
    run: Path,
    *,
    teachers: Sequence[Path] = (),
    resume: bool = False,
    watch: Callable[[Progress], object] = log_progress,
    watch_teachers: Watch = log_asked,
    listen: Callable[[], AbstractContextManager[Event]] = lambda: nullcontext(Event()),
    clock: Callable[[], float] = time.monotonic,
) -> Run:
    """Trains as the recipe says and writes `run` after each epoch, so that a long training can be looked at.

    Where it stands is kept every `SAVE_SECONDS` too, and when the event is set that `listen` gives for as long as steps
    are made: the step that is under way ends, and `KeyboardInterrupt` is raised. With `resume` it goes on there, to the
    very weights that it would have had without an interruption. `teachers` are runs that it learns from
    (`model.training.teachers`). Raises `InputError` where `run` holds a training already, or another one than is
    resumed.
    """
    require_no_leaks(splits)
    started = clock()
    device = choose_device(recipe.training)
    precision = choose_precision(recipe.training, device)
    taught = Teachers(teachers, recipe, splits, watch_teachers) if teachers else None
    if taught:
        recipe = taught.pupils_recipe()
    asked = {
        "recipe": _decisive(recipe),
        "data": msgspec.to_builtins(splits.fingerprints),
        "device": device.type,
        "precision": precision,
        "taught": msgspec.to_builtins(taught.taught) if taught else None,
    }
    state = _state_to_resume(run, recipe, asked, splits.rows) if resume else None
    if state is None:
        _require_nothing_to_lose(run, resume=resume)
    folder = recipe.encoder.locate()
    began_at = state.get("encoder") if state else None  # checkpoints of before it was kept have none
    loop, encoder = _begun(recipe, folder, splits, run, taught, device, clock, began_at)
    if state is not None:
        loop.restore(state["loop"])
        logger.info("resumed epochs_done=%d of=%d step=%d", len(loop.losses), recipe.training.epochs, loop.step)
    said = Run(
        recipe=_told(recipe, commit_of(folder)),
        data=splits.fingerprints,
        rows=splits.rows,
        encoder=encoder,
        trained_on=len(loop.rows),
        seconds=state["seconds"] if state else 0.0,
        torch=str(torch.__version__),
        taught=taught.taught if taught else None,
        device=device.type,
        precision=precision,
        leaks=splits.leaks,
        repeats=splits.repeats,
        disputed=splits.disputed,
    )
    saving = _Saving(run, loop, said, asked, lambda: said.seconds + clock() - started)
    with open_charts(recipe, run, loop.step) as charts:
        with listen() as stop:
            while len(loop.losses) < recipe.training.epochs:
                loop.run_epoch(watch, charts.draw, lambda: saving.between_steps(stop))
                saving.after_epoch(stop)
        if charts:
            trained = TrainedNetwork(loop.network, open_tokenizer(run, recipe.training.maximum_length))
            for name, found in evaluate(trained, splits.evaluation).items():
                charts.draw(f"accuracy/{name}", found.scores.accuracy, loop.step)
                charts.draw(f"macro_f1/{name}", found.scores.macro_f1, loop.step)
    return read_run(run)


class _Saving:
    """Writes what a training has come to, and ends it between two steps where it is to stop."""

    def __init__(
        self, run: Path, loop: Loop, said: Run, asked: Mapping[str, object], seconds: Callable[[], float]
    ) -> None:
        self._run = run
        self._loop = loop
        self._said = said
        self._asked = asked
        self._seconds = seconds
        self._saved = seconds()

    def between_steps(self, stop: Event) -> None:
        """Keeps where it stands if that is due; the run itself stays what the epochs up to now came to."""
        if stop.is_set() or self._seconds() - self._saved >= SAVE_SECONDS:
            self._keep()
        _end_if(stop)

    def after_epoch(self, stop: Event) -> None:
        """Writes what the epochs came to: weights, what the run says of itself, and what it goes on from."""
        self._loop.network.save(self._run)
        losses = [round(loss, 6) for loss in self._loop.losses]
        done = msgspec.structs.replace(self._said, seconds=round(self._seconds(), 1), losses=losses)
        (self._run / RUN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
        self._keep()
        _end_if(stop)

    def _keep(self) -> None:
        seconds = self._seconds()
        state = {
            "asked": self._asked,
            "rows": self._said.rows,
            "encoder": self._said.encoder,
            "seconds": round(seconds, 1),
            "loop": self._loop.state(),
        }
        write_checkpoint(self._run, state)
        self._saved = seconds


def _end_if(stop: Event) -> None:
    if stop.is_set():
        raise KeyboardInterrupt


def steps_kept(run: Path) -> tuple[int, int | None] | None:
    """How many steps `resume` would find done in `run`, and of how many: None where it would begin anew.

    Checkpoints of before it was kept do not say of how many.
    """
    state = read_checkpoint(run, mapped=True)
    return None if state is None else (state["loop"]["step"], state["loop"].get("steps"))


def _require_nothing_to_lose(run: Path, *, resume: bool) -> None:
    """Raises `InputError` where `run` holds a training that beginning anew would overwrite.

    A kill between the first epoch's weights and its checkpoint leaves one epoch, which `resume` trains once more.
    """
    if (run / CHECKPOINT_FILE).exists() or ((run / RUN_FILE).exists() and not resume):
        raise InputError(
            f"{run}: holds a training already", fix="Go on with it by --resume, or train into another folder."
        )
    if (run / RUN_FILE).exists():
        found = read_run(run)
        if found.averaged or len(found.losses) > 1:
            raise InputError(
                f"{run}: holds a training, but no {CHECKPOINT_FILE} to go on from", fix="Train into another folder."
            )


def _state_to_resume(run: Path, recipe: Recipe, asked: Mapping[str, object], rows: str | None) -> State | None:
    """What `run` holds of a training that was asked for the same, of the same `Splits.rows`."""
    state = read_checkpoint(run)
    if state is None:
        return None
    # Keys that recipes have got since have their defaults.
    known = parse_recipe(state["asked"]["recipe"], run / CHECKPOINT_FILE)
    then = {**state["asked"], "recipe": _decisive(known), "order of sources": _order(known)}
    then["rows that train"] = state.get("rows", rows)  # checkpoints of before it was kept have none
    if different := changes(then, {**asked, "order of sources": _order(recipe), "rows that train": rows}):
        raise InputError(
            f"{run / CHECKPOINT_FILE}: is of another training: {different[0]}",
            fix="Give the recipe, data and version that it began with, or train into another folder.",
        )
    return state


def _begun(
    recipe: Recipe,
    folder: Path,
    splits: Splits,
    run: Path,
    taught: Teachers | None,
    device: torch.device,
    clock: Callable[[], float],
    began_at: str | None,
) -> tuple[Loop, str]:
    """The training before its first step, and the digest of the encoder in `folder`; leaves its tokenizer in `run`.

    Raises `InputError` where the digest is not `began_at`, that of the training that is resumed.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)  # noqa: S311 an order of batches is no secret
    texts = [example.text for example in splits.train]
    network, encoder = _prepared(recipe, folder, run, texts, taught, device, began_at)
    tokenizer = open_tokenizer(run, recipe.training.maximum_length)
    answers = taught.answers(texts, device) if taught and taught.taught.weight else {}
    rows = tokenise(splits.train, tokenizer, {source.name: source.weight for source in recipe.sources}, answers)
    return Loop(network, rows, recipe.training, rng, clock), encoder


def _prepared(
    recipe: Recipe,
    folder: Path,
    run: Path,
    texts: Sequence[str],
    teachers: Teachers | None,
    device: torch.device,
    began_at: str | None,
) -> tuple[TwoHeads, str]:
    """The network that a training begins at, with adapters if the recipe asks for them, and its encoder's digest.

    Its tokenizer is left in `run`. Where the recipe asks for a part of the vocabulary, both are cut: by its own texts,
    or to the pieces of the teachers that it begins at. The tokenizer that a resumed run has must be cut as its weights
    are at any moment, so it is replaced only by one that is.
    """
    run.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=run) as draft:
        file = Path(draft) / TOKENIZER_FILE
        write_tokenizer(folder, file.parent)
        network = TwoHeads.pretrained(folder, recipe.encoder.layers)
        digest = network.digest()
        if began_at not in (None, digest):
            raise InputError(
                f"{run / CHECKPOINT_FILE}: began at other weights than {folder} has now",
                fix="Give the encoder that it began with, or train into another folder.",
            )
        whole = read_tokenizer(file)
        require_rows(network.encoder, whole, folder)
        if recipe.encoder.vocabulary is not None:
            if teachers and teachers.tokenizer:
                tokenizer = read_tokenizer(teachers.tokenizer)
                kept = ids_of(tokenizer, whole)
            else:
                tokenizer, kept = cut_vocabulary(whole, texts, recipe.encoder.vocabulary)
            cut_embeddings(network.encoder, kept)
            tokenizer.save(str(file))
        if teachers:
            teachers.prepare(network)
        require_length(network.encoder.config, recipe.training.maximum_length)
        if recipe.training.lora is not None:
            adapt(network.encoder, recipe.training.lora)
        network.to(device)
        file.replace(run / TOKENIZER_FILE)
    return network, digest


def _decisive(recipe: Recipe) -> dict[str, object]:
    """The recipe without what it leaves to the machine: what this chose counts, and is kept beside it."""
    return recipe.model_dump(mode="json", exclude={"training": {"device", "precision"}})


def _order(recipe: Recipe) -> str:
    """Of its sources, which decides what a batch holds; `changes` knows them by name."""
    return ", ".join(source.name for source in recipe.sources)


def _told(recipe: Recipe, commit: str | None) -> dict[str, object]:
    """The recipe with the very commit of the hub's encoder: its newest is another one tomorrow."""
    said = recipe.model_dump(mode="json")
    return said if commit is None else said | {"encoder": said["encoder"] | {"revision": commit}}


def tokenise(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    weights: Mapping[str, float] | None = None,
    answers: Mapping[str, tuple[Probabilities, Probabilities]] | None = None,
) -> list[Row]:
    """A row for each text, with the labels of both heads where sources gave both; repeats stay repeats.

    `weights` are the losses' weights by source; 1 where it is not named. `answers` are the teachers', by text.
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
    for (text, _), encoding, given in zip(labels, encodings, labels.values(), strict=True):
        topic, topic_weight = given.get("topic", (IGNORED, 1.0))
        sentiment, sentiment_weight = given.get("sentiment", (IGNORED, 1.0))
        learned = (answers or {}).get(text)
        rows.append(Row(encoding.ids, topic, sentiment, topic_weight, sentiment_weight, learned))
    return rows
