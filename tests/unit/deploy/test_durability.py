"""What is said of a broker that may lose, or refuse, what the promise needs."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.check import Check
from deploy.durability import judge
from stream.replication import OFFSETS, PartitionCopies, Replication, TopicCopies

SERVERS = "broker-1:9092,broker-2:9092"

ORDER = ("ok", "note", "warning", "broken")


def copies(replicas: Iterable[int], in_sync: Iterable[int] | None = None, *, led: bool = True) -> PartitionCopies:
    replicas = frozenset(replicas)
    return PartitionCopies(replicas, replicas if in_sync is None else frozenset(in_sync), led)


def topic(*partitions: PartitionCopies, name: str = "documents", **settings: Any) -> TopicCopies:
    return TopicCopies(name, partitions, **{"min_in_sync": 2, "unclean": False} | settings)


def found(brokers: int, *topics: TopicCopies, asked: int = 3, to_make: tuple[str, ...] = ()) -> dict[str, Check]:
    checks = list(judge(Replication(frozenset(range(brokers)), topics), asked=asked, to_make=to_make, servers=SERVERS))
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def states(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.state for name, check in checks.items()}


def test_three_copies_of_which_one_can_be_spared_are_well() -> None:
    checks = found(3, topic(copies({0, 1, 2})), topic(copies({0, 1, 2}), name=OFFSETS, min_in_sync=1))
    assert checks == {"copies": Check("copies", "ok", "3 or more of each topic, on 3 brokers")}


def test_one_broker_is_noted_and_no_fault() -> None:
    checks = found(1, topic(copies({0}), min_in_sync=1), asked=1, to_make=("scored",))
    assert states(checks) == {"copies": "note"}
    assert "a lost disk loses documents" in checks["copies"].found
    assert "topics.replication_factor = 3" in checks["copies"].fix


def test_one_broker_that_is_left_of_three_is_no_cluster_of_one() -> None:
    """Brokers that are down are brokers: the reader counts them."""
    checks = found(3, topic(copies({0}), min_in_sync=1))
    assert states(checks) == {"copies": "warning"}


@pytest.mark.parametrize(
    ("brokers", "one", "said"),
    [
        (3, topic(copies({0}), copies({1}), min_in_sync=1), {"copies": "warning"}),
        (3, topic(copies({0, 1, 2}), copies({1}), min_in_sync=1), {"copies": "warning"}),
        (3, topic(copies({0, 1}), min_in_sync=2), {"copies": "warning", "spare copy": "warning"}),
        (3, topic(copies({0, 1, 2}), min_in_sync=1), {"copies": "ok", "acknowledged": "warning"}),
        (3, topic(copies({0, 1, 2}), min_in_sync=3), {"copies": "ok", "spare copy": "warning"}),
        (3, topic(copies({0, 1, 2}), min_in_sync=4), {"copies": "ok", "spare copy": "warning"}),
        (2, topic(copies({0}), min_in_sync=2), {"copies": "note"}),
        (3, topic(copies({0, 1, 2}), unclean=True), {"copies": "ok", "leader election": "warning"}),
        (5, topic(copies(range(5)), min_in_sync=3), {"copies": "ok"}),
        (2, topic(copies({0}), min_in_sync=1), {"copies": "note"}),
        (2, topic(copies({0, 1}), min_in_sync=1), {"copies": "ok", "acknowledged": "note"}),
        (2, topic(copies({0, 1}), min_in_sync=2), {"copies": "ok", "spare copy": "note"}),
        (3, topic(copies({0, 1, 2}), min_in_sync=None, unclean=None), {"copies": "ok", "topic settings": "note"}),
        # Kafka's own: commits that are lost are made again, but somebody must take them.
        (3, topic(copies({0}), name=OFFSETS, min_in_sync=1), {"copies": "warning"}),
        (3, topic(copies({0, 1, 2}), name=OFFSETS, min_in_sync=1), {"copies": "ok"}),
        (3, topic(copies({0, 1, 2}), name=OFFSETS, min_in_sync=3), {"copies": "ok", "spare copy": "warning"}),
    ],
)
def test_what_one_failure_would_cost_is_a_warning_where_there_are_brokers_enough(
    brokers: int, one: TopicCopies, said: dict[str, str]
) -> None:
    checks = found(brokers, one)
    assert states(checks) == said
    assert all(one.name in check.found for check in checks.values() if check.state != "ok")


@pytest.mark.parametrize(
    ("partition", "state", "told"),
    [
        (copies({0, 1, 2}, {0, 1}), "warning", "a copy that is not in sync: documents (1)"),
        (copies({0, 1, 2}, {0}), "broken", "too few copies in sync, so writes are refused: documents (1)"),
        (copies({0, 1, 2}, {0}, led=False), "broken", "no broker that takes reads and writes: documents (1)"),
    ],
)
def test_what_is_out_of_sync_now_names_the_brokers_to_look_at(
    partition: PartitionCopies, state: str, told: str
) -> None:
    check = found(3, topic(copies({0, 1, 2}), partition))["in sync"]
    assert (check.state, told in check.found) == (state, True), check.found
    absent = "0, 1, 2" if not partition.led else ", ".join(map(str, sorted(partition.replicas - partition.in_sync)))
    assert f"start broker {absent} again" in check.fix
    assert f"kafka-topics.sh --bootstrap-server {SERVERS} --describe" in check.fix


def test_topics_of_one_fault_share_a_line_and_a_command() -> None:
    least = {"min_in_sync": 1}
    checks = found(3, *(topic(copies({0, 1, 2}), name=name, **least) for name in ("documents", "scored")))
    assert checks["acknowledged"].fix == (
        "for topic in documents scored; do kafka-configs.sh --bootstrap-server broker-1:9092,broker-2:9092 --alter"
        " --entity-type topics --entity-name $topic --add-config min.insync.replicas=2; done"
    )
    checks = found(3, topic(copies({0, 1}), name="a"), topic(copies({1}), name="b"), topic(copies({2}), name="c"))
    assert checks["copies"].found.startswith("2 copies of a; 1 copy of b, c, on 3 brokers")
    assert '"partitions":[{"topic":"a","partition":0,"replicas":[0,1,2]}, ...]' in checks["copies"].fix


def test_topics_that_are_yet_to_be_made_are_warned_of_before_they_are() -> None:
    checks = found(3, asked=1, to_make=("documents", "scored"))
    assert states(checks) == {"copies": "ok", "copies to come": "warning"}
    assert checks["copies to come"].found == "documents, scored will have 1 copy on 3 brokers"
    assert "copies to come" not in found(3, asked=3, to_make=("documents",))
    too_many = found(2, asked=3, to_make=("documents",))["copies to come"]
    assert (too_many.state, too_many.found) == ("broken", "documents cannot be made: 3 copies on 2 brokers")
    assert "copies to come" not in found(3, topic(copies({0, 1, 2})), asked=1)


@st.composite
def clusters(draw: st.DrawFn) -> Replication:
    brokers = frozenset(range(draw(st.integers(1, 5))))
    some = st.sets(st.sampled_from(sorted(brokers)), min_size=1).map(frozenset)

    def partition() -> PartitionCopies:
        replicas = draw(some)
        in_sync = draw(st.sets(st.sampled_from(sorted(replicas)), min_size=1))
        return PartitionCopies(replicas, frozenset(in_sync), draw(st.integers(0, 9)) > 0)

    topics = tuple(
        TopicCopies(
            name,
            tuple(partition() for _ in range(draw(st.integers(1, 3)))),
            draw(st.none() | st.integers(1, 4)),
            draw(st.none() | st.booleans()),
        )
        for name in draw(st.sets(st.sampled_from(["documents", "scored", OFFSETS])))
    )
    return Replication(brokers, topics)


def takes_writes(one: TopicCopies, partition: PartitionCopies) -> bool:
    """A broker asks for no more copies in sync than there are."""
    return partition.led and len(partition.in_sync) >= min(one.min_in_sync or 1, len(partition.replicas))


@given(clusters())
def test_broken_is_what_cannot_be_written_to_now_and_silence_outlives_any_one_broker(cluster: Replication) -> None:
    checks = list(judge(cluster, asked=1, to_make=(), servers=SERVERS))
    assert all(check.fix for check in checks if check.state != "ok")
    partitions = [(one, partition) for one in cluster.topics for partition in one.partitions]
    assert any(c.state == "broken" for c in checks) == any(not takes_writes(*pair) for pair in partitions)
    if all(check.state == "ok" for check in checks):
        for broker in cluster.brokers:
            for one, partition in partitions:
                left = PartitionCopies(partition.replicas, partition.in_sync - {broker})
                assert takes_writes(one, left)
                assert one.name == OFFSETS or (one.min_in_sync or 0) > 1  # what was acknowledged stands elsewhere too
                assert not one.unclean


@given(clusters(), st.data())
def test_a_copy_less_in_sync_makes_nothing_better(cluster: Replication, data: st.DataObject) -> None:
    def worst(topics: tuple[TopicCopies, ...]) -> int:
        checks = judge(Replication(cluster.brokers, topics), asked=3, to_make=(), servers=SERVERS)
        return max(ORDER.index(check.state) for check in checks)

    if not cluster.topics:
        return
    place = data.draw(st.integers(0, len(cluster.topics) - 1))
    one = cluster.topics[place]
    first = one.partitions[0]
    lost = data.draw(st.sampled_from(sorted(first.in_sync)))
    fewer = PartitionCopies(first.replicas, first.in_sync - {lost}, first.led)
    changed = TopicCopies(one.name, (fewer, *one.partitions[1:]), one.min_in_sync, one.unclean)
    assert worst((*cluster.topics[:place], changed, *cluster.topics[place + 1 :])) >= worst(cluster.topics)
