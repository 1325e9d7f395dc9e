"""Runs as teachers of another: it begins at the mean of their weights and learns what they answer (Hinton et al. 2015).

Several trainings together are right more often than each, but not where their weights have their mean: a short training
from there on, with their mean answers beside the labels, ends near what they know together. They answer for both heads
of a text, of which its source has labelled one.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from model.bundle import DataFingerprint
from model.classifier import softmax
from model.data.recipe import Recipe
from model.errors import InputError
from model.evaluation.metrics import Probabilities
from model.nested import changes
from model.training.network import TwoHeads
from model.training.run import Taught, recipe_of
from model.training.soup import mean_weights, require_alike
from model.training.trained import TrainedNetwork

logger = logging.getLogger(__name__)


class Teachers:
    """Runs of one recipe and data, each with a seed of its own, and how much their answers count."""

    def __init__(self, runs: Sequence[Path], recipe: Recipe, data: Mapping[str, DataFingerprint]) -> None:
        """Raises `InputError` where a run is none of `recipe` and `data`: it may know what is to be measured on."""
        trained = require_alike(runs)
        if trained[0].taught is not None:
            raise InputError(f"{runs[0]}: was taught itself", fix="Give the runs that taught it.")
        if trained[0].data != data:
            raise InputError(f"{runs[0]}: was trained on other data", fix="Give teachers that learned from the same.")
        theirs, ours = (one.model_dump(mode="json", exclude={"seed"}) for one in (recipe_of(runs[0]), recipe))
        if different := changes(theirs, ours):
            raise InputError(
                f"{runs[0]}: was trained by another recipe: {different[0]}",
                fix="Give teachers that were trained by this one, which may differ in their seed.",
            )
        self._runs = runs
        self._recipe = recipe
        self.taught = Taught(weight=recipe.training.distillation.weight, by=[one.recipe for one in trained])

    def pupils_recipe(self) -> Recipe:
        """The recipe with the epochs and the rate of a distillation."""
        numbers = self._recipe.training.distillation
        training = self._recipe.training.model_copy(
            update={"epochs": numbers.epochs, "learning_rate": numbers.learning_rate}
        )
        return self._recipe.model_copy(update={"training": training})

    def prepare(self, network: TwoHeads) -> None:
        """Gives `network` the mean of the teachers' weights."""
        weights = mean_weights(self._runs)
        network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()})

    def answers(
        self, texts: Sequence[str], tokenizer: Tokenizer, device: torch.device
    ) -> dict[str, tuple[Probabilities, Probabilities]]:
        """By text, the mean over the teachers of the probabilities of topics (20) and sentiments (3)."""
        unique = list(dict.fromkeys(texts))
        topics: Probabilities = np.zeros(1)
        sentiments: Probabilities = np.zeros(1)
        for run in self._runs:
            logger.info("asking a teacher run=%s texts=%d", run, len(unique))
            teacher = TrainedNetwork(TwoHeads.load(run).to(device), tokenizer)
            topic, sentiment = teacher.logits(unique)
            topics = topics + softmax(topic) / len(self._runs)
            sentiments = sentiments + softmax(sentiment) / len(self._runs)
        return dict(zip(unique, zip(topics, sentiments, strict=True), strict=True))
