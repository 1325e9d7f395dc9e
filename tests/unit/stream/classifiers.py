"""Classifiers for tests: each says in every prediction who it is, and fails where it is told to."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from model.classifier import Prediction, TextClassifier
from model.labels import TOPICS
from stream.live_model import Loaded
from stream.records import BundleRef, Document, encode
from stream.scoring import CANARY, Received

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Known(TextClassifier):
    """Labels every text with the topic of its `number`; raises for texts that `fails` accepts."""

    def __init__(self, number: int, fails: Callable[[str], bool] = lambda _text: False) -> None:
        self.version = f"bundle-{number}"
        self.topic = TOPICS[number]
        self.fails = fails
        self.closed = False

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        assert not self.closed
        if any(self.fails(text) for text in texts):
            raise RuntimeError(f"{self.version} cannot")
        return [Prediction(self.topic, 0.9, "neutral", (0.1, 0.8, 0.1)) for _ in texts]

    def close(self) -> None:
        self.closed = True


def on_documents(text: str) -> bool:
    """Fails on all but the harmless sentence that clears a classifier."""
    return text != CANARY


def on_everything(text: str) -> bool:
    """Fails on that too."""
    return bool(text)


def loaded(classifier: Known) -> Loaded:
    return Loaded(BundleRef(folder=f"/{classifier.version}", version=classifier.version), classifier)


def batch(*texts: str) -> list[Received]:
    """Records of `documents`; an empty text is one that cannot be decoded."""
    return [
        Received(0, offset, int(NOW.timestamp() * 1000), b"key", encode(document(text)) if text else b"{")
        for offset, text in enumerate(texts)
    ]


def document(text: str) -> Document:
    return Document(
        id="a" * 32,
        text=text,
        source="wire",
        source_kind="news",
        published_at=NOW - timedelta(hours=1),
        fetched_at=NOW,
        story="a" * 32,
    )
