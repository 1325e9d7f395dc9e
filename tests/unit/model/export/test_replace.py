"""A new bundle in the place of an old one: whole, whatever is killed, and nobody's files gone."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model.bundle import FORMAT, Bundle, HeadModel, Manifest, Temperatures, write_manifest
from model.errors import BundleError
from model.export.replace import beside, replace_bundle
from model.labels import SENTIMENTS, TOPICS, Head

KILLED = """
import os, signal, sys
from pathlib import Path
from model.export.replace import replace_bundle

for number, root in enumerate(map(Path, sys.argv[1:]), 1):
    if not os.fork():
        left = number
        def watch(event, _):
            global left
            if event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        replace_bundle(root / "bundle", root / "draft")
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
"""Replaces the bundle of each folder that it is given, and is killed before the nth change of the nth."""


def made(folder: Path, version: str, *heads: Head) -> Path:
    """A bundle whose files are nothing but different, with a card."""
    for path in (folder, *(folder / head for head in heads)):
        path.mkdir(parents=True, exist_ok=True)
        for name in ("model.onnx", "tokenizer.json"):
            (path / name).write_text(f"{name} of {version}", encoding="utf-8")
    manifest = Manifest(
        format=FORMAT,
        version=version,
        precision="int8",
        topics=TOPICS,
        sentiments=SENTIMENTS,
        maximum_length=16,
        temperatures=Temperatures(),
        files={},
        heads={head: HeadModel(precision="int8", maximum_length=16) for head in heads},
    )
    write_manifest(folder, manifest)
    (folder / "MODEL_CARD.md").write_text(version, encoding="utf-8")
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


PLAIN = {"model.onnx", "tokenizer.json", "bundle.json", "MODEL_CARD.md"}
COMPOSED = PLAIN | {"sentiment", "sentiment/model.onnx", "sentiment/tokenizer.json"}


def test_whoever_is_killed_leaves_a_whole_bundle(tmp_path: Path) -> None:
    roots = [tmp_path / str(number) for number in range(1, 15)]
    for root in roots:
        made(root / "bundle", "old", "sentiment")
        made(root / "draft", "new")
    command = [sys.executable, "-c", KILLED, *map(str, roots)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert set(ended) == {"0", str(-signal.SIGKILL)}
    assert ended[-1] == "0", "there are more changes than kills"
    absent = 0
    for root in roots:
        if not (root / "bundle").exists():
            absent += 1
            (old,) = root.glob("bundle.replaced-*")
            old.rename(root / "bundle")
        bundle = Bundle.load(root / "bundle")
        assert names(root / "bundle") == (COMPOSED if bundle.manifest.heads else PLAIN)
    assert absent == 1, "between the two renames"


def test_what_a_name_leads_to_is_on_the_disk_before_the_name_and_the_name_before_the_old_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "bundle", "old")
    new = made(tmp_path / "draft", "new", "sentiment")
    wanted = {path.stat().st_ino for path in (new, *new.rglob("*"))}
    log: list[str | int] = []
    monkeypatch.setattr("os.fsync", lambda descriptor: log.append(os.fstat(descriptor).st_ino))
    rename = Path.rename

    def watched(path: Path, to: Path) -> Path:
        log.append("rename")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", watched)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: log.append("delete"))
    replace_bundle(tmp_path / "bundle", new)
    assert set(log[: log.index("rename")]) == wanted
    assert log[log.index("rename") :] == ["rename", "rename", tmp_path.stat().st_ino, "delete"]


