"""Deploy's branch of the tree of errors; `model.errors` draws the whole tree."""

from model.errors import FinSentryError, InputError

__all__ = ["FinSentryError", "InputError", "LocalServerError", "SettingsError"]


class SettingsError(InputError):
    """A settings key is unknown or its value is wrong, in the file, a variable or on the command line."""


class LocalServerError(FinSentryError):
    """A server of the one-machine run did not start, or what it needs is missing."""
