"""A whole training in miniature, made once: a random two-layer encoder, invented rows, a run, a bundle."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from model.bundle import Bundle
from model.classifier import Classifier
from model.data import Example, Splits
from model.labels import SENTIMENTS, TOPICS
from model.recipe import Recipe
from model.release import release
from model.settings import ModelSettings
from model.train import train

MOODS = {"tumbles": "negative", "holds": "neutral", "soars": "positive"}
THINGS = {"oil": "Energy | Oil", "dividend": "Dividend", "merger": "M&A | Investments", "senate": "Politics"}
FILLERS = ("again", "today", "sharply", "after", "report", "as", "expected", "on", "friday")


def invented(count: int, start: int = 0) -> list[Example]:
    """Different sentences whose mood and thing decide their labels, half of them labelled for each head."""
    rows = []
    for index in range(start, start + count):
        thing, mood = list(THINGS)[index % 4], list(MOODS)[index // 4 % 3]
        filler = " ".join(FILLERS[(index // 12 + step * (index % 7 + 1)) % len(FILLERS)] for step in range(3))
        text = f"{thing} {mood} {filler} {index}"
        if index // 12 % 2:
            rows.append(Example(text, "topic", TOPICS.index(THINGS[thing])))
        else:
            rows.append(Example(text, "sentiment", SENTIMENTS.index(MOODS[mood])))
    return rows


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *MOODS, *THINGS, *FILLERS]
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(  # type: ignore[no-untyped-call]
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


@pytest.fixture(scope="session")
def tiny_recipe(tiny_encoder: Path) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "encoder": {"folder": tiny_encoder},
            "training": {"epochs": 8, "batch": 8, "learning_rate": 3e-3, "maximum_length": 16},
            "sources": [
                {"name": "invented", "head": "sentiment", "train": "-", "text": "t", "label": "l", "labels": {}},
            ],
        }
    )


@pytest.fixture(scope="session")
def tiny_splits() -> Splits:
    return Splits(train=invented(144), calibration=invented(48, 1000), evaluation={"fresh": invented(48, 2000)})


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe: Recipe, tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)  # so small a network only waits for the second
    run = tmp_path_factory.mktemp("run")
    train(tiny_recipe, tiny_splits, run)
    return run


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return release(tiny_run, tiny_splits, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def shipped() -> Iterator[Classifier]:
    """The bundle that the project ships, as the stream loads it."""
    with Classifier.load(ModelSettings(threads=2)) as classifier:
        yield classifier
