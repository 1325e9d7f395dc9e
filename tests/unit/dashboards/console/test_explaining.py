"""Who explains is who scores, as far as that can be opened; where it is another, the answer says so."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event

import pytest

from dashboards.console.explaining import Explained, Explainer, Question
from model.bundle import DEFAULT_BUNDLE
from model.classifier import Prediction, TextClassifier
from model.errors import BundleError
from model.routing import DEFAULT
from model.settings import ModelSettings
from stream.control import ControlTable, promote, restore, worker_key
from stream.records import BundleRef, Promotion, WorkerReport, encode
from tests.unit.dashboards.console.records import START

TWO_LANGUAGES = ModelSettings(languages={"zh": DEFAULT_BUNDLE})
ENGLISH, CHINESE = "Lender fails after run on deposits", "央行降息"
HOUR = timedelta(hours=1)


class Named(TextClassifier):
    """Says nothing but its name."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.closed = False

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        assert not self.closed
        return [Prediction("Macro", 0.9, "negative", (0.8, 0.1, 0.1)) for _ in texts]

    def close(self) -> None:
        self.closed = True


class Shelf:
    """Opens bundles by their version; those called `damaged` do not open, and none before it is `ready`."""

    def __init__(self) -> None:
        self.ready = Event()
        self.ready.set()
        self.opened: list[Named] = []

    def __call__(self, wanted: BundleRef | None, slot: str = DEFAULT, /) -> Named:
        assert self.ready.wait(10)
        if wanted is not None and wanted.version.startswith("damaged"):
            raise BundleError("model.onnx is not what it was", fix="restore it")
        self.opened.append(Named(wanted.version if wanted is not None else f"own{slot}"))
        return self.opened[-1]


class Console:
    """An explainer, and what `control` says to it."""

    def __init__(self, settings: ModelSettings = TWO_LANGUAGES) -> None:
        self.shelf = Shelf()
        self.table = ControlTable()
        self.explainer = Explainer(settings, self.shelf, now=lambda: START)

    def promote(self, version: str, language: str = "", at: datetime = START) -> Promotion:
        before = self.table.live.get(language)
        return self.put(promote(BundleRef(folder=version, version=version), before, at, language))

    def put(self, promotion: Promotion) -> Promotion:
        key = f"live/{promotion.language}" if promotion.language else "live"
        self.table.put(key.encode(), encode(promotion), 0)
        self.explainer.heed(self.table)
        return promotion

    def report(self, worker: str, model: str, at: datetime = START, **models: str) -> None:
        report = WorkerReport(worker=worker, at=at, model=model, models=models)
        self.table.put(worker_key(worker), encode(report), int(at.timestamp() * 1000))
        self.explainer.heed(self.table)

    def ask(self, text: str = ENGLISH, language: str | None = None, at: datetime | None = None) -> Explained:
        return self.explainer(Question(text, language, at))

    def model(self, text: str = ENGLISH, language: str | None = None) -> str:
        return self.ask(text, language).explanation.model

    def settle(self) -> None:
        """Until what was begun in the thread is done."""
        self.explainer._opening.submit(lambda: None).result(10)


@pytest.fixture
def console() -> Console:
    return Console()


def test_without_a_promotion_the_bundles_of_the_settings_explain_and_are_opened_when_somebody_asks(
    console: Console,
) -> None:
    assert console.shelf.opened == []
    assert (console.model(ENGLISH), console.model(CHINESE)) == ("own", "ownzh")
    assert console.ask().remarks == ()
    assert len(console.shelf.opened) == 2


def test_what_was_promoted_before_anybody_asked_explains(console: Console) -> None:
    console.promote("second")
    console.promote("chinese", "zh")
    assert (console.model(ENGLISH), console.model(CHINESE)) == ("second", "chinese")
    assert console.ask().remarks == ()


def test_a_promotion_changes_who_explains_and_the_old_one_is_closed(console: Console) -> None:
    assert console.model() == "own"
    console.promote("second")
    console.settle()
    assert (console.model(), console.model(CHINESE)) == ("second", "ownzh")
    assert [one.closed for one in console.shelf.opened] == [True, False, False]
    console.put(restore(None, START))  # each worker's own
    console.settle()
    assert console.model() == "own"


