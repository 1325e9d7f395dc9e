"""The root of every error that a user can meet, and the model's branch of it.

The root stands here because `model` imports none of the other packages. The whole tree:

    FinSentryError                 exit code 1: something failed
    ├── InputError                 exit code 2: what the user gave is wrong
    │   ├── BundleError            model: a bundle is missing, damaged or not ours
    │   ├── LeakError              model: a text both trains and is measured on
    │   ├── RowError               ingest: one row of an archive cannot become a document
    │   └── SettingsError          deploy: a settings key is unknown or its value is wrong
    ├── RuntimeMissingError        model: no ONNX Runtime is installed
    ├── ExportError                model: the exported model computes something else than the network
    ├── BrokerError                stream: Kafka cannot be reached or refuses
    │   └── TopicMismatchError     stream: a topic exists, but not as the settings ask
    ├── GapError                   stream: offsets of a log were skipped over
    ├── LogLostError               stream: a topic ends before what was read of it
    ├── ModelHangsError            stream: the classifier does not answer
    ├── ModelSickError             stream: the classifier fails on every text
    ├── PoisonedInputError         stream: too much of the input cannot be processed
    ├── SchemaError                stream: a record is not ours, or of a newer version
    ├── StuckMemberError           stream: only the end of the process frees its partitions
    ├── FetchError                 ingest: a page or feed could not be fetched
    └── LocalServerError           deploy: a server of the one-machine run did not start
"""

INSTALL_TRAINING = "in the checkout: pip install '.[cpu,train]'"
"""The fix where a library is missing that trains or exports."""


class FinSentryError(Exception):
    """Something failed. `message` says what and where (file, key, row); `fix` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  {self.fix}" if self.fix else self.message


class InputError(FinSentryError):
    """What the user gave is wrong: a file, a row, a key, an argument."""

    exit_code = 2


class BundleError(InputError):
    """A bundle is missing, incomplete, damaged, or of a format this version does not read."""


class RuntimeMissingError(FinSentryError):
    """No ONNX Runtime is installed: neither the `cpu` nor the `gpu` extra."""
