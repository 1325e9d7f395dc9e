"""Why a headline was called negative, by the bundle that scores: what `control` says is live, verified and opened here.

Nothing is opened before somebody asks. After that a promotion is opened in a thread, and until it is there, or where it
cannot be opened, the one before it answers and the answer says so.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple

from model.classifier import TextClassifier
from model.errors import FinSentryError
from model.explain import Explanation, explain
from model.routing import DEFAULT, router_of
from model.settings import ModelSettings
from stream.control import SILENT_SECONDS, ControlTable, candidates, model_of, named
from stream.live_model import Loaded
from stream.loading import Load, bundle_loader
from stream.records import Promotion

logger = logging.getLogger(__name__)


APART = 0.02
"""Of two probabilities of one text by one bundle, on any processors: they differ by less."""


class Question(NamedTuple):
    """A text, and what is known of it where it is a document's headline."""

    text: str
    language: str | None = None
    """By which its bundle was chosen, empty where that is unknown; None for a text that nobody scored."""
    published_at: datetime | None = None
    negative: float | None = None
    """The probability that was scored, of the document as a whole."""


class Explained(NamedTuple):
    """An explanation, and how it may differ from what was scored."""

    explanation: Explanation
    remarks: tuple[str, ...] = ()
    """Sentences for a person; none where the same bundle scores."""


class Standing(NamedTuple):
    """What `control` says of the bundle of one language, or of the default one."""

    promotion: Promotion | None = None
    scoring: frozenset[str] = frozenset()
    """Versions that workers say they score with."""


class Explainer:
    """Explains one text at a time, in whatever thread it is called; `close` it at the end."""

    def __init__(
        self,
        settings: ModelSettings,
        load: Load[TextClassifier] | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._load: Load[TextClassifier] = load or bundle_loader(settings)
        self._now = now
        self._router = router_of(settings)
        self._standings = {key: Standing() for key in (DEFAULT, *settings.languages)}
        self._lock = Lock()
        """Held while a text is explained, so that no bundle is closed meanwhile."""
        self._held: dict[str, Loaded] = {}
        self._reasons: dict[str, str] = {}
        """Why what is live is not held, by slot."""
        self._opening = ThreadPoolExecutor(1, thread_name_prefix="bundles")

    def heed(self, table: ControlTable) -> None:
        """Takes what `control` says by now. Waits for nothing: another bundle is opened in a thread."""
        heard = table.heard_since((self._now().timestamp() - SILENT_SECONDS) * 1000)
        reports = [table.workers[worker].report for worker in heard]
        for key, before in self._standings.items():
            scoring = frozenset(model for report in reports if (model := model_of(report, key)))
            self._standings[key] = Standing(table.live.get(key), scoring)
            if table.live.get(key) != before.promotion:
                self._opening.submit(self._renew, key)

    def __call__(self, question: Question) -> Explained:
        """What each word did. Raises `BundleError` where no bundle can be opened, `InputError` without a word."""
        key = self._slot(question)
        with self._lock:
            if key not in self._held:
                self._held[key], self._reasons[key] = self._open(key)
            held = self._held[key]
            found = explain(held.classifier, question.text)
            said = list(remarks(held, self._standings[key], question, self._reasons[key]))
        scored = question.negative
        if not said and scored is not None and abs(found.prediction.probabilities[0] - scored) > APART:
            said.append(
                f"The number of the headline is {scored:.0%} negative: the classifier read the text behind it too,"
                " which is not kept. This explains the headline alone."
            )
        return Explained(found, tuple(said))

    def close(self) -> None:
        """Waits for a bundle that is being opened, and closes what is held."""
        self._opening.shutdown(cancel_futures=True)
        with self._lock:
            for held in self._held.values():
                held.classifier.close()

    def _slot(self, question: Question) -> str:
        if question.language is None:
            return self._router.route(question.text).bundle
        # It was decided by the whole document, of which this is the headline.
        return question.language if question.language in self._standings else DEFAULT

    def _renew(self, key: str) -> None:
        """Puts what is live in the place of what is held."""
        with self._lock:
            held = self._held.get(key)
        if held is None:
            return
        new, reason = self._open(key, held)
        with self._lock:
            self._held[key], self._reasons[key] = new, reason
            if new is not held:
                held.classifier.close()
                logger.info("explains with version=%s before=%s", new.classifier.version, held.classifier.version)

    def _open(self, key: str, held: Loaded | None = None) -> tuple[Loaded, str]:
        """What is live, or where that cannot be opened what is held or was live before, and why."""
        promotion = self._standings[key].promotion
        wanted = candidates(promotion) if promotion is not None else (None,)
        failed: Exception | None = None
        for bundle in wanted if held is None else wanted[:1]:
            if held is not None and held.bundle == bundle:
                return held, ""
            try:
                return Loaded(bundle, self._load(bundle, key)), _said(failed)
            except Exception as error:
                failed = failed or error
                logger.warning("not opened version=%s error=%s", bundle.version if bundle else "", error)
        assert failed is not None
        if held is None:
            raise failed
        return held, _said(failed)


def remarks(held: Loaded, standing: Standing, question: Question, reason: str) -> Iterator[str]:
    """How an explanation by `held` may differ from what was scored. `reason`: why what is live could not be opened."""
    promotion, model = standing.promotion, held.classifier.version
    if promotion is not None and reason:
        yield f"{named(promotion)} is live, but could not be opened here: {reason}."
    elif (promotion.bundle if promotion else None) != held.bundle:
        what = named(promotion) if promotion else "the workers' own bundle"
        yield f"{what} is live, and is being opened: ask again in a moment."
    if others := ", ".join(sorted(standing.scoring - {model})):
        who = "Some workers score" if model in standing.scoring else "The workers score"
        yield f"{who} with {others}, and this is what {model} says: it may differ from the number of the headline."
    elif promotion is not None and question.published_at is not None and question.published_at < promotion.at:
        before = promotion.history[-1].version if promotion.history else "the bundle before it"
        yield (
            f"The headline was published before {model} was promoted ({promotion.at:%d %b %Y %H:%M} UTC):"
            f" its number may be of {before}."
        )


def _said(error: Exception | None) -> str:
    if error is None:
        return ""
    return (error.message if isinstance(error, FinSentryError) else f"{type(error).__name__}: {error}").rstrip(".")
