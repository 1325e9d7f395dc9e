from pathlib import Path

import pytest

from model.data.recipe import CONFIGS, Encoder, Recipe, read_recipe
from model.errors import InputError
from model.labels import TOPICS

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


def test_an_encoder_that_is_a_package_is_installed() -> None:
    assert (read_recipe(CONFIGS / "minilm.toml").encoder.locate() / "model.safetensors").is_file()


def test_a_recipe_that_extends_another_has_the_rest_from_it(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, GOOD + "[training]\nbatch = 8\nepochs = 5\n"), Recipe)
    more = tmp_path / "more.toml"
    more.write_text('extends = "recipe.toml"\n[encoder]\npackage = "p"\n[training]\nepochs = 1\n', encoding="utf-8")
    base, found = read_recipe(tmp_path / "recipe.toml"), read_recipe(more)
    assert (found.name, found.sources, found.encoder) == (base.name, base.sources, Encoder(package="p"))
    assert (found.training.epochs, found.training.batch) == (1, 8)
    more.write_text('extends = "recipe.toml"\n[training]\nepoch = 1\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"more\.toml: training\.epoch: Extra inputs"):
        read_recipe(more)


def test_a_recipe_extends_one_that_is_there_and_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read"):
        read(tmp_path, 'extends = "nowhere.toml"')
    with pytest.raises(InputError, match=r"recipe\.toml: extends another recipe itself"):
        read(tmp_path, 'extends = "recipe.toml"')
    (tmp_path / "base.toml").write_text(GOOD.replace("holdout = 0.1", "holdout = 2"), encoding="utf-8")
    with pytest.raises(InputError, match=r"base\.toml: sources\.0\.holdout: "):
        read(tmp_path, 'extends = "base.toml"')


def test_the_teacher_has_the_whole_of_the_encoder_and_learns_from_the_same() -> None:
    teacher, default = read_recipe(CONFIGS / "teacher.toml"), read_recipe(CONFIGS / "default.toml")
    assert (teacher.sources, teacher.training) == (default.sources, default.training)
    assert teacher.encoder == Encoder(hub=default.encoder.hub)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("holdout = 0.1", "holdout = 2", r"sources\.0\.holdout: .*less than 1"),
        ("holdout = 0.1", 'evaluation = "e.csv"\nholdout = 0.1', r"sources\.0: .*`evaluation` or with `holdout`"),
        ('train = "posts.csv"', 'evaluation = "e.csv"', r"sources\.0: .*`evaluation` or with `holdout`"),
        ('train = "posts.csv"\nholdout = 0.1', "", r"sources\.0: .*or `evaluation` alone"),
        ('"negative"', '"sad"', r"sources\.0: .*labels: 'sad' is not a sentiment"),
        ('"negative"', '"Macro"', r"sources\.0: .*labels: 'Macro' is not a sentiment"),
        ('name = "one"', 'nome = "one"', r"recipe\.toml: name: Field required"),
        ("[encoder]", '[encoder]\npackage = "p"', "encoder: .*either `package`, `folder` or `hub`"),
        ("[encoder]", "[encoder", "not TOML"),
        ("[[sources]]", 'leaks = "ignore"\n[[sources]]', r"encoder\.leaks: Extra inputs"),
        ("[encoder]", 'leaks = "ignore"\n[encoder]', r"recipe\.toml: leaks: Input should be 'refuse' or 'drop'"),
        (
            "labels =",
            "label_pattern = '(up'\nlabels =",
            r"sources\.0\.label_pattern: .*not a regular expression: missing \)",
        ),
        ("labels =", "label_pattern = 'up'\nlabels =", r"sources\.0\.label_pattern: .*needs exactly one group"),
        ("labels =", "label_pattern = '(u)(p)'\nlabels =", r"sources\.0\.label_pattern: .*needs exactly one group"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    read(tmp_path, GOOD)
    with pytest.raises(InputError, match=said):
        read(tmp_path, GOOD.replace(old, new))


def test_another_encoder_is_cut_as_the_recipe_s_and_any_seed_is_taken(tmp_path: Path) -> None:
    cut = read_recipe(CONFIGS / "default.toml")
    assert None not in (cut.encoder.layers, cut.encoder.vocabulary)
    found = cut.changed(encoder=tmp_path, seed=0)
    assert found.encoder == Encoder(folder=tmp_path, layers=cut.encoder.layers, vocabulary=cut.encoder.vocabulary)
    assert (found.seed, found.training, cut.changed()) == (0, cut.training, cut)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = GOOD + GOOD[GOOD.index("[[sources]]") :]
    with pytest.raises(InputError, match=r"recipe\.toml: sources: .*1\.name: 'posts' is the name of sources\.0 too"):
        read(tmp_path, twice)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no encoder here"):
        Encoder(folder=tmp_path).locate()
    for package in ("not_a_package", "not_a_package.part", "json.not_a_part", ".part", ""):
        with pytest.raises(InputError, match=rf"encoder\.package: {package} is not installed\n.*Install what holds it"):
            Encoder(package=package).locate()
