"""When so much of the input cannot be processed that a worker must not go on. No I/O, no clock."""

from collections import deque

from stream.errors import PoisonedInputError


class PoisonGuard:
    """Tells when so much of the input is dead that going on would hide a fault of ours.

    Looks at the latest `window` documents, once there are that many, and at the dead in a row.
    """

    def __init__(self, *, ratio: float, window: int, consecutive: int) -> None:
        self._ratio = ratio
        self._window = window
        self._consecutive = consecutive
        self._seen = 0
        self._dead: deque[int] = deque()
        """Places of the dead among the latest `window`, oldest first; the sound ones cost nothing."""
        self._row = 0

    def sound(self, documents: int = 1) -> None:
        """Takes the next `documents`, which can be processed."""
        self._seen += documents
        if documents:
            self._row = 0

    def dead(self, cause: str) -> None:
        """Takes the next document, which cannot. Raises `PoisonedInputError` with `cause` where a limit is passed."""
        self._seen += 1
        self._row += 1
        self._dead.append(self._seen)
        while self._dead[0] <= self._seen - self._window:
            self._dead.popleft()
        if self._row >= self._consecutive:
            raise self._stop(f"{self._row} documents in a row cannot be processed", cause)
        if self._seen >= self._window and len(self._dead) > self._ratio * self._window:
            raise self._stop(f"{len(self._dead)} of the latest {self._window} documents cannot be processed", cause)

    @staticmethod
    def _stop(what: str, cause: str) -> PoisonedInputError:
        return PoisonedInputError(
            f"{what}; the last one: {cause}",
            fix="nothing of this batch was taken; see what writes to `documents`, then start the worker again, or raise"
            " stream.poison_ratio and stream.poison_consecutive to let them go to dead-letters",
        )
