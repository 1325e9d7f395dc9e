"""What the command makes of what stands in `control`."""

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import pytest

from deploy.cli import run
from deploy.commands.promote import Teller, rolled_back, run_shadow, shadowed
from deploy.errors import FinSentryError
from deploy.promoting import Answer, Campaign, State, answers, read_bundle, total
from model.bundle import DEFAULT_BUNDLE
from model.errors import BundleError
from stream.control import ControlTable, promote, worker_key
from stream.control_desk import ControlDesk
from stream.records import BundleRef, Disagreement, Progress, ProgressState, Promotion, WorkerReport, encode

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


def compared(documents: int, state: State = "shadowing") -> Answer:
    found = Disagreement(documents=documents, topics=documents // 10, sentiment_matrix={"neutral": {"neutral": 1}})
    return Answer(worker="w1", state=state, model="a", disagreement=found)


def in_brief(documents: int) -> str:
    return f"{documents} compared, 10.0% another topic, 0.0% another sentiment"


def watch(*, quiet: bool) -> None:
    """A shadow's answers, as they are looked at from its start to its end."""
    times = iter([0.0, 1.0, 1.2, 2.0, 31.0])
    teller = Teller(quiet=quiet, monotonic=lambda: next(times))
    for documents in (100, 100, 200, 300):
        teller([compared(documents)])
    teller([compared(400, "shadowed")])
    teller.wipe()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_is_told_now_and_then_how_far_a_shadow_is(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    watch(quiet=quiet)
    done = capsys.readouterr()
    assert done.err.splitlines() == ([] if quiet else [in_brief(100), in_brief(300)])
    assert [line.split()[1] for line in done.out.splitlines()] == ([] if quiet else ["shadowing", "shadowed"])


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_shows_it_in_one_line_which_is_gone_before_anything_else_is_said(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    watch(quiet=quiet)
    drawn = [f"\r\x1b[K{in_brief(documents)}" for documents in (100, 200, 300)]
    lines = [one.split()[1] if one.startswith("w1") else one for one in said]
    wiped = [*drawn, "\r\x1b[K"]
    assert lines == (wiped if quiet else ["shadowing", *wiped, "shadowed"])


def test_a_line_that_is_drawn_anew_is_no_longer_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    watch(quiet=True)
    assert max(len(part.removeprefix("\x1b[K")) for part in capsys.readouterr().err.split("\r")) == 19


def test_a_shadow_says_at_its_end_how_the_two_differ(capsys: pytest.CaptureFixture[str]) -> None:
    found = [compared(100, "shadowed"), msgspec.structs.replace(compared(100, "shadowed"), worker="w2")]
    assert shadowed("b", found, "data/b", as_json=False) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("200 documents compared: 10.00% get another topic")
    assert "  neutral              0           2           0" in said
    assert said[-1] == "nothing was changed; to make it live: finsentry promote data/b"

    assert shadowed("b", found, "data/b", as_json=True) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["disagreement"]["sentiments"]["neutral"] == {"negative": 0, "neutral": 2, "positive": 0}
    assert [worker["worker"] for worker in result["workers"]] == ["w1", "w2"]


@pytest.mark.parametrize(("found", "reason"), [([], "no worker runs"), ([compared(0, "shadowed")], "no document came")])
def test_a_shadow_that_compared_nothing_says_so(
    found: list[Answer], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shadowed("b", found, "data/b", as_json=False) == 1
    assert reason in capsys.readouterr().err


class Desk:
    """`control` with one worker, which says `states` of the promotion that stands, one each time it is read."""

    def __init__(self, *states: ProgressState) -> None:
        self.table = ControlTable()
        self.published: list[Promotion] = []
        self.ended = False
        self._states = list(states)
        told(self.table, "w1", "live", promotion="an earlier one")

    def read(self) -> None:
        if not self.published or not self._states:
            return
        wanted = self.published[-1]
        heard = Progress(promotion=wanted.id, state=self._states.pop(0))
        live, shadow = (None, heard) if wanted.mode == "shadow" else (heard, None)
        report = WorkerReport(worker="w1", at=NOW, model="a", live=live, shadow=shadow)
        self.table.put(worker_key("w1"), encode(report), 0)

    def publish(self, promotion: Promotion) -> int:
        self.published.append(promotion)
        self.table.put(promotion.mode.encode(), encode(promotion), 0)
        return 0

    def end_shadow(self) -> None:
        self.ended = True
        self.table.put(b"shadow", None, 0)


def campaign(desk: Desk, said: list[str], *, stopped: bool = False) -> Campaign:
    """Its clock goes on by as much as is slept."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Campaign(
        cast("ControlDesk", desk),
        wait=2.0,
        stopped=lambda: stopped,
        told=lambda found: said.extend(answer.state for answer in found),
        monotonic=lambda: now[0],
        sleep=sleep,
    )


BUNDLE = BundleRef(folder="/b", version="b")


def test_what_was_live_is_asked_for_again_without_a_word_where_a_worker_refuses() -> None:
    desk, said = Desk("loading", "loading", "refused", "loading", "live"), list[str]()
    found = campaign(desk, said).go_live(BUNDLE)
    assert [answer.state for answer in found] == ["refused"]
    assert said == ["loading", "refused"]
    assert [wanted.bundle for wanted in desk.published] == [BUNDLE, None]


def test_workers_have_so_long_to_answer() -> None:
    said: list[str] = []
    found = campaign(Desk("loading"), said).go_live(BUNDLE)
    assert [answer.state for answer in found] == ["loading"]
    assert 10 <= len(said) <= 12  # five looks a second


def test_a_shadow_that_is_stopped_is_ended_and_says_what_it_found() -> None:
    desk, said = Desk("loading", "loading", "loading", "shadowing", "shadowed"), list[str]()
    found = campaign(desk, said, stopped=True).shadow(BUNDLE, 60.0)
    assert desk.ended
    assert [answer.state for answer in found] == ["shadowed"]


def test_who_promotes_meanwhile_is_named() -> None:
    class Busy(Desk):
        def read(self) -> None:
            super().read()
            if self.published:
                self.table.put(b"live", encode(PROMOTION), 0)

    with pytest.raises(FinSentryError, match="another promotion took the place of b"):
        campaign(Busy("loading", "loading"), []).go_live(BUNDLE)


def test_a_shadow_that_fails_leaves_nothing_on_the_terminal_before_the_error() -> None:
    class Failing:
        def shadow(self, _bundle: BundleRef, _seconds: float) -> list[Answer]:
            raise FinSentryError("another promotion took the place of b")

    wiped: list[bool] = []
    with pytest.raises(FinSentryError):
        run_shadow(cast("Campaign", Failing()), BUNDLE, 60.0, "data/b", as_json=True, wipe=lambda: wiped.append(True))
    assert wiped == [True]
