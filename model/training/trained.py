"""A trained network asked as a classifier is, before any export: for the scores at a training's end."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer

from model.batching import cut_batches, pad
from model.bundle import Temperatures
from model.runtime import Logits
from model.training.network import TwoHeads

BATCH_TOKENS = 4096
"""Padded tokens at once: a few MB of activations, on a GPU as on a CPU."""


class TrainedNetwork:
    """Texts to logits in float32, on the device that the network is on."""

    temperatures = Temperatures()

    def __init__(self, network: TwoHeads, tokenizer: Tokenizer) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._device = network.topic.weight.device

    @torch.no_grad()
    def logits(
        self, texts: Sequence[str], done: Callable[[int, int], object] = lambda _batch, _batches: None
    ) -> tuple[Logits, Logits]:
        """Topic logits (texts x 20) and sentiment logits (texts x 3), in the order of `texts`.

        `done` is called after each batch with how many there were, and how many there are: they take about as long as
        one another, which texts do not.
        """
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        topics = np.empty((len(rows), self._network.topic.out_features), dtype=np.float32)
        sentiments = np.empty((len(rows), self._network.sentiment.out_features), dtype=np.float32)
        self._network.eval()
        batches = list(cut_batches([len(row) for row in rows], BATCH_TOKENS))
        for number, batch in enumerate(batches, 1):
            ids, mask = (torch.from_numpy(array).to(self._device) for array in pad([rows[index] for index in batch]))
            for answers, found in zip((topics, sentiments), self._network(ids, mask), strict=True):
                answers[batch] = found.cpu().numpy()
            done(number, len(batches))
        return topics, sentiments
