"""Whether the broker keeps what it acknowledges, on which "every document is counted once" stands. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from deploy.check import Check, State
from stream.replication import OFFSETS, PartitionCopies, Replication, TopicCopies

COPIES = 3
"""While one broker is down, what is written still stands on two."""

LEAST_IN_SYNC = 2
"""What is acknowledged outlives a disk."""


def judge(found: Replication, *, asked: int, to_make: Sequence[str], servers: str) -> Iterator[Check]:
    """What there is to say of topics that stand; of how many copies they have in any case.

    `asked`: how many copies the topics `to_make` are to have. `servers`: where to send the commands that mend it. With
    fewer than `COPIES` brokers one must choose what to do without, and that is a note, not a warning.
    """
    brokers = len(found.brokers)
    wanted = min(COPIES, brokers)
    weak: State = "warning" if brokers >= COPIES else "note"
    yield _copies(found, wanted, weak, servers)
    if to_make and asked < wanted:
        yield Check(
            "copies to come",
            weak,
            f"{', '.join(to_make)} will have {_copies_of(asked)} on {brokers} brokers",
            f"set topics.replication_factor = {wanted} before the first worker makes them",
        )
    if to_make and asked > brokers:
        yield Check(
            "copies to come",
            "broken",
            f"{', '.join(to_make)} cannot be made: {_copies_of(asked)} on {brokers} brokers",
            f"set topics.replication_factor = {brokers}, or start more brokers",
        )
    yield from _in_sync(found.topics, servers)
    yield from _settings([topic for topic in found.topics if topic.factor > 1], weak, servers)
    if hidden := [topic for topic in found.topics if topic.min_in_sync is None or topic.unclean is None]:
        yield Check(
            "topic settings",
            "note",
            f"{_names(hidden)}: the broker does not tell this user how they are set",
            "allow it DescribeConfigs on them, or ask `kafka-configs.sh --describe --all` as one who may",
        )


def _copies(found: Replication, wanted: int, weak: State, servers: str) -> Check:
    if wanted == 1:
        fix = f"fine on a laptop; in production {COPIES} brokers, and topics.replication_factor = {COPIES}"
        return Check("copies", "note", "one copy of everything, on one broker: a lost disk loses documents", fix)
    brokers = len(found.brokers)
    few = [topic for topic in found.topics if topic.factor < wanted]
    if not few:
        have = (
            f"{min(topic.factor for topic in found.topics)} or more of each topic" if found.topics else "no topic yet"
        )
        return Check("copies", "ok", f"{have}, on {brokers} brokers")
    by_factor: dict[int, list[TopicCopies]] = defaultdict(list)
    for topic in few:
        by_factor[topic.factor].append(topic)
    said = "; ".join(f"{_copies_of(factor)} of {_names(topics)}" for factor, topics in by_factor.items())
    ids = ",".join(map(str, sorted(found.brokers)[:wanted]))
    entry = f'{{"topic":"{few[0].name}","partition":0,"replicas":[{ids}]}}'
    return Check(
        "copies",
        weak,
        f"{said}, on {brokers} brokers: one that is lost takes with it what it alone has",
        f"kafka-reassign-partitions.sh --bootstrap-server {servers} --execute --reassignment-json-file FILE, where FILE"
        f' is {{"version":1,"partitions":[{entry}, ...]}} with {wanted} brokers for each partition; then look again',
    )


def _in_sync(topics: Iterable[TopicCopies], servers: str) -> Iterator[Check]:
    """The worst that holds now."""
    partitions = [(topic, partition) for topic in topics for partition in topic.partitions]
    leaderless = [(topic, copies) for topic, copies in partitions if not copies.led]
    closed = [(topic, copies) for topic, copies in partitions if len(copies.in_sync) < _needed(topic, copies)]
    lagging = [(topic, copies) for topic, copies in partitions if copies.replicas - copies.in_sync]
    if leaderless:
        yield _unwell("broken", leaderless, "no broker that takes reads and writes", "unavailable", servers)
    elif closed:
        yield _unwell("broken", closed, "too few copies in sync, so writes are refused", "under-min-isr", servers)
    elif lagging:
        yield _unwell("warning", lagging, "a copy that is not in sync", "under-replicated", servers)


def _needed(topic: TopicCopies, copies: PartitionCopies) -> int:
    """Copies in sync without which a write is refused: no more than there are (since Kafka 3.7; before, for ever)."""
    return min(topic.min_in_sync or 1, len(copies.replicas))


def _unwell(
    state: State, partitions: Sequence[tuple[TopicCopies, PartitionCopies]], what: str, listed: str, servers: str
) -> Check:
    counts: dict[str, int] = defaultdict(int)
    absent: set[int] = set()
    for topic, copies in partitions:
        counts[topic.name] += 1
        absent |= copies.replicas - copies.in_sync if copies.led else copies.replicas
    said = ", ".join(f"{name} ({count})" for name, count in counts.items())
    who = f"broker {', '.join(map(str, sorted(absent)))}"
    return Check(
        "in sync",
        state,
        f"partitions with {what}: {said}",
        f"start {who} again, or see its log: why does it lag? The partitions: kafka-topics.sh --bootstrap-server"
        f" {servers} --describe --{listed}-partitions",
    )


def _settings(topics: Sequence[TopicCopies], weak: State, servers: str) -> Iterator[Check]:
    """Of topics with more than one copy: for a single one there is nothing to set."""

    def set_all(chosen: Sequence[TopicCopies], setting: str) -> str:
        names = " ".join(topic.name for topic in chosen)
        command = f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics --entity-name $topic"
        return f"for topic in {names}; do {command} --add-config {setting}; done"

    # Commits that are lost are harmless: documents are read again, and passed over by their origins.
    documents = [topic for topic in topics if topic.name != OFFSETS]
    if alone := [topic for topic in documents if (topic.min_in_sync or LEAST_IN_SYNC) < LEAST_IN_SYNC]:
        yield Check(
            "acknowledged",
            weak,
            f"{_names(alone)}: one copy is enough for a write, and what it alone has is lost with its disk",
            set_all(alone, f"min.insync.replicas={LEAST_IN_SYNC}"),
        )
    if tight := [topic for topic in topics if (topic.min_in_sync or 0) >= topic.factor]:
        lowered = [topic for topic in tight if topic.factor > LEAST_IN_SYNC]
        yield Check(
            "spare copy",
            weak,
            f"{_names(tight)}: a write needs all copies, so none is taken while a broker is down",
            set_all(lowered, f"min.insync.replicas={min(topic.factor for topic in lowered) - 1}")
            if lowered
            else f"give them {COPIES} copies, on as many brokers",
        )
    if unclean := [topic for topic in topics if topic.unclean]:
        yield Check(
            "leader election",
            "warning",
            f"{_names(unclean)}: a copy that lags may become leader, and what it lacks is lost without a word",
            set_all(unclean, "unclean.leader.election.enable=false"),
        )


def _names(topics: Iterable[TopicCopies]) -> str:
    return ", ".join(topic.name for topic in topics)


def _copies_of(factor: int) -> str:
    return "1 copy" if factor == 1 else f"{factor} copies"
