"""What the command makes of what stands in `control`."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from deploy.cli import run
from deploy.commands.promote import rolled_back
from deploy.promoting import Answer, State, answers, read_bundle, total
from model.bundle import DEFAULT_BUNDLE
from model.errors import BundleError
from stream.control import ControlTable, promote, worker_key
from stream.records import BundleRef, Disagreement, Progress, ProgressState, WorkerReport, encode

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PROMOTION = promote(BundleRef(folder="/b", version="b"), None, NOW)


def told(table: ControlTable, worker: str, state: ProgressState, promotion: str = PROMOTION.id) -> None:
    progress = Progress(promotion=promotion, state=state, reason="no room" if state == "refused" else "")
    report = WorkerReport(worker=worker, at=NOW, model="a", live=progress)
    table.put(worker_key(worker), encode(report), 0)


def test_asked_workers_answer_or_do_not_and_newcomers_count() -> None:
    table = ControlTable()
    told(table, "w1", "live")
    told(table, "w2", "refused")
    told(table, "w3", "live", promotion="an earlier one")
    told(table, "newcomer", "loading")
    told(table, "long dead", "live", promotion="an earlier one")

    found = answers(table, PROMOTION, {"w1", "w2", "w3", "has left"})

    assert [(answer.worker, answer.state, answer.reason) for answer in found] == [
        ("newcomer", "loading", ""),
        ("w1", "live", ""),
        ("w2", "refused", "no room"),
        ("w3", "unanswered", ""),
    ]


def test_disagreements_of_workers_are_added_up() -> None:
    one = Answer(worker="w1", state="shadowed", model="a", disagreement=Disagreement(documents=2, topics=1))
    other = Answer(worker="w2", state="shadowed", model="a", disagreement=Disagreement(documents=3, failed=1))
    none = Answer(worker="w3", state="unanswered", model="a")
    assert total([one, other, none]) == Disagreement(documents=5, topics=1, failed=1)
    assert total([]) == Disagreement()


def test_a_bundle_is_named_by_folder_version_and_digest_and_must_be_whole(tmp_path: Path) -> None:
    elsewhere = Path(shutil.copytree(DEFAULT_BUNDLE, tmp_path / "default"))
    found = read_bundle(elsewhere, None, "en")
    assert found.folder == str(elsewhere)
    assert found.version
    assert len(found.digest) == 64
    assert read_bundle(DEFAULT_BUNDLE, None, "en") == msgspec.structs.replace(found, folder="default")
    assert read_bundle(DEFAULT_BUNDLE, "/in/a/container", "en").folder == "/in/a/container"
    with pytest.raises(BundleError, match="no such bundle folder"):
        read_bundle(tmp_path / "none", None, "en")


def test_a_bundle_gets_the_texts_that_it_is_made_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["promote", "default", "--language", "zh"]) == 2
    assert "default: is made for texts in 'en', and would get those in 'zh'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of BUNDLE, --rollback and --status"),
        (["bundle", "--rollback"], "one of BUNDLE, --rollback and --status"),
        (["--status", "--shadow"], "--shadow needs BUNDLE"),
        (["bundle", "--language", "chinese"], "two small letters of ISO 639-1"),
        (["bundle", "--for", "3"], "goes with --shadow"),
        (["no/such/folder"], "no/such/folder: no such bundle folder"),
    ],
)
def test_what_does_not_go_together_is_said_before_a_broker_is_looked_for(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["promote", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("states", "code", "out", "err"),
    [
        (("live", "live"), 0, "live again: b", ""),
        (("live", "refused"), 1, "", "not everywhere: b; a rollback is not taken back"),
        (("live", "unanswered"), 1, "asked for again: b", "no answer in time from w1"),
    ],
)
def test_a_rollback_is_live_again_only_where_every_worker_says_so(
    states: tuple[State, ...], code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Answer(worker=f"w{number}", state=state, model="") for number, state in enumerate(states)]
    assert rolled_back(PROMOTION, found, as_json=False) == code
    said = capsys.readouterr()
    assert ("live again" in said.out) == (code == 0)
    assert out in said.out
    assert err in said.err
