"""Why a headline was called negative: the bundle of the settings, loaded when somebody first asks.

Where another one was promoted, the page names the one that it asked.
"""

from threading import Lock

from model.classifier import Classifier
from model.explain import Explanation, explain
from model.settings import ModelSettings


class Explainer:
    """Explains one text at a time, in whatever thread it is called; `close` it at the end."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._classifier: Classifier | None = None

    def __call__(self, text: str) -> Explanation:
        """What each word did. Raises `BundleError` where the bundle cannot be loaded, `InputError` without a word."""
        with self._lock:
            if self._classifier is None:
                self._classifier = Classifier.load(self._settings)
            return explain(self._classifier, text)

    def close(self) -> None:
        with self._lock:
            if self._classifier is not None:
                self._classifier.close()
