"""One step of training: a batch forward in the recipe's precision, its loss and gradient, the change of the weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.batching import pad
from model.data.recipe import Training
from model.evaluation.metrics import Probabilities
from model.training.device import choose_precision
from model.training.network import TwoHeads

IGNORED = -100
"""In place of a label that is not there; what torch's cross-entropy leaves out."""


@dataclass(frozen=True, slots=True)
class Row:
    """A tokenised example; `IGNORED` where its source says nothing of that head."""

    ids: list[int]
    topic: int
    sentiment: int
    topic_weight: float = 1.0
    sentiment_weight: float = 1.0
    answers: tuple[Probabilities, Probabilities] | None = None
    """What teachers make of the text: probabilities of topics (20) and sentiments (3)."""


class Step:
    """Changes a network by a batch at a time, on the device that the network is on."""

    def __init__(self, network: TwoHeads, optimiser: torch.optim.Optimizer, training: Training) -> None:
        self._network = network
        self._optimiser = optimiser
        self._training = training
        self._device = network.topic.weight.device
        self._precision = choose_precision(training, self._device)
        self._trained = [weight for group in optimiser.param_groups for weight in group["params"]]
        # Small gradients vanish in fp16: it multiplies the loss, and divides them again. Does nothing for the others.
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._precision == "fp16")
        if training.adversarial:
            self._words.requires_grad_()  # an adversary needs their gradient though adapters leave them as they are

    def __call__(self, batch: Sequence[Row]) -> float:
        """Learns from the batch once; returns its mean loss before."""
        ids, mask = (torch.from_numpy(array).to(self._device) for array in pad([row.ids for row in batch]))
        topics = torch.tensor([row.topic for row in batch], device=self._device)
        sentiments = torch.tensor([row.sentiment for row in batch], device=self._device)
        weights = _weights(batch, self._device)
        answers, share = _answers(batch, self._device), self._training.distillation.weight

        def backward() -> float:
            with self._autocast():
                logits = self._network(ids, mask)
            loss = masked_loss(logits, topics, sentiments, weights)
            if answers is not None:
                loss = (1 - share) * loss + share * distance_to(answers, logits)
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        self._network.zero_grad(set_to_none=True)
        mean = backward()
        if self._training.adversarial:
            with against(self._words, self._training.adversarial):
                backward()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._trained, self._training.clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return mean

    def state(self) -> dict[str, Any]:
        """What `restore` needs: the scale of the loss that fp16 has found by trying."""
        return self._scaler.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        self._scaler.load_state_dict(state)

    @property
    def _words(self) -> Tensor:
        words: Tensor = self._network.encoder.get_input_embeddings().weight
        return words

    def _autocast(self) -> torch.autocast:
        # bfloat16 doubles the speed where the CPU has AMX and costs no accuracy; the weights stay float32.
        dtype = torch.float16 if self._precision == "fp16" else torch.bfloat16
        return torch.autocast(self._device.type, dtype=dtype, enabled=self._precision != "fp32")


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


def distance_to(answers: tuple[Tensor, Tensor], logits: tuple[Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy to teachers' probabilities, over both heads of every text (Hinton et al. 2015).

    A teacher answers for both heads of a text, whichever of them its source has labelled.
    """
    topic, sentiment = (
        nn.functional.cross_entropy(found.float(), wanted) for found, wanted in zip(logits, answers, strict=True)
    )
    return (topic + sentiment) / 2


@contextmanager
def against(words: Tensor, size: float) -> Iterator[None]:
    """Moves the word embeddings by `size` along their gradient, where the loss grows most, and back at the end.

    The fast gradient method for text (Miyato et al. 2017): what is learned there makes a network that small changes of
    wording do not tip over.
    """
    assert words.grad is not None
    before = words.detach().clone()
    norm = words.grad.norm()
    # A gradient that overflowed in fp16 points nowhere; that step is then left out as a whole.
    step = size * words.grad / norm if norm > 0 and norm.isfinite() else torch.zeros_like(words)
    with torch.no_grad():
        words.add_(step)
    try:
        yield
    finally:
        with torch.no_grad():
            words.copy_(before)


def _weights(batch: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor] | None:
    """The rows' weights by head; None where all are 1."""
    if all((row.topic_weight, row.sentiment_weight) == (1, 1) for row in batch):
        return None
    return (
        torch.tensor([row.topic_weight for row in batch], device=device),
        torch.tensor([row.sentiment_weight for row in batch], device=device),
    )


def _answers(batch: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor] | None:
    """The teachers' answers to the rows by head; None where there are no teachers."""
    given = [row.answers for row in batch if row.answers is not None]
    if not given:
        return None
    topics, sentiments = (torch.from_numpy(np.stack(head)).float().to(device) for head in zip(*given, strict=True))
    return topics, sentiments
