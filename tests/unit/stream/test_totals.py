from stream.records import Checkpoint
from stream.totals import Totals


def test_totals_are_sums_over_partitions_since_the_start_of_the_run() -> None:
    before = Totals.of([Checkpoint(partition=0, position=4, counted=3, late=1)])
    after = Totals.of(
        [Checkpoint(partition=0, position=9, counted=6, late=2, dead=1), Checkpoint(partition=1, position=2, counted=2)]
    )
    assert after.since(before) == Totals(counted=5, late=1, dead=1)
    assert after.since(before).documents == 7
