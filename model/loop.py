"""The training loop: batches of about one length, one step each, and a state that can be put away and taken up."""

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.batching import pad
from model.checkpoint import State
from model.network import TwoHeads
from model.recipe import Training

logger = logging.getLogger(__name__)

# Texts of about one length are drawn from pools of this many batches: large enough that little is padding, small
# enough that two epochs do not see the same batches.
POOL_BATCHES = 50

# Steps whose mean loss is told: a single batch's jumps about.
RECENT = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A tokenised example; -100 where its source says nothing of that head."""

    ids: list[int]
    topic: int
    sentiment: int
    topic_weight: float = 1.0
    sentiment_weight: float = 1.0


IGNORED = -100


class Progress(NamedTuple):
    """Where a training is, after each step."""

    epoch: int
    """From 1."""
    epochs: int
    step: int
    """From 1, over all epochs."""
    steps: int
    loss: float
    """Mean of the last 100 steps of this epoch."""
    seconds_left: float


Chart = Callable[[str, float, int], object]
"""Takes a curve's name, a value and a step."""


class Loop:
    """A training in progress: the network, and everything that decides how its next epochs go."""

    def __init__(
        self,
        network: TwoHeads,
        rows: Sequence[Row],
        training: Training,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.losses: list[float] = []
        """Mean loss of each epoch that is done."""
        self.step = 0
        self._rows = rows
        self._training = training
        self._rng = rng
        self._clock = clock
        self._steps = training.epochs * -(-len(rows) // training.batch)
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: rate_at(step, self._steps, training.warm_up)
        )

    def run_epoch(self, watch: Callable[[Progress], object], chart: Chart) -> None:
        """Shows the network every row once."""
        training, epoch = self._training, len(self.losses) + 1
        started, first = self._clock(), self.step
        recent: deque[float] = deque(maxlen=RECENT)
        total = 0.0
        self.network.train()
        for batch in bucketed(self._rows, training.batch, self._rng):
            loss = _step(self.network, batch, self._optimiser, training)
            self._schedule.step()
            self.step += 1
            total += loss
            recent.append(loss)
            a_step = (self._clock() - started) / (self.step - first)
            left = (self._steps - self.step) * a_step
            watch(Progress(epoch, training.epochs, self.step, self._steps, sum(recent) / len(recent), left))
            if self.step % RECENT == 0:
                chart("loss/step", sum(recent) / len(recent), self.step)
                chart("learning_rate", float(self._schedule.get_last_lr()[0]), self.step)
        self.losses.append(total / (self.step - first))
        chart("loss/epoch", self.losses[-1], self.step)
        logger.info("trained epoch=%d of=%d loss=%.4f", epoch, training.epochs, self.losses[-1])

    def state(self) -> State:
        """What `restore` needs: weights, optimiser, schedule, and where the random numbers stand."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "losses": list(self.losses),
            "step": self.step,
            "rng": self._rng.getstate(),
            "torch_rng": torch.get_rng_state(),
        }

    def restore(self, state: State) -> None:
        """Goes on where `state` was taken. To be called right before the next epoch: it sets torch's random numbers."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self.losses = list(state["losses"])
        self.step = state["step"]
        self._rng.setstate(state["rng"])
        torch.set_rng_state(state["torch_rng"])


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


def masked_loss(
    logits: tuple[Tensor, Tensor],
    topics: Tensor,
    sentiments: Tensor,
    weights: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Mean cross-entropy over the labels that are there, both heads together; `weights` (a row each) multiply it."""
    labels = (topics != IGNORED).sum() + (sentiments != IGNORED).sum()
    if weights is None:
        topic = nn.functional.cross_entropy(logits[0].float(), topics, ignore_index=IGNORED, reduction="sum")
        sentiment = nn.functional.cross_entropy(logits[1].float(), sentiments, ignore_index=IGNORED, reduction="sum")
        return (topic + sentiment) / labels
    topic = nn.functional.cross_entropy(logits[0].float(), topics, ignore_index=IGNORED, reduction="none")
    sentiment = nn.functional.cross_entropy(logits[1].float(), sentiments, ignore_index=IGNORED, reduction="none")
    return ((topic * weights[0]).sum() + (sentiment * weights[1]).sum()) / labels


def _step(network: TwoHeads, batch: Sequence[Row], optimiser: torch.optim.Optimizer, training: Training) -> float:
    ids, mask = (torch.from_numpy(array) for array in pad([row.ids for row in batch]))
    topics = torch.tensor([row.topic for row in batch])
    sentiments = torch.tensor([row.sentiment for row in batch])
    weights = None
    if any((row.topic_weight, row.sentiment_weight) != (1, 1) for row in batch):
        weights = (
            torch.tensor([row.topic_weight for row in batch]),
            torch.tensor([row.sentiment_weight for row in batch]),
        )

    def backward() -> float:
        # bfloat16 doubles the speed where the CPU has AMX and costs no accuracy; the weights stay float32.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(ids, mask)
        loss = masked_loss(logits, topics, sentiments, weights)
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
