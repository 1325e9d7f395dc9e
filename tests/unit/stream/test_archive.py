"""Scored documents in files: each once, whatever is killed."""

from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.archive import (
    SCHEMA,
    UNFINISHED,
    Entry,
    Part,
    Shelf,
    parts_in,
    read_archive,
    remove_unfinished,
    shelves,
    write_parts,
)
from stream.errors import InputError
from tests.unit.stream.histories import START, scored_log

NOWHERE = Shelf(0, -1)


def entries(seed: int, documents: int = 60, *, partition: int = 0) -> list[Entry]:
    """A log with repeats and dead records over some days."""
    random = Random(seed)
    log = scored_log(random, documents)
    appended = START
    found = []
    for offset, document in enumerate(log):
        appended += timedelta(minutes=random.choice((0, 0, 1, 500, 500, -600)))
        found.append(Entry(partition, offset, appended, document))
    return found


def expected(log: list[Entry]) -> list[Entry]:
    """Each origin's first record, where that is no dead one."""
    kept, seen = [], -1
    for entry in log:
        if entry.document.origin > seen:
            seen = entry.document.origin
            if not entry.document.dead:
                kept.append(entry)
    return kept


@settings(max_examples=25)  # each waits for the disk
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_each_document_is_archived_once_whatever_crashes(
    tmp_path_factory: pytest.TempPathFactory, seed: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    log = entries(seed, 20)
    shelf = NOWHERE
    while shelf.position < len(log):
        end = data.draw(st.integers(shelf.position + 1, len(log)), label="read up to")
        before = set(parts_in(folder))
        shelf = write_parts(folder, 0, log[shelf.position : end], shelf, end).shelf
        if data.draw(st.booleans(), label="killed"):
            written = sorted(set(parts_in(folder)) - before)
            lost = data.draw(st.integers(0, len(written)), label="files that were not written")
            for part in written[len(written) - lost :]:
                path = folder / part.name
                path.rename(path.with_name(UNFINISHED + path.name))
            shelf = shelves(folder).get(0, NOWHERE)
    assert list(read_archive(folder)) == expected(log)
    assert sorted(pd.read_parquet(folder)["offset"]) == [entry.offset for entry in expected(log)]


def test_the_files_of_one_partition_stand_for_stretches_that_follow_each_other(tmp_path: Path) -> None:
    log = entries(3)
    log[-1] = log[-1]._replace(document=msgspec.structs.replace(log[-1].document, dead=True))
    written = write_parts(tmp_path, 0, log, NOWHERE, len(log))
    parts = parts_in(tmp_path)
    assert written.files == len(parts) > 1
    assert [part.first for part in parts] == [0, *(part.last + 1 for part in parts[:-1])]
    assert parts[-1].last == len(log) - 1
    assert shelves(tmp_path) == {0: Shelf(len(log), log[-1].document.origin)}


def test_pandas_reads_the_whole_folder(tmp_path: Path) -> None:
    count = 0
    for partition in (0, 1):
        log = entries(partition, partition=partition)
        count += write_parts(tmp_path, partition, log, NOWHERE, len(log)).documents
    frame = pd.read_parquet(tmp_path)
    assert len(frame) == count
    assert set(frame.columns) == {*SCHEMA.names, "day"}
    assert str(frame["published_at"].dtype) == "datetime64[us, UTC]"
    assert not frame.duplicated(["partition", "origin"]).any()


def test_a_stretch_without_documents_leaves_no_file(tmp_path: Path) -> None:
    dead = [one for one in entries(1) if one.document.dead][:1]
    shelf, documents, files = write_parts(tmp_path, 0, dead, NOWHERE, dead[0].offset + 1)
    assert (documents, files, parts_in(tmp_path)) == (0, 0, [])
    assert shelf.position == dead[0].offset + 1


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no archive here"):
        list(read_archive(tmp_path))
    log = entries(5)
    write_parts(tmp_path, 0, log[:9], NOWHERE, 9)
    part = parts_in(tmp_path)[-1]
    path = tmp_path / part.name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=f"{part.last:012}.parquet: cannot be read"):
        list(read_archive(tmp_path))
    with pytest.raises(InputError, match="not a file of an archive"):
        shelves(tmp_path)
    pd.DataFrame({"id": ["1"]}).to_parquet(path)
    with pytest.raises(InputError, match="not a file of an archive: KeyError"):
        shelves(tmp_path)


def test_what_a_killed_writer_had_begun_is_removed_and_nothing_else(tmp_path: Path) -> None:
    write_parts(tmp_path, 0, entries(6, 12), NOWHERE, 12)
    whole = set(tmp_path.rglob("*"))
    (tmp_path / parts_in(tmp_path)[0].name).with_name(f"{UNFINISHED}0-12-20.parquet").write_bytes(b"PAR1")
    remove_unfinished(tmp_path)
    assert set(tmp_path.rglob("*")) == whole


@pytest.mark.parametrize(
    ("partition", "first", "mixed"), [(0, 0, True), (0, 7, True), (0, 8, False), (1, 0, False), (1, 7, False)]
)
def test_two_archives_in_one_folder_are_not_mixed(tmp_path: Path, partition: int, first: int, mixed: bool) -> None:
    log = [entry for entry in entries(6, 12) if not entry.document.dead]
    write_parts(tmp_path, 0, log[:1], Shelf(0, -1), 8)
    later = log[0]._replace(partition=partition, appended=log[0].appended + timedelta(days=3))
    write_parts(tmp_path, partition, [later], Shelf(first, -1), 12)
    if mixed:
        with pytest.raises(InputError, match="stand for the same records"):
            parts_in(tmp_path)
    else:
        assert [(part.partition, part.first, part.last) for part in parts_in(tmp_path)] == [
            (0, 0, 7),
            (partition, first, 11),
        ]
        assert shelves(tmp_path) == {0: Shelf(12 if not partition else 8, 0)} | {partition: Shelf(12, 0)}


@pytest.mark.parametrize(
    "name", ["day=2026-02-30/0-0-5.parquet", "day=2026-02-28/0-5.parquet", "day=today/0-0-5.parquet"]
)
def test_what_bears_another_name_is_no_file_of_an_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    assert parts_in(tmp_path) == []


def test_a_file_that_could_not_be_written_whole_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_table: object, path: Path, **_: object) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stream.archive.pq.write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_parts(tmp_path, 0, entries(6, 12), NOWHERE, 12)
    assert shelves(tmp_path) == {}


def test_every_field_survives(tmp_path: Path) -> None:
    entry = next(one for one in entries(7) if not one.document.dead)
    full = entry._replace(
        document=msgspec.structs.replace(
            entry.document,
            url="https://news.example/1",
            source="wire",
            source_kind="news",
            topic_probability=0.25,
            language="fr",
            fallback=True,
        )
    )
    write_parts(tmp_path, 0, [full], NOWHERE, full.offset + 1)
    assert list(read_archive(tmp_path)) == [full]
    assert Part(0, 0, full.offset, full.appended.date()) in parts_in(tmp_path)
