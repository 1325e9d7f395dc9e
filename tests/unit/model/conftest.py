"""A whole training in miniature, made once: a random two-layer encoder, invented rows, a run, a bundle."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from deploy import cli
from model.bundle import Bundle
from model.classifier import Classifier
from model.data.recipe import Recipe, read_recipe
from model.data.splits import Splits, load_splits
from model.export.release import release
from model.settings import ModelSettings

torch.set_num_threads(1)  # so small a network only waits for a second one

MOODS = {"tumbles": "negative", "holds": "neutral", "soars": "positive"}
THINGS = {"oil": "Energy | Oil", "dividend": "Dividend", "merger": "M&A | Investments", "senate": "Politics"}
NAMED = {"things": THINGS, "moods": MOODS}
FILLERS = ("again", "today", "sharply", "after", "report", "as", "expected", "on", "friday")


RECIPE = """
name = "tiny"
[encoder]
folder = '{encoder}'
[training]
epochs = 8
batch = 8
learning_rate = 3e-3
maximum_length = 16
calibration = 0.2
[[sources]]
name = "things"
head = "topic"
train = "things.csv"
holdout = 0.25
text = "text"
label = "label"
labels = {{ {things} }}
[[sources]]
name = "moods"
head = "sentiment"
train = "moods.csv"
holdout = 0.25
text = "text"
label = "label"
labels = {{ {moods} }}
"""


def invented(labels: Mapping[str, str], start: int) -> pd.DataFrame:
    """120 different sentences; the word of `labels` that stands in one decides its label."""
    rows = []
    for index in range(start, start + 120):
        thing, mood = list(THINGS)[index % 4], list(MOODS)[index // 4 % 3]
        filler = " ".join(FILLERS[(index // 12 + step * (index % 7 + 1)) % len(FILLERS)] for step in range(3))
        rows.append((f"{thing} {mood} {filler} {index}", thing if thing in labels else mood))
    return pd.DataFrame(rows, columns=["text", "label"])


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *MOODS, *THINGS, *FILLERS]
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_data(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with its recipe, `recipe.toml`."""
    folder = tmp_path_factory.mktemp("data")
    invented(THINGS, 0).to_csv(folder / "things.csv", index=False)
    invented(MOODS, 1000).to_csv(folder / "moods.csv", index=False)
    maps = {name: ", ".join(f'{key} = "{label}"' for key, label in labels.items()) for name, labels in NAMED.items()}
    (folder / "recipe.toml").write_text(RECIPE.format(encoder=tiny_encoder, **maps), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_recipe(tiny_data: Path) -> Recipe:
    return read_recipe(tiny_data / "recipe.toml")


@pytest.fixture(scope="session")
def tiny_splits(tiny_recipe: Recipe, tiny_data: Path) -> Splits:
    return load_splits(tiny_recipe, tiny_data)


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    assert cli.run(["train", str(tiny_data / "recipe.toml"), "--data", str(tiny_data), "--out", str(run)]) == 0
    return run


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    assert cli.run(["export", str(tiny_run), "--data", str(tiny_data), "--out", str(folder)]) == 0
    return Bundle.load(folder)


@pytest.fixture(scope="session")
def tiny_float_bundle(tiny_run: Path, tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return release([tiny_run], tiny_splits, tmp_path_factory.mktemp("float-bundle"), "fp32")


@pytest.fixture(scope="session")
def tiny_half_bundle(tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("half-bundle")
    command = ["export", str(tiny_run), "--data", str(tiny_data), "--out", str(folder), "--precision", "fp16"]
    assert cli.run(command) == 0
    return Bundle.load(folder)


@pytest.fixture(scope="session")
def shipped() -> Iterator[Classifier]:
    """The bundle that the project ships, as the stream loads it."""
    with Classifier.load(ModelSettings(threads=2)) as classifier:
        yield classifier
