"""Ingest's branch of the tree of errors; `model.errors` draws the whole tree."""

from stream.errors import BrokerError, FinSentryError, InputError

__all__ = ["BrokerError", "FetchError", "FinSentryError", "InputError", "RowError", "StoppingError"]


class RowError(InputError):
    """One row of an archive, or one entry of a feed, cannot become a document. The message is the reason alone."""


class FetchError(FinSentryError):
    """A page or feed could not be fetched, or is none.

    `status` is the HTTP status where the server answered with an error, `retry_after` what it asked for, in seconds;
    `timed_out` says that it did not answer in time, so that asking once more would cost as much again.
    """

    def __init__(
        self, message: str, *, fix: str = "", status: int = 0, retry_after: float = 0.0, timed_out: bool = False
    ) -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.retry_after = retry_after
        self.timed_out = timed_out


class StoppingError(FetchError):
    """A page was not fetched because the crawler is being stopped: nothing is wrong, and nothing is decided."""
