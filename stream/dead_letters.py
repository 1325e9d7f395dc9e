"""What cannot be processed: why, and when there is too much of it to go on. Pure."""

from collections import deque

from stream.errors import PoisonedInputError


class PoisonGuard:
    """Tells when so much of the input is dead that going on would hide a fault of ours.

    Looks at the latest `window` documents, once there are that many, and at the dead in a row.
    """

    def __init__(self, *, ratio: float, window: int, consecutive: int) -> None:
        self._ratio = ratio
        self._consecutive = consecutive
        self._latest: deque[bool] = deque(maxlen=window)
        self._dead = 0
        self._row = 0

    def observe(self, dead: bool, cause: str = "") -> None:
        """Takes the next document. Raises `PoisonedInputError` with the last cause where a limit is passed."""
        if len(self._latest) == self._latest.maxlen:
            self._dead -= self._latest[0]
        self._latest.append(dead)
        self._dead += dead
        self._row = self._row + 1 if dead else 0
        full = len(self._latest) == self._latest.maxlen
        if self._row >= self._consecutive:
            raise self._stop(f"{self._row} documents in a row cannot be processed", cause)
        if dead and full and self._dead > self._ratio * len(self._latest):
            raise self._stop(f"{self._dead} of the latest {len(self._latest)} documents cannot be processed", cause)

    @staticmethod
    def _stop(what: str, cause: str) -> PoisonedInputError:
        return PoisonedInputError(
            f"{what}; the last one: {cause}",
            fix="nothing of this batch was taken; see what writes to `documents`, then start the worker again, or raise"
            " stream.poison_ratio and stream.poison_consecutive to let them go to dead-letters",
        )
