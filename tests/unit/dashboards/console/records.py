"""Small records for the console's tests; every moment is counted from `START`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards.console.board import Board
from dashboards.console.settings import ConsoleSettings
from dashboards.console.state import ConsoleState
from stream.records import Alert, Bucket, Checkpoint, Evidence

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PARTITIONS = 2


def at(minute: float) -> datetime:
    """`minute` minutes after the start."""
    return START + timedelta(minutes=minute)


def evidence(title: str, *, negative: float = 0.9, minute: float = 0, url: str = "", language: str = "") -> Evidence:
    return Evidence(
        id=title,
        title=title,
        negative=negative,
        published_at=at(minute),
        source="wire",
        url=url,
        language=language,
    )


def bucket(
    topic: str,
    minute: int,
    *,
    stories: int = 1,
    negative: int = 0,
    partition: int = 0,
    applied: int = 1,
    headlines: tuple[Evidence, ...] = (),
) -> Bucket:
    return Bucket(
        topic=topic,
        minute=at(minute),
        partition=partition,
        applied=applied,
        documents=stories,
        negative=negative,
        neutral=stories - negative,
        stories=stories,
        negative_stories=negative,
        evidence=headlines,
    )


def checkpoint(partition: int, position: int, minute: float, *, late: int = 0, dead: int = 0) -> Checkpoint:
    return Checkpoint(
        partition=partition,
        position=position,
        origin=position - 1,
        watermark=at(minute),
        caught_up=True,
        counted=position - late - dead,
        late=late,
        dead=dead,
    )


def alert(topic: str = "Financials", **fields: Any) -> Alert:
    values: dict[str, Any] = {
        "id": f"{topic}-{fields.get('judge', 'spike')}",
        "topic": topic,
        "judge": "spike",
        "state": "firing",
        "severity": "critical",
        "window": "1h",
        "started_at": at(0),
        "evaluated_at": at(30),
        "negative_stories": 12,
        "stories": 20,
        "documents": 31,
        "share": 0.6,
        "baseline": 0.15,
        "lower_bound": 0.42,
        "reason": f"{topic}: 12 of 20 stories in the last hour are negative.",
    }
    return Alert(**{**values, **fields})


def new_state(*, retained: int = 24 * 60, follow_clock: bool = False) -> ConsoleState:
    """A state that has read everything that stood in empty topics."""
    state = ConsoleState(PARTITIONS, retained=retained, idle=timedelta(seconds=30), follow_clock=follow_clock)
    state.loaded(at(0))
    return state


def reach(state: ConsoleState, minute: float, *, position: int = 100, late: int = 0, dead: int = 0) -> None:
    """Event time reaches `minute` in every partition, seen at that moment of the clock."""
    for partition in range(PARTITIONS):
        entry = checkpoint(partition, position, minute, late=late, dead=dead)
        state.put_checkpoint(entry, at(minute), at(minute))


def new_board(state: ConsoleState, minute: float = 60) -> Board:
    """A live board whose clock stands still."""
    board = Board(state, now=lambda: at(minute))
    board.connect("live")
    return board


SETTINGS = ConsoleSettings(port=0)
