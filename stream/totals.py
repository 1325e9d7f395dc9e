"""What became of the documents of a log, over all partitions. Pure."""

from collections.abc import Iterable
from typing import NamedTuple, Self

from stream.records import Checkpoint


class Totals(NamedTuple):
    """Documents by what became of them, as checkpoints say."""

    counted: int = 0
    late: int = 0
    dead: int = 0

    @classmethod
    def of(cls, checkpoints: Iterable[Checkpoint]) -> Self:
        """The sum over the newest checkpoint of each partition."""
        held = list(checkpoints)
        return cls(sum(c.counted for c in held), sum(c.late for c in held), sum(c.dead for c in held))

    def since(self, earlier: "Totals") -> "Totals":
        return Totals(self.counted - earlier.counted, self.late - earlier.late, self.dead - earlier.dead)

    @property
    def documents(self) -> int:
        return self.counted + self.late + self.dead
