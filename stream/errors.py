"""The stream's branch of the tree of errors; `model.errors` draws the whole tree."""

from model.errors import FinSentryError, InputError

__all__ = [
    "BrokerError",
    "FinSentryError",
    "InputError",
    "PoisonedInputError",
    "TopicMismatchError",
]


class BrokerError(FinSentryError):
    """Kafka cannot be reached, or refuses what it was asked."""


class TopicMismatchError(BrokerError):
    """A topic exists, but with other partitions or settings than this deployment asks for."""


class PoisonedInputError(FinSentryError):
    """So much of the input cannot be processed that going on would hide a fault: the worker stops."""
