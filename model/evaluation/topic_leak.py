"""Does sentiment follow from the topic? What is called negative of each topic, beside what is. Pure."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from model.bundle import ByTopic
from model.evaluation.metrics import Confusion
from model.labels import SENTIMENTS, TOPICS

NEGATIVE = SENTIMENTS.index("negative")


class TopicLeak(NamedTuple):
    """The texts of one topic, of all sets together."""

    topic: str
    confusion: list[list[int]]
    """Rows are labels and columns predictions, in the order of `SENTIMENTS`."""
    texts: int
    negative: float
    """Share that is labelled negative."""
    called: float
    """Share that is called negative."""
    margin: float
    """Half of the 95 % interval of `called - negative`: within it of 0, the topic shows no leak."""
    recall: float | None
    """Share of the negative ones that are called so; None where none is."""

    @property
    def gap(self) -> float:
        """Below 0 where the topic hides bad news, above where it makes some up."""
        return self.called - self.negative


def topic_leaks(sets: Iterable[ByTopic]) -> list[TopicLeak]:
    """Of each topic that occurs, in the order of the labels."""
    total: dict[str, Confusion] = {}
    for found in sets:
        places = [SENTIMENTS.index(name) for name in found.classes]
        for topic, confusion in found.confusions.items():
            whole = total.setdefault(topic, np.zeros((len(SENTIMENTS), len(SENTIMENTS)), dtype=np.int64))
            whole[np.ix_(places, places)] += np.array(confusion, dtype=np.int64)
    return [_leak(topic, total[topic]) for topic in TOPICS if topic in total]


def _leak(topic: str, confusion: Confusion) -> TopicLeak:
    texts, hits = int(confusion.sum()), int(confusion[NEGATIVE, NEGATIVE])
    negative, called = int(confusion[NEGATIVE].sum()), int(confusion[:, NEGATIVE].sum())
    missed, invented = negative - hits, called - hits
    return TopicLeak(
        topic,
        confusion.tolist(),
        texts,
        negative / texts,
        called / texts,
        _margin(missed, invented, texts),
        hits / negative if negative else None,
    )


def _margin(missed: int, invented: int, texts: int) -> float:
    """Half of the 95 % interval of the difference of two shares of the same texts.

    Only those count that one share has and the other has not. By Agresti and Min (2005, "Simple improved confidence
    intervals for comparing matched proportions") half a text is added to each of the four cells first: else three texts
    that all err to one side would leave no doubt at all.
    """
    missed_more, invented_more, more = missed + 0.5, invented + 0.5, texts + 2
    variance = missed_more + invented_more - (invented_more - missed_more) ** 2 / more
    return 1.96 * math.sqrt(variance) / more
