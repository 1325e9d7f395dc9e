"""The stream's branch of the tree of errors; `model.errors` draws the whole tree."""

from model.errors import FinSentryError, InputError

__all__ = [
    "BrokerError",
    "FinSentryError",
    "GapError",
    "InputError",
    "LogLostError",
    "ModelHangsError",
    "ModelSickError",
    "PoisonedInputError",
    "SchemaError",
    "StuckMemberError",
    "TopicMismatchError",
]


class BrokerError(FinSentryError):
    """Kafka cannot be reached, or refuses what it was asked."""


class TopicMismatchError(BrokerError):
    """A topic exists, but with other partitions or settings than this deployment asks for."""


class PoisonedInputError(FinSentryError):
    """So much of the input cannot be processed that going on would hide a fault: the worker stops."""


class ModelHangsError(FinSentryError):
    """The classifier does not answer; the thread that it holds ends with the process alone."""


class ModelSickError(FinSentryError):
    """The classifier fails on every text, so no document is to blame: wait, then stop and say so."""


class SchemaError(FinSentryError):
    """A record is not one of ours, or of a newer version: read as this version would, it might be counted wrongly."""


class GapError(FinSentryError):
    """Offsets of a log were skipped over: going on would lose documents, so the partition is read again."""


class LogLostError(FinSentryError):
    """A topic ends before what was read of it: its end was lost, or it was made anew. Counts cannot go on."""


class StuckMemberError(FinSentryError):
    """A part of this process holds partitions that nothing reads any more: only the end of the process frees them."""
