"""The training loop: batches of about one length, one step each, and a state that can be put away and taken up."""

import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch

from model.data.recipe import Training
from model.errors import FinSentryError
from model.training.checkpoint import State
from model.training.network import TwoHeads
from model.training.step import Row, Step

logger = logging.getLogger(__name__)

# Texts of about one length are drawn from pools of this many batches: large enough that little is padding, small
# enough that two epochs do not see the same batches.
POOL_BATCHES = 50

# Steps whose mean loss is told: a single batch's jumps about.
RECENT = 100


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


Draw = Callable[[str, float, int], object]
"""Takes a curve's name, a value and a step."""


class Loop:
    """A training in progress: the network, and everything that decides how its next epochs go.

    It computes on the device that the network is on, and changes those weights that require a gradient.
    """

    def __init__(
        self,
        network: TwoHeads,
        rows: Sequence[Row],
        training: Training,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.rows = rows
        self.losses: list[float] = []
        """Mean loss of each epoch that is done."""
        self.step = 0
        self._training = training
        self._rng = rng
        self._clock = clock
        self._steps = training.epochs * -(-len(rows) // training.batch)
        # Of the epoch that is not done: what its order was drawn from, its steps, the sum of their losses, the last.
        self._order = rng.getstate()
        self._done = 0
        self._total = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._optimiser = torch.optim.AdamW(
            [weight for weight in network.parameters() if weight.requires_grad],
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
            fused=True,  # one pass over the weights in place of a dozen: a tenth of a step on a CPU
        )
        self._learn = Step(network, self._optimiser, training)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: rate_at(step, self._steps, training.warm_up)
        )

    def run_epoch(
        self, watch: Callable[[Progress], object], draw: Draw, between: Callable[[], object] = lambda: None
    ) -> None:
        """Shows the network every row once, or those that a restored epoch has not come to.

        `between` is called between two of its steps, where `state` may be taken; what it raises ends the epoch there.
        """
        training, epoch, recent = self._training, len(self.losses) + 1, self._recent
        started, first = self._clock(), self.step
        self._order = self._rng.getstate()
        batches = bucketed(self.rows, training.batch, self._rng)
        self.network.train()
        for batch in islice(batches, self._done, None):
            if self.step > first:
                between()
            loss = self._learn(batch)
            if not math.isfinite(loss):
                raise FinSentryError(
                    f"the loss is {loss} at step {self.step + 1} of {self._steps}, in epoch {epoch}: it diverged",
                    fix="Lower training.learning_rate, or train in fp32; earlier epochs are kept in the run.",
                )
            self._schedule.step()
            self.step += 1
            self._done += 1
            self._total += loss
            recent.append(loss)
            a_step = (self._clock() - started) / (self.step - first)
            left = (self._steps - self.step) * a_step
            watch(Progress(epoch, training.epochs, self.step, self._steps, sum(recent) / len(recent), left))
            if self.step % RECENT == 0:
                draw("loss/step", sum(recent) / len(recent), self.step)
                draw("learning_rate", float(self._schedule.get_last_lr()[0]), self.step)
        self.losses.append(self._total / self._done)
        self._order, self._done, self._total = self._rng.getstate(), 0, 0.0
        recent.clear()
        draw("loss/epoch", self.losses[-1], self.step)
        logger.info("trained epoch=%d of=%d loss=%.4f", epoch, training.epochs, self.losses[-1])

    def state(self) -> State:
        """What `restore` needs: weights, optimiser, schedule, fp16's scale, and where the random numbers stand."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "losses": list(self.losses),
            "step": self.step,
            "steps": self._steps,
            "epoch": {"done": self._done, "total": self._total, "recent": list(self._recent)},
            # The epoch's whole order is drawn at its beginning: its other steps need it once more.
            "rng": self._order,
            "torch_rng": torch.get_rng_state(),
            # Dropout draws from the GPU's own where there is one.
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "scaler": self._learn.state(),
        }

    def restore(self, state: State) -> None:
        """Goes on where `state` was taken. To be called right before `run_epoch`: it sets torch's random numbers."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self.losses = list(state["losses"])
        self.step = state["step"]
        # Those of before steps were kept have none of an epoch that is not done.
        epoch = state.get("epoch", {"done": 0, "total": 0.0, "recent": []})
        self._done, self._total = epoch["done"], epoch["total"]
        self._recent = deque(epoch["recent"], maxlen=RECENT)
        self._rng.setstate(state["rng"])
        self._order = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self._learn.restore(state["scaler"])


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
