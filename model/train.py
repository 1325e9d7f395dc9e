"""Training: a recipe and its data in, a run folder out (weights, tokenizer, recipe, what was seen)."""

import argparse
import logging
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.batching import pad
from model.bundle import TOKENIZER_FILE, DataFingerprint
from model.data import Example, Splits, load_splits, require_no_leaks
from model.errors import InputError
from model.network import TwoHeads
from model.recipe import Head, Recipe, Training, read_recipe

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"

# Texts of about one length are drawn from pools of this many batches: large enough that little is padding, small
# enough that two epochs do not see the same batches.
POOL_BATCHES = 50


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what the export needs to know of a training run, and what the bundle will say of it."""

    recipe: dict[str, object]
    data: dict[str, DataFingerprint]
    trained_on: int
    """Texts of an epoch, the repeats of small sets included."""
    seconds: float
    torch: str


@dataclass(frozen=True, slots=True)
class Row:
    """A tokenised example; -100 where its source says nothing of that head."""

    ids: list[int]
    topic: int
    sentiment: int


IGNORED = -100


def train(recipe: Recipe, splits: Splits, run: Path, clock: Callable[[], float] = time.monotonic) -> Run:
    """Trains as the recipe says and writes `run` after each epoch, so that a long training can be looked at."""
    require_no_leaks(splits)
    started = clock()
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)  # noqa: S311 an order of batches is no secret
    folder = recipe.encoder.locate()
    run.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / TOKENIZER_FILE, run / TOKENIZER_FILE)
    rows = tokenise(splits.train, open_tokenizer(run, recipe.training.maximum_length))
    network = TwoHeads.pretrained(folder)
    for _ in fit(network, rows, recipe.training, rng):
        network.save(run)
        done = Run(
            recipe=recipe.model_dump(mode="json"),
            data=splits.fingerprints,
            trained_on=len(rows),
            seconds=round(clock() - started, 1),
            torch=str(torch.__version__),
        )
        (run / RUN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
    return done


def read_run(run: Path) -> Run:
    """What `train` wrote of itself in `run`. Raises `InputError` where there is no run."""
    try:
        return msgspec.json.decode((run / RUN_FILE).read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{run / RUN_FILE}: no training run: {error}", fix="Give a folder of model.train.") from error


def fit(network: TwoHeads, rows: Sequence[Row], training: Training, rng: random.Random) -> Iterator[float]:
    """Trains `network` in place; yields the mean loss after each epoch."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    total = training.epochs * -(-len(rows) // training.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, total, training.warm_up))
    step = 0
    for epoch in range(1, training.epochs + 1):
        network.train()
        losses: list[float] = []
        for batch in bucketed(rows, training.batch, rng):
            losses.append(_step(network, batch, optimiser, training))
            schedule.step()
            step += 1
            if step % 100 == 0:
                recent = sum(losses[-100:]) / len(losses[-100:])
                logger.info("training epoch=%d step=%d of=%d loss=%.4f", epoch, step, total, recent)
        mean = sum(losses) / len(losses)
        logger.info("trained epoch=%d of=%d loss=%.4f", epoch, training.epochs, mean)
        yield mean


def rate_at(step: int, total: int, warm_up: float) -> float:
    """Share of the peak learning rate: linear up over the first `warm_up` of the steps, then linear down to 0."""
    rise = max(1, round(total * warm_up))
    return (step + 1) / rise if step < rise else max(0.0, (total - step) / max(1, total - rise))


def bucketed(rows: Sequence[Row], size: int, rng: random.Random) -> Iterator[list[Row]]:
    """Every row once, in shuffled batches of rows of about one length."""
    order = list(rows)
    rng.shuffle(order)
    batches: list[list[Row]] = []
    for start in range(0, len(order), size * POOL_BATCHES):
        pool = sorted(order[start : start + size * POOL_BATCHES], key=lambda row: len(row.ids))
        batches.extend(pool[at : at + size] for at in range(0, len(pool), size))
    rng.shuffle(batches)
    yield from batches


def masked_loss(logits: tuple[Tensor, Tensor], topics: Tensor, sentiments: Tensor) -> Tensor:
    """Mean cross-entropy over the labels that are there, both heads together."""
    labels = (topics != IGNORED).sum() + (sentiments != IGNORED).sum()
    topic = nn.functional.cross_entropy(logits[0].float(), topics, ignore_index=IGNORED, reduction="sum")
    sentiment = nn.functional.cross_entropy(logits[1].float(), sentiments, ignore_index=IGNORED, reduction="sum")
    return (topic + sentiment) / labels


def open_tokenizer(folder: Path, maximum_length: int) -> Tokenizer:
    """The run's tokenizer as the classifier will use it: no padding, cut at `maximum_length`."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.enable_truncation(maximum_length)
    return tokenizer


def tokenise(examples: Sequence[Example], tokenizer: Tokenizer) -> list[Row]:
    """A row for each text, with the labels of both heads where sources gave both; repeats stay repeats."""
    seen: Counter[tuple[str, Head]] = Counter()
    labels: dict[tuple[str, int], dict[Head, int]] = {}
    for example in examples:
        repeat = seen[example.text, example.head]
        seen[example.text, example.head] += 1
        labels.setdefault((example.text, repeat), {})[example.head] = example.label
    encodings = tokenizer.encode_batch_fast([text for text, _ in labels])
    return [
        Row(encoding.ids, topic=given.get("topic", IGNORED), sentiment=given.get("sentiment", IGNORED))
        for encoding, given in zip(encodings, labels.values(), strict=True)
    ]


def _step(network: TwoHeads, batch: Sequence[Row], optimiser: torch.optim.Optimizer, training: Training) -> float:
    ids, mask = (torch.from_numpy(array) for array in pad([row.ids for row in batch]))
    topics = torch.tensor([row.topic for row in batch])
    sentiments = torch.tensor([row.sentiment for row in batch])

    def backward() -> float:
        # bfloat16 doubles the speed where the CPU has AMX and costs no accuracy; the weights stay float32.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(ids, mask)
        loss = masked_loss(logits, topics, sentiments)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.zero_grad(set_to_none=True)
    mean = backward()
    if training.adversarial:
        words = network.encoder.get_input_embeddings().weight
        with against(words, training.adversarial):
            backward()
    nn.utils.clip_grad_norm_(network.parameters(), training.clip)
    optimiser.step()
    return mean


@contextmanager
def against(words: Tensor, size: float) -> Iterator[None]:
    """Moves the word embeddings by `size` along their gradient, where the loss grows most, and back at the end.

    The fast gradient method for text (Miyato et al. 2017): what is learned there makes a network that small changes of
    wording do not tip over.
    """
    assert words.grad is not None
    norm = words.grad.norm()
    step = size * words.grad / norm if norm > 0 else torch.zeros_like(words)
    with torch.no_grad():
        words.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            words.sub_(step)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.train", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder that the recipe's paths are relative to")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    recipe = read_recipe(options.recipe)
    train(recipe, load_splits(recipe, options.data), options.out)


if __name__ == "__main__":
    main()