@pytest.mark.parametrize("heads", [(), ("sentiment",)])
def test_nothing_of_the_old_one_is_left(tmp_path: Path, heads: tuple[Head, ...]) -> None:
    folder = made(tmp_path / "bundle", "old", "sentiment", "topic")
    folder.chmod(0o2750)
    replace_bundle(folder, made(tmp_path / "draft", "new", *heads))
    assert Bundle.load(folder).manifest.version.startswith("new-")
    assert names(folder) == (COMPOSED if heads else PLAIN)
    assert names(tmp_path) == {"bundle", *(f"bundle/{name}" for name in names(folder))}
    assert folder.stat().st_mode & 0o7777 == 0o2750


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another group")
def test_who_was_let_in_by_its_group_still_is(tmp_path: Path) -> None:
    folder = made(tmp_path / "bundle", "old")
    os.chown(folder, 4321, 1234)
    folder.chmod(0o2750)
    replace_bundle(folder, made(tmp_path / "draft", "new"))
    assert Bundle.load(folder).manifest.version.startswith("new-")
    assert (folder.stat().st_uid, folder.stat().st_gid, folder.stat().st_mode & 0o7777) == (4321, 1234, 0o2750)


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a damaged bundle"])
def test_where_no_bundle_was_is_one_now(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "bundle"
    if what != "nothing":
        folder.mkdir()
    if what == "a damaged bundle":
        (made(folder, "old") / "bundle.json").write_text("{", encoding="utf-8")
    replace_bundle(folder, made(tmp_path / "draft", "new"))
    assert Bundle.load(folder).manifest.version.startswith("new-")
    assert names(tmp_path) == {"bundle", *(f"bundle/{name}" for name in PLAIN)}


@pytest.mark.parametrize("own", ["notes.txt", "empty/", "sentiment/notes.txt", "topic/model.onnx"])
def test_somebody_s_own_files_stay_and_those_of_the_old_one_go(tmp_path: Path, own: str) -> None:
    """`topic` is not the bundle's here: nothing in its manifest says so."""
    folder = made(tmp_path / "bundle", "old", "sentiment")
    if own.endswith("/"):
        (folder / own).mkdir()
    else:
        (folder / own).parent.mkdir(exist_ok=True)
        (folder / own).write_text("my own", encoding="utf-8")
    replace_bundle(folder, made(tmp_path / "draft", "new"))
    assert Bundle.load(folder).manifest.version.startswith("new-")
    mine = {own.removesuffix("/"), *(str(one) for one in Path(own).parents if one != Path())}
    assert names(folder) == PLAIN | mine


def test_a_folder_that_cannot_be_renamed_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mount point cannot."""
    folder, rename = made(tmp_path / "bundle", "old", "sentiment"), os.rename

    def busy(source: Path, target: Path) -> None:
        if Path(source) == folder:
            raise OSError(16, "Device or resource busy")
        rename(source, target)

    monkeypatch.setattr("os.rename", busy)
    replace_bundle(folder, made(tmp_path / "draft", "new"))
    assert Bundle.load(folder).manifest.version.startswith("new-")
    assert names(folder) == PLAIN


def test_where_the_new_one_does_not_go_in_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, draft = made(tmp_path / "bundle", "old"), made(tmp_path / "draft", "new")
    rename = os.rename

    def full(source: Path, target: Path) -> None:
        if Path(source) == draft:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr("os.rename", full)
    with pytest.raises(OSError, match="No space"):
        replace_bundle(folder, draft)
    assert Bundle.load(folder).manifest.version.startswith("old-")
    assert not list(tmp_path.glob("bundle.*"))


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    made(tmp_path / "store" / "bundle", "old")
    (tmp_path / "live").symlink_to(tmp_path / "store" / "bundle")
    with beside(tmp_path / "live") as scratch:
        assert scratch.parent == tmp_path / "store"
        replace_bundle(tmp_path / "live", made(scratch / "draft", "new"))
    assert (tmp_path / "live").is_symlink()
    assert Bundle.load(tmp_path / "store" / "bundle").manifest.version.startswith("new-")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["bundle"]


def test_whoever_works_in_the_folder_finds_the_new_one_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made(tmp_path / "bundle", "old", "sentiment"))
    replace_bundle(Path(), made(tmp_path / "draft", "new"))
    assert Bundle.load(Path()).manifest.version.startswith("new-")
    assert names(Path()) == PLAIN


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_text("my own", encoding="utf-8")
    with pytest.raises(FileExistsError):
        replace_bundle(tmp_path / "bundle", made(tmp_path / "draft", "new"))
    assert (tmp_path / "bundle").read_text(encoding="utf-8") == "my own"


def test_files_that_are_moved_in_one_by_one_are_refused_until_all_are_there(tmp_path: Path) -> None:
    folder, draft = made(tmp_path / "bundle", "old"), made(tmp_path / "draft", "new")
    (folder / "notes.txt").touch()
    shutil.move(draft / "model.onnx", folder / "model.onnx")
    with pytest.raises(BundleError, match=r"model\.onnx: damaged"):
        Bundle.load(folder)
    (draft / "model.onnx").write_text("model.onnx of new", encoding="utf-8")
    replace_bundle(folder, draft)
    assert Bundle.load(folder).manifest.version.startswith("new-")
