from pathlib import Path

import pytest

from model.errors import InputError
from model.labels import TOPICS
from model.recipe import CONFIGS, Encoder, read_recipe

GOOD = """
name = "one"
[encoder]
folder = "encoder"
[[sources]]
name = "posts"
head = "sentiment"
train = "posts.csv"
holdout = 0.1
text = "text"
label = "label"
labels = { bad = "negative" }
"""


def read(tmp_path: Path, content: str) -> object:
    path = tmp_path / "recipe.toml"
    path.write_text(content, encoding="utf-8")
    return read_recipe(path)


def test_the_default_recipe_maps_the_topics_in_their_order() -> None:
    topics = next(source for source in read_recipe(CONFIGS / "default.toml").sources if source.name == "twitter_topic")
    assert tuple(topics.labels[str(index)] for index in range(20)) == TOPICS


def test_the_default_recipe_s_encoder_is_installed() -> None:
    assert (read_recipe(CONFIGS / "default.toml").encoder.locate() / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("holdout = 0.1", "holdout = 2", r"sources\.0\.holdout: .*less than 1"),
        ("holdout = 0.1", 'evaluation = "e.csv"\nholdout = 0.1', r"sources\.0: .*`evaluation` or with `holdout`"),
        ('"negative"', '"sad"', r"sources\.0: .*labels: 'sad' is not a sentiment"),
        ('name = "one"', 'nome = "one"', r"recipe\.toml: name: Field required"),
        ("[encoder]", '[encoder]\npackage = "p"', "encoder: .*either `package` or `folder`"),
        ("[encoder]", "[encoder", "not TOML"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    read(tmp_path, GOOD)
    with pytest.raises(InputError, match=said):
        read(tmp_path, GOOD.replace(old, new))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no encoder here"):
        Encoder(folder=tmp_path).locate()
    with pytest.raises(InputError, match="not_a_package is not installed"):
        Encoder(package="not_a_package").locate()
