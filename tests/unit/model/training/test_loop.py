import math
from pathlib import Path

import pytest
import torch
from torch import nn

from model.data.examples import Example
from model.training.step import IGNORED, masked_loss
from model.training.tokenizer_file import open_tokenizer
from model.training.train import tokenise

TOPICS = torch.tensor([3, IGNORED, 5])
SENTIMENTS = torch.tensor([IGNORED, 1, 2])
LOGITS = (torch.randn(3, 20, generator=torch.manual_seed(0)), torch.randn(3, 3, generator=torch.manual_seed(1)))


def weighted(*weights: float) -> float:
    """The loss where the rows' labels weigh so much."""
    return float(masked_loss(LOGITS, TOPICS, SENTIMENTS, (torch.tensor(weights), torch.tensor(weights))))


def test_the_loss_is_the_mean_over_the_labels_that_are_there() -> None:
    of_topics = nn.functional.cross_entropy(LOGITS[0][[0, 2]], TOPICS[[0, 2]], reduction="sum")
    of_sentiments = nn.functional.cross_entropy(LOGITS[1][[1, 2]], SENTIMENTS[[1, 2]], reduction="sum")
    assert float(masked_loss(LOGITS, TOPICS, SENTIMENTS)) == pytest.approx(float(of_topics + of_sentiments) / 4)


def test_weights_of_one_change_nothing() -> None:
    assert weighted(1, 1, 1) == pytest.approx(float(masked_loss(LOGITS, TOPICS, SENTIMENTS)))


def test_a_text_of_half_the_weight_pulls_half_as_hard() -> None:
    alone = [weighted(*(float(row == index) for row in range(3))) for index in range(3)]
    assert weighted(0.5, 1, 2) == pytest.approx(math.fsum([0.5 * alone[0], alone[1], 2 * alone[2]]))


def test_each_label_of_a_text_weighs_what_its_own_source_does(tiny_run: Path) -> None:
    texts = [Example("oil soars", "topic", 6, "news"), Example("oil soars", "sentiment", 2, "posts")]
    (row,) = tokenise(texts, open_tokenizer(tiny_run, 16), {"posts": 0.25})
    assert (row.topic, row.topic_weight, row.sentiment, row.sentiment_weight) == (6, 1.0, 2, 0.25)