def test_heeding_waits_for_nothing_and_the_old_one_explains_until_the_new_one_is_there(console: Console) -> None:
    assert console.model() == "own"
    console.shelf.ready.clear()
    console.promote("second")
    while_opening = console.ask()
    console.shelf.ready.set()
    console.settle()
    assert while_opening.explanation.model == "own"
    assert while_opening.remarks == ("second is live, and is being opened: ask again in a moment.",)
    assert console.ask().remarks == ()


def test_what_cannot_be_opened_here_leaves_the_old_one_and_is_said(console: Console) -> None:
    assert console.model() == "own"
    console.promote("damaged")
    console.report("a", "damaged")
    console.settle()
    found = console.ask()
    assert found.explanation.model == "own"
    assert found.remarks == (
        "damaged is live, but could not be opened here: model.onnx is not what it was.",
        "The workers score with damaged, and this is what own says: it may differ from the number of the headline.",
    )


def test_where_nothing_is_held_yet_what_was_live_before_explains(console: Console) -> None:
    console.promote("first")
    console.promote("damaged")
    found = console.ask()
    assert found.explanation.model == "first"
    assert "damaged is live, but could not be opened here" in found.remarks[0]


def test_where_no_bundle_opens_the_first_reason_is_raised() -> None:
    def none(_wanted: BundleRef | None, _slot: str = DEFAULT, /) -> Named:
        raise BundleError("there is none")

    with pytest.raises(BundleError, match="there is none"):
        Explainer(ModelSettings(), none)(Question(ENGLISH))


def test_a_headline_goes_to_the_bundle_that_scored_its_document_whatever_it_looks_like(console: Console) -> None:
    assert console.model(ENGLISH, "zh") == "ownzh"
    assert console.model(CHINESE, "") == "own"  # unknown, hence the default one
    assert console.model(CHINESE, "de") == "own"
    assert console.model(CHINESE) == "ownzh"


def test_workers_that_score_with_another_bundle_are_said_by_slot_while_they_report(console: Console) -> None:
    console.report("a", "own", zh="other")
    assert console.ask(ENGLISH).remarks == ()
    (said,) = console.ask(CHINESE).remarks
    assert said.startswith("The workers score with other, and this is what ownzh says")
    console.report("b", "second")
    (said,) = console.ask(ENGLISH).remarks
    assert said.startswith("Some workers score with second")
    console.report("b", "second", START - HOUR)  # killed long ago
    assert console.ask(ENGLISH).remarks == ()


def test_a_headline_from_before_the_promotion_may_have_another_bundles_number(console: Console) -> None:
    console.promote("first", at=START - 3 * HOUR)
    console.promote("second", at=START - HOUR)
    (said,) = console.ask(at=START - 2 * HOUR).remarks
    assert said.startswith("The headline was published before second was promoted (02 Mar 2026 11:00 UTC)")
    assert said.endswith("may be of first.")
    assert console.ask(at=START).remarks == ()
    assert console.ask().remarks == ()


def test_promotions_under_questions_close_no_bundle_that_explains(console: Console) -> None:
    with ThreadPoolExecutor(2) as askers:
        asked = [askers.submit(console.model) for _ in range(200)]
        for number in range(50):
            console.promote(f"bundle-{number}")
        assert all(one.result(10) for one in asked)
    console.settle()
    assert console.model() == "bundle-49"
    assert [one.version for one in console.shelf.opened if not one.closed] == ["bundle-49"]
    console.explainer.close()
    assert all(one.closed for one in console.shelf.opened)


def test_it_may_be_closed_while_nothing_was_asked() -> None:
    console = Console()
    console.promote("second")
    console.explainer.close()
    assert console.shelf.opened == []


@pytest.mark.parametrize(("scored", "said"), [(0.8, 0), (0.79, 0), (0.99, 1), (0.3, 1), (None, 0)])
def test_where_the_text_behind_a_headline_made_its_number_another_that_is_said(
    console: Console, scored: float | None, said: int
) -> None:
    remarks = console.explainer(Question(ENGLISH, "en", START, scored)).remarks
    assert len(remarks) == said
    assert all(f"{scored:.0%} negative" in remark for remark in remarks)
    assert not any("  " in remark for remark in remarks)
