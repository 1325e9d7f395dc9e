"""The commands against a real broker: what is published can be dumped, and errors are said without a traceback."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from model.bundle import DEFAULT_BUNDLE
from stream.broker import BrokerSettings
from stream.topics import Topics
from tests.integration.commands import Finsentry
from tests.integration.logs import wait_until

ARCHIVE = 'Time,Headlines\n2 May 2020,"Second, on\ntwo lines"\n1 May 2020,First\nsoon,Undated\n'


def lines(done: subprocess.CompletedProcess[str]) -> list[Any]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What was said, which is a message and what to do, and nothing else."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    message, fix = done.stderr.strip().splitlines()
    assert message.startswith("finsentry: ")
    assert fix.startswith("  ")
    return message


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.csv"
    path.write_text(ARCHIVE)
    return path


def test_a_replay_accounts_for_every_row_and_dump_shows_what_was_published(
    finsentry: Finsentry, topics: Topics, archive: Path
) -> None:
    (done,) = lines(finsentry.run("replay", archive, "--json"))
    dumped = lines(finsentry.run("dump", "documents"))

    assert (done["rows"], done["rejected"], done["published"], done["duplicates"]) == (3, 1, 2, 0)
    assert done["rejections"][0]["where"].startswith("row 4")
    assert {record["value"]["text"] for record in dumped} == {"First", "Second, on two lines"}
    for record in dumped:
        assert set(record) == {"partition", "offset", "timestamp", "key", "value"}
        assert record["key"] == record["value"]["story"]


def test_a_second_replay_recognises_every_document(finsentry: Finsentry, topics: Topics, archive: Path) -> None:
    finsentry.run("replay", archive)

    (done,) = lines(finsentry.run("replay", archive, "--json"))

    assert (done["published"], done["duplicates"]) == (2, 2)
    assert len(lines(finsentry.run("dump", "documents"))) == 2


def test_dump_takes_another_prefix(finsentry: Finsentry, topics: Topics, archive: Path) -> None:
    finsentry.run("replay", archive)
    prefix = finsentry.environment.pop("FINSENTRY_TOPICS__PREFIX")

    assert len(lines(finsentry.run("dump", "documents", "--prefix", prefix))) == 2


def test_dump_follows_until_it_is_told_to_stop(finsentry: Finsentry, topics: Topics, archive: Path) -> None:
    following = finsentry.start("dump", "documents", "--follow")
    finsentry.run("replay", archive)

    wait_until(lambda: following.output().count("\n") == 2, seconds=30, what="both documents are dumped")
    following.stop(seconds=60)

    assert following.output().count("\n") == 2
    assert following.exit_code == 0


def test_an_unknown_topic_is_refused_with_the_nearest(finsentry: Finsentry, topics: Topics) -> None:
    assert "there is no topic alert" in refused(finsentry.run("dump", "alert"), 2)


def test_a_topic_that_nobody_made_yet_is_said(finsentry: Finsentry) -> None:
    assert "has no topic" in refused(finsentry.run("dump", "alerts"), 2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "is empty"),
        ("binary.csv", b"\x00\x01\x02", "is a binary file"),
        ("columns.csv", b"a,b\n1,2\n", "has no text column"),
        ("missing.csv", None, "does not exist"),
    ],
)
def test_a_file_that_is_no_archive_is_refused_by_name(
    finsentry: Finsentry, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    message = refused(finsentry.run("replay", name), 2)

    assert name in message
    assert said in message


def test_a_directory_is_refused_by_name(finsentry: Finsentry, tmp_path: Path) -> None:
    assert "is a directory" in refused(finsentry.run("replay", tmp_path), 2)


def test_a_wrong_settings_key_is_refused_by_name(finsentry: Finsentry) -> None:
    finsentry.environment["FINSENTRY_TOPICS__PARTITION"] = "4"

    assert "FINSENTRY_TOPICS__PARTITION is no setting" in refused(finsentry.run("dump", "alerts"), 2)


def test_the_example_of_classify_says_negative(finsentry: Finsentry) -> None:
    (answer,) = lines(finsentry.run("classify", "-", text="Regulator shuts down lender after run on deposits\n"))

    assert answer["sentiment"] == "negative"
    assert set(answer) == {"text", "topic", "topic_probability", "sentiment", "probabilities", "model"}
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_classify_says_which_bundle_read_a_text_and_which_language_has_none(finsentry: Finsentry) -> None:
    finsentry.environment["FINSENTRY_MODEL__LANGUAGES__ZH"] = str(DEFAULT_BUNDLE)
    texts = ("银行股价大跌", "Regulator shuts down lender after run on deposits", "$TSLA")
    answers = lines(finsentry.run("classify", "-", text="\n".join(texts)))
    assert [answer["text"] for answer in answers] == list(texts)
    assert [(answer["language"], answer["fallback"]) for answer in answers] == [
        ("zh", False),
        ("en", False),
        ("", True),
    ]
    explained = json.loads(finsentry.run("explain", texts[0], "--json").stdout)
    assert len(explained["words"]) > 1


def test_classify_passes_over_what_is_no_text(finsentry: Finsentry, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_bytes(b"Shares fall\nCaf\xe9\nShares rise\n")

    done = finsentry.run("classify", "texts.txt")

    assert [answer["text"] for answer in lines(done)] == ["Shares fall", "Shares rise"]
    assert "texts.txt, line 2: it is not valid UTF-8: byte 0xE9" in done.stderr


def test_a_bundle_with_one_byte_changed_is_refused(finsentry: Finsentry, tmp_path: Path, checkout: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in (checkout / "model" / "bundles" / "default").iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    model = bytearray((bundle / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (bundle / "model.onnx").write_bytes(model)
    finsentry.environment["FINSENTRY_MODEL__BUNDLE"] = str(bundle)

    assert "model.onnx" in refused(finsentry.run("classify", "-", text="Shares fall\n"), 2)


def test_a_run_that_fails_says_last_which_role_why_what_to_do_and_where_its_log_is(
    finsentry: Finsentry, tmp_path: Path
) -> None:
    (tmp_path / "bundle").mkdir()
    finsentry.environment["FINSENTRY_MODEL__BUNDLE"] = str(tmp_path / "bundle")
    finsentry.environment["FINSENTRY_CONSOLE__PORT"] = "0"

    done = finsentry.run("up", "--simulate")

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(f"what it made is in {tmp_path / 'data' / 'live'}")
    message, fix = done.stderr.splitlines()
    assert message.startswith("finsentry: worker-1 ended (exit code 2): ")
    assert str(tmp_path / "bundle") in message
    assert "finsentry export" in fix
    log = Path(fix.rpartition("its log is ")[2])
    assert message.rpartition("): ")[2] in log.read_text()


def test_doctor_finds_the_broker_and_its_topics(finsentry: Finsentry, topics: Topics, kafka: BrokerSettings) -> None:
    checks = json.loads(finsentry.run("doctor", "--json").stdout)

    found = {check["name"]: check for check in checks}
    assert (found["broker"]["state"], found["topics"]["state"]) == ("ok", "ok")
    assert "verified" in found["bundle"]["found"]
    assert kafka.bootstrap_servers in found["broker"]["found"]
    assert (found["copies"]["state"], "one broker" in found["copies"]["found"]) == ("note", True)
    assert "in sync" not in found
