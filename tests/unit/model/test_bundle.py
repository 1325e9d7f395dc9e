import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest

from model.bundle import FILES, SHIPPED, Bundle, Manifest, digest_of, located, write_manifest
from model.errors import BundleError

LIMITS = {"default": 25_000_000}
"""What the repository bears: the shipped bundles come with every clone."""


@pytest.fixture
def bundle(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = True) -> None:
    path = folder / "bundle.json"
    raw = json.loads(path.read_bytes())
    change(raw)
    if sign:
        raw["digest"] = digest_of(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")


def test_an_untouched_bundle_loads(bundle: Path) -> None:
    assert Bundle.load(bundle).manifest.version.startswith("tiny-int8-")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("position", [0, 1000, -1])
def test_one_changed_byte_is_found(bundle: Path, name: str, position: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[position] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: damaged.*\n.*Restore the folder"):
        Bundle.load(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_found(bundle: Path, name: str) -> None:
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[:-1])
    with pytest.raises(BundleError, match=f"{name}: {len(content) - 1} bytes instead of {len(content)}"):
        Bundle.load(bundle)


@pytest.mark.parametrize("name", [*FILES, "bundle.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: cannot be read: No such file"):
        Bundle.load(bundle)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere: no such bundle folder"):
        Bundle.load(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"'])
def test_a_manifest_that_is_no_json_object_is_named(bundle: Path, content: bytes) -> None:
    (bundle / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json: not a JSON object"):
        Bundle.load(bundle)


def test_a_changed_temperature_is_found_though_no_file_holds_it(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw["temperatures"].update(topic=9.0), sign=False)
    with pytest.raises(BundleError, match=r"bundle\.json: its content is not what its `digest` says"):
        Bundle.load(bundle)


def test_a_newer_format_says_to_use_the_newer_version(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw.update(format=3))
    with pytest.raises(BundleError, match="format 3, but this version reads 1 and 2"):
        Bundle.load(bundle)


def test_a_field_that_a_later_version_added_is_ignored(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw.update(languages=["en", "zh"]))
    Bundle.load(bundle)


def test_a_manifest_from_before_bundles_had_a_language_is_of_an_english_one(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: [raw.pop(name) for name in ("language", "by_topic", "lost")])
    manifest = Bundle.load(bundle).manifest
    assert (manifest.language, manifest.by_topic, manifest.lost) == ("en", {}, None)


def test_a_histogram_takes_one_line(bundle: Path) -> None:
    lines = (bundle / "bundle.json").read_text(encoding="utf-8").splitlines()
    assert any(line.strip().startswith('"sentiments": [ ') and line.strip().strip(",").endswith("]") for line in lines)


def test_a_missing_field_is_named(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw.pop("temperatures"))
    with pytest.raises(BundleError, match=r"bundle\.json: .*`temperatures`"):
        Bundle.load(bundle)


def test_topics_in_another_order_are_refused(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw["topics"].reverse())
    with pytest.raises(BundleError, match="`topics`: label 0 is 'Stock Movement', not 'Analyst Update'"):
        Bundle.load(bundle)


def test_another_number_of_sentiments_is_refused(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw["sentiments"].append("mixed"))
    with pytest.raises(BundleError, match="`sentiments`: 4 labels, not 3"):
        Bundle.load(bundle)


def test_a_manifest_that_does_not_name_a_file_is_refused(bundle: Path) -> None:
    change_manifest(bundle, lambda raw: raw["files"].pop("tokenizer.json"))
    with pytest.raises(BundleError, match=r"bundle\.json: `files` does not name tokenizer\.json"):
        Bundle.load(bundle)


def test_writing_measures_the_files_and_names_the_model_in_the_version(tiny_bundle: Bundle, bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"another model")
    written = write_manifest(bundle, msgspec.structs.replace(tiny_bundle.manifest, version="next"))
    assert written.files["model.onnx"].size == 13
    assert re.fullmatch("next-[0-9a-f]{8}", written.version)
    assert Bundle.load(bundle).manifest == written


def test_what_changes_an_answer_changes_the_version(tiny_bundle: Bundle, bundle: Path) -> None:
    manifest = msgspec.structs.replace(tiny_bundle.manifest, version="next")
    temperatures = msgspec.structs.replace(manifest.temperatures, topic=manifest.temperatures.topic + 0.1)
    others = (
        msgspec.structs.replace(manifest, temperatures=temperatures),
        msgspec.structs.replace(manifest, maximum_length=manifest.maximum_length - 1),
    )
    versions = {write_manifest(bundle, one).version for one in (manifest, *others)}
    assert len(versions) == 3
    noted = msgspec.structs.replace(manifest, made={"note": "changes nothing"})
    assert write_manifest(bundle, noted).version in versions


def test_a_model_whose_weights_lie_in_other_files_is_refused(tiny_float_bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_float_bundle.folder, tmp_path / "bundle"))
    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    write_manifest(folder, tiny_float_bundle.manifest)
    with pytest.raises(BundleError, match=r"model\.onnx: keeps weights in other files, which nothing verifies"):
        Bundle.load(folder)


def test_the_manifest_survives_json(tiny_bundle: Bundle) -> None:
    manifest = tiny_bundle.manifest
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest


def test_what_is_shipped_has_a_limit_each() -> None:
    assert {path.name for path in SHIPPED.iterdir()} == set(LIMITS)


@pytest.mark.parametrize("name", LIMITS)
def test_a_shipped_bundle_is_whole_and_small(name: str) -> None:
    bundle = Bundle.load(Path(name))
    assert bundle.folder == SHIPPED / name
    assert bundle.manifest.precision == "int8"
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) <= LIMITS[name]


@pytest.mark.parametrize("name", LIMITS)
def test_a_shipped_bundle_says_how_good_it_is_on_each_held_out_set(name: str) -> None:
    metrics = Bundle.load(Path(name)).manifest.metrics
    assert metrics["twitter_topic.validation/topic"].accuracy > 0.86
    assert metrics["twitter_sent.validation/sentiment"].accuracy > 0.86
    assert metrics["sentfin.holdout/sentiment"].accuracy > 0.84


def test_a_folder_here_comes_before_a_shipped_bundle_of_its_name(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.rename(tmp_path / "default")
    monkeypatch.chdir(tmp_path)
    assert Bundle.load(Path("default")).folder == Path("default")
    assert located(Path("elsewhere/default")) == Path("elsewhere/default")
