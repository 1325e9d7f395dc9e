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


def read(tmp_path: Path, content: str) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(content, encoding="utf-8")
    return read_recipe(path)


def test_the_default_recipe_maps_the_topics_in_their_order() -> None:
    topics = next(source for source in read_recipe(CONFIGS / "default.toml").sources if source.name == "twitter_topic")
    assert tuple(topics.labels[str(index)] for index in range(20)) == TOPICS


def test_an_encoder_that_is_a_package_is_installed() -> None:
    assert (read_recipe(CONFIGS / "minilm.toml").encoder.locate() / "model.safetensors").is_file()


def test_a_recipe_that_extends_another_has_the_rest_from_it(tmp_path: Path) -> None:
    read(tmp_path, GOOD + "[training]\nbatch = 8\nepochs = 5\n")
    more = tmp_path / "more.toml"
    more.write_text('extends = "recipe.toml"\n[encoder]\npackage = "p"\n[training]\nepochs = 1\n', encoding="utf-8")
    base, found = read_recipe(tmp_path / "recipe.toml"), read_recipe(more)
    assert (found.name, found.sources, found.encoder) == (base.name, base.sources, Encoder(package="p"))
    assert (found.training.epochs, found.training.batch) == (1, 8)
    more.write_text('extends = "recipe.toml"\n[training]\nepoch = 1\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"more\.toml: training\.epoch is no key\n  Did you mean `epochs`\?"):
        read_recipe(more)


def test_a_recipe_that_extends_another_changes_a_source_by_its_name_and_adds_others(tmp_path: Path) -> None:
    base = read(tmp_path, GOOD)
    (posts,) = base.sources
    more = tmp_path / "more.toml"
    new = """[[sources]]\nname = "news"\nhead = "topic"\ntrain = "news.csv"\ntext = "t"\nlabel = "l"\n"""
    more.write_text(f'extends = "recipe.toml"\n{new}[[sources]]\nname = "posts"\nweight = 3\n', encoding="utf-8")
    changed, added = read_recipe(more).sources
    assert changed == posts.model_copy(update={"weight": 3.0})
    assert added.name == "news"
    more.write_text('extends = "recipe.toml"\n' + '[[sources]]\nname = "posts"\nweight = 3\n' * 2, encoding="utf-8")
    with pytest.raises(InputError, match=r"more\.toml: "):
        read_recipe(more)
    more.write_text('extends = "recipe.toml"\n[[sources]]\nweight = 3\n', encoding="utf-8")
    with pytest.raises(InputError, match="source 1, which has no name"):
        read_recipe(more)
    more.write_text('extends = "recipe.toml"\n[[sources]]\nname = "posts"\nwait = 3\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"more\.toml: .*wait is no key"):
        read_recipe(more)


def test_a_recipe_extends_one_that_is_there_and_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recipe\.toml: extends .*/nowhere\.toml, which cannot be read: No such file"):
        read(tmp_path, 'extends = "nowhere.toml"')
    (tmp_path / "broken.toml").write_text("[", encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.toml: extends .*/broken\.toml, which is not TOML"):
        read(tmp_path, 'extends = "broken.toml"')
    with pytest.raises(InputError, match=r"recipe\.toml: extends another recipe itself"):
        read(tmp_path, 'extends = "recipe.toml"')
    (tmp_path / "base.toml").write_text(GOOD.replace("holdout = 0.1", "holdout = 2"), encoding="utf-8")
    with pytest.raises(InputError, match=r"base\.toml: source 'posts': holdout = 2: "):
        read(tmp_path, 'extends = "base.toml"')


def test_the_teacher_has_the_whole_of_the_encoder_and_learns_from_the_same() -> None:
    teacher, default = read_recipe(CONFIGS / "teacher.toml"), read_recipe(CONFIGS / "default.toml")
    assert (teacher.sources, teacher.training) == (default.sources, default.training)
    assert teacher.encoder == Encoder(hub=default.encoder.hub)


def test_the_last_step_trusts_the_labels_of_posts_more_and_adds_what_tempers_nothing() -> None:
    final, default = read_recipe(CONFIGS / "final.toml"), read_recipe(CONFIGS / "default.toml")
    assert (final.name, final.encoder) == (default.name, default.encoder)
    shared, added = final.sources[:-2], final.sources[-2:]
    pairs = zip(default.sources, shared, strict=True)
    heavier = {theirs.name: ours.weight for theirs, ours in pairs if ours != theirs}
    assert heavier == {"social_sentiment": 4.0}
    assert [one.name for one in added] == ["hard_sentiment", "posts_sentiment"]
    assert not any(one.holdout or one.evaluation or one.calibrates for one in added)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("holdout = 0.1", "holdout = 2", r"source 'posts': holdout = 2: .*less than 1\n  `holdout`: Share of `train`"),
        ("holdout = 0.1", 'evaluation = "e.csv"\nholdout = 0.1', r"source 'posts': .*`evaluation` or with `holdout`"),
        ('train = "posts.csv"', 'evaluation = "e.csv"', r"source 'posts': .*`evaluation` or with `holdout`"),
        ('train = "posts.csv"\nholdout = 0.1', "", r"source 'posts': .*or `evaluation` alone"),
        ('"negative"', '"sad"', r"'posts': labels: 'sad' is not a sentiment; there are negative, neutral, positive\n"),
        ('"negative"', '"Macro"', r"source 'posts': labels: 'Macro' is not a sentiment; there are negative, "),
        ('bad = "negative"', '0 = "up", 1 = "down"', r"labels: 'down' is not a sentiment, nor are 1 more; there are "),
        ('"negative"', "1", r"source 'posts': labels\.bad = 1: Input should be a valid string"),
        (
            "holdout = 0.1",
            "calibrates = false",
            r"no source of the sentiment has `calibrates`, so nothing says how sure",
        ),
        ("labels =", "label_map =", r"source 'posts': label_map is no key\n  Did you mean `labels`\?$"),
        ('name = "one"', 'nome = "one"', r"recipe\.toml: nome is no key\n  Did you mean `name`\?$"),
        ('name = "one"', "", r"recipe\.toml: name is missing\n  `name`: First part of"),
        ('name = "posts"', "", r"recipe\.toml: source 1, which has no name: name is missing\n"),
        ('"sentiment"', '"mood"', r"source 'posts': head = 'mood': Input should be 'topic' or 'sentiment'\n"),
        ("[[sources]]", "[training]\nxyz = 1\n[[sources]]", r"training\.xyz is no key\n  Known there: epochs, adv"),
        (
            "[encoder]",
            "epochs = 3\n[encoder]",
            r"epochs.*\n  `epochs` belongs under \[training\] or under \[training\.d",
        ),
        ("[encoder]", "repeat = 3\n[encoder]", r"repeat is no key\n  `repeat` belongs under \[\[sources\]\]\."),
        ("[[sources]]", "[sources]", r"sources: .*\n  `sources`: A table \[\[sources\]\] for each set\."),
        ('name = "one"', "extends = 3", r"recipe\.toml: extends = 3: is no name"),
        ("[encoder]", '[encoder]\npackage = "p"', "encoder: .*either `package`, `folder` or `hub`\n  Compare"),
        ("[encoder]", "[encoder", "not TOML"),
        ("[[sources]]", 'leaks = "ignore"\n[[sources]]', r"encoder\.leaks is no key\n  `leaks` belongs at the top"),
        (
            "[encoder]",
            'leaks = "ignore"\n[encoder]',
            r"recipe\.toml: leaks = 'ignore': Input should be 'refuse' or 'drop'",
        ),
        (
            "labels =",
            "label_pattern = '(up'\nlabels =",
            r"source 'posts': label_pattern = '\(up': not a regular expression: missing \)",
        ),
        (
            "labels =",
            "label_pattern = 'up'\nlabels =",
            r"source 'posts': label_pattern = 'up': needs exactly one group",
        ),
        ("labels =", "label_pattern = '(u)(p)'\nlabels =", r"'posts': label_pattern = .*: needs exactly one group"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    read(tmp_path, GOOD)
    with pytest.raises(InputError, match=said):
        read(tmp_path, GOOD.replace(old, new))


def test_all_mistakes_are_named_misspelt_keys_first(tmp_path: Path) -> None:
    wrong = GOOD.replace("holdout = 0.1", "holdout = 2\nrepeat = 0\nowned = true").replace('"negative"', '"sad"')
    with pytest.raises(InputError) as refused:
        read(tmp_path, wrong)
    what, *lines = refused.value.message.splitlines()
    assert what == f"{tmp_path}/recipe.toml: 4 mistakes"
    assert [line.split(":")[1].split()[0] for line in lines] == ["owned", "holdout", "repeat", "labels"]
    assert lines[0] == "  source 'posts': owned is no key. Did you mean `own`?"
    assert refused.value.fix == "Compare with model/configs/default.toml."
    with pytest.raises(InputError, match=r"7 mistakes\n(  source 'posts': .*\n){5}  and 2 more\n  Compare"):
        read(tmp_path, wrong.replace("owned", 'weight = 0\nlabel_pattern = ")"\nevaluation = 3\nowned'))


def test_a_mistake_in_the_only_source_is_not_told_as_a_recipe_without_any(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*recipe\.toml: sources: there is none\n"):
        read(tmp_path, "sources = []\n" + GOOD[: GOOD.index("[[sources]]")])


def test_a_recipe_without_an_encoder_measures_and_does_not_train(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD.replace('[encoder]\nfolder = "encoder"', ""))
    assert not found.encoder.is_named
    with pytest.raises(InputError, match=r"^given\.toml: has no \[encoder\]\n  Name one, .* or give .* by --encoder\."):
        found.require_encoder(Path("given.toml"))
    with pytest.raises(InputError, match=r"the recipe has no \[encoder\]"):
        found.encoder.locate()
    found.changed(encoder=tmp_path).require_encoder(Path("given.toml"))
    assert found.changed(encoder=tmp_path, seed=2).encoder == Encoder(folder=tmp_path)
    with pytest.raises(InputError, match="encoder: give either `package`, `folder` or `hub`"):
        read(tmp_path, GOOD.replace('folder = "encoder"', "layers = 3"))


def test_a_folder_begins_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the key's description says: the recipe may stand elsewhere."""
    (tmp_path / "here" / "encoder").mkdir(parents=True)
    (tmp_path / "here" / "encoder" / "config.json").write_text("{}")
    found = read(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path / "here")
    assert found.encoder.locate().resolve() == tmp_path / "here" / "encoder"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^encoder: no encoder here\n.* begins at the working directory"):
        found.encoder.locate()


def test_another_encoder_is_cut_as_the_recipe_s_and_any_seed_is_taken(tmp_path: Path) -> None:
    cut = read_recipe(CONFIGS / "default.toml")
    assert None not in (cut.encoder.layers, cut.encoder.vocabulary)
    found = cut.changed(encoder=tmp_path, seed=0)
    assert found.encoder == Encoder(folder=tmp_path, layers=cut.encoder.layers, vocabulary=cut.encoder.vocabulary)
    assert (found.seed, found.training, cut.changed()) == (0, cut.training, cut)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = GOOD + GOOD[GOOD.index("[[sources]]") :]
    with pytest.raises(InputError, match=r"recipe\.toml: sources: 'posts' is the name of two, number 1 and number 2"):
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
