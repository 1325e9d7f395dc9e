"""Encoders by name, through the hub's own client: it reads its settings when it is imported, so in processes apart."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.bundle import DEFAULT_BUNDLE, MANIFEST_FILE, Bundle, read_manifest
from model.data.hub import commit_of
from tests.unit.model.training.hub_server import COMMIT, hub_of
from tests.unit.model.training.test_compose import published

NAME = "tests/tiny-encoder"


CLASSIFIER = "Tests/FinBERT"


@pytest.fixture(scope="module")
def hub(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    finbert = published("bert", tmp_path_factory.mktemp("finbert"))
    with hub_of({NAME: tiny_encoder, CLASSIFIER: finbert}) as address:
        yield address


@pytest.fixture(scope="module")
def recipe(tiny_data: Path, tiny_encoder: Path) -> Path:
    text = (tiny_data / "recipe.toml").read_text(encoding="utf-8")
    assert f"folder = '{tiny_encoder}'" in text
    path = tiny_data / "from_hub.toml"
    path.write_text(text.replace(f"folder = '{tiny_encoder}'", f"hub = '{NAME}'"), encoding="utf-8")
    return path


def python(*arguments: object, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # The hub's settings of the machine must not reach it.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=kept | {"HF_HUB_CACHE": str(cache), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def train(recipe: Path, run: Path, *more: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    arguments = ["-m", "deploy", "train", recipe, "--data", recipe.parent, "--out", run, "--json", *more]
    return python(*arguments, cache=cache, **environment)


def fetched(cache: Path) -> Path:
    return cache / f"models--{NAME.replace('/', '--')}" / "snapshots" / COMMIT


def test_an_encoder_is_fetched_once_and_its_commit_stands_in_the_run(hub: str, recipe: Path, tmp_path: Path) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    done = train(recipe, run, "--epochs", "1", cache=cache, HF_ENDPOINT=hub)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["recipe"]["encoder"]
    assert (said["hub"], said["revision"]) == (NAME, COMMIT)
    assert {file.name for file in fetched(cache).iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    # The cache is enough from then on, and the commit that was found out makes it no other training.
    again = train(recipe, run, "--epochs", "1", "--resume", cache=cache, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr


def test_a_published_classifier_is_fetched_and_becomes_a_bundle(hub: str, tmp_path: Path) -> None:
    """Without tokenizer.json, as FinBERT is; beside the bundle that is shipped."""
    arguments = ["-m", "deploy", "export", "--hub", CLASSIFIER, "--out", tmp_path / "bundle", "--json"]
    done = python(*arguments, cache=tmp_path / "cache", HF_ENDPOINT=hub)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["made"]["composed"]
    assert (made["model"], made["commit"]) == (CLASSIFIER, COMMIT)
    shipped = read_manifest(DEFAULT_BUNDLE / MANIFEST_FILE).version
    assert Bundle.load(tmp_path / "bundle").manifest.version.startswith(f"{shipped}+finbert-")


@pytest.mark.parametrize(
    ("name", "revision", "environment", "said"),
    [
        pytest.param(NAME, "", {"HF_ENDPOINT": "http://127.0.0.1:1"}, "cannot be reached", id="no network"),
        pytest.param(NAME, "", {"HF_HUB_OFFLINE": "1"}, "is not in the cache", id="told to stay offline"),
        pytest.param("tests/none", "", {}, "the hub has no model tests/none", id="no such model"),
        pytest.param(NAME, "v9", {}, f"{NAME} has no revision v9", id="no such revision"),
        pytest.param("a/b/c", "", {}, "'a/b/c' is no name of a model", id="no name"),
    ],
)
def test_what_cannot_be_fetched_is_named_with_what_to_do(
    hub: str, tmp_path: Path, name: str, revision: str, environment: dict[str, str], said: str
) -> None:
    done = python("-c", LOCATE, name, revision, cache=tmp_path, **({"HF_ENDPOINT": hub} | environment))
    assert done.returncode == 0, done.stderr
    problem, fix = done.stdout.splitlines()
    assert problem.startswith("encoder.hub: ")
    assert said in problem
    assert fix.strip()


LOCATE = """
import sys
from model.errors import FinSentryError
from model.data.recipe import Encoder
try:
    Encoder(hub=sys.argv[1], revision=sys.argv[2] or None).locate()
except FinSentryError as error:
    print(error)
"""


def test_only_a_folder_of_the_cache_is_of_a_commit(tmp_path: Path) -> None:
    assert commit_of(fetched(tmp_path)) == COMMIT
    assert commit_of(tmp_path / "encoder") is None
