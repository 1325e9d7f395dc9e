"""The shipped bundle through the class that serves it."""

import math
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import overload

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundle import Bundle
from model.classifier import LOOKAHEAD, Classifier, Prediction, TextClassifier, softmax
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS
from model.runtime import Logits, Session, Tokens, open_session
from model.settings import ModelSettings
from tests.unit.model.conftest import MOODS, THINGS

COMPANIES = ("Acme", "Initech", "Globex", "Umbrella", "Hooli", "Vandelay", "Soylent", "Tyrell")
EVENTS = (
    "beats quarterly earnings estimates",
    "cuts its full-year profit forecast and shares plunge",
    "declares a quarterly dividend of $0.25",
    "names a new chief financial officer",
    "to acquire a smaller rival for $2bn in cash",
    "is sued by shareholders over misleading statements about its accounts",
    "up 3%",
)
HEADLINES = [f"{company} {event}" for company in COMPANIES for event in EVENTS]


def test_it_is_what_the_stream_asks_for(shipped: Classifier) -> None:
    classifier: TextClassifier = shipped
    assert classifier.version == shipped.bundle.manifest.version


@pytest.mark.parametrize(
    "headline",
    [
        "Regulator shuts down lender after run on deposits",
        "Bank collapses as depositors flee",
        "Oil prices plunge as demand collapses",
        "Retailer files for bankruptcy, 4,000 jobs at risk",
        "Pandemic deaths climb as hospitals overwhelmed",
        "Economy shrinks for second quarter in a row, entering recession",
        "Bank fined $2bn over money laundering failures",
        "Crypto exchange halts withdrawals after hack",
    ],
)
def test_plainly_bad_news_is_negative(shipped: Classifier, headline: str) -> None:
    assert shipped.classify([headline])[0].sentiment == "negative"


@pytest.mark.parametrize(
    "headline",
    [
        "Company beats earnings estimates and raises guidance",
        "Shares jump 8% after strong quarterly results",
        "US and China agree trade deal, markets rally",
        "Dividend raised 20% after bumper profits",
    ],
)
def test_plainly_good_news_is_positive(shipped: Classifier, headline: str) -> None:
    assert shipped.classify([headline])[0].sentiment == "positive"


@pytest.mark.parametrize(
    "headline",
    [
        "Company to report second quarter results on Thursday",
        "Bank appoints new chief financial officer",
        "Parliament to vote on budget next week",
        "The president will visit Germany in May",
    ],
)
def test_plain_news_is_neutral(shipped: Classifier, headline: str) -> None:
    assert shipped.classify([headline])[0].sentiment == "neutral"


@pytest.mark.parametrize(
    ("headline", "topic"),
    [
        ("Fed minutes to be published on Wednesday", "Fed | Central Banks"),
        ("Board declares quarterly dividend of $0.25 per share", "Dividend"),
        ("Crude oil futures settle at $102.60 a barrel", "Energy | Oil"),
        ("Senate to vote on spending bill", "Politics"),
        ("Bank appoints new chief financial officer", "Personnel Change"),
    ],
)
def test_plain_topics_are_found(shipped: Classifier, headline: str, topic: str) -> None:
    assert shipped.classify([headline])[0].topic == topic


@settings(max_examples=15)
@given(st.data())
def test_a_text_scores_the_same_to_the_last_bit_in_any_company(shipped: Classifier, data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.sampled_from(HEADLINES), min_size=1, max_size=40))
    assert shipped.classify(texts) == [alone(shipped, text) for text in texts]


_ALONE: dict[str, Prediction] = {}


def alone(classifier: Classifier, text: str) -> Prediction:
    """What the classifier says of the text by itself, asked once."""
    if text not in _ALONE:
        (_ALONE[text],) = classifier.classify([text])
    return _ALONE[text]


def test_what_is_faster_moves_probabilities_a_little_and_few_labels(shipped: Classifier) -> None:
    """By what clips on a processor without VNNI; by the third decimal on one that has it."""
    with Classifier.load(ModelSettings(threads=2, repeatable=False)) as fast:
        pairs = list(zip(fast.classify(HEADLINES), shipped.classify(HEADLINES), strict=True))
    moved = [abs(a - b) for one, other in pairs for a, b in zip(one.probabilities, other.probabilities, strict=True)]
    assert sum(moved) / len(moved) < 0.02
    assert sum(one.sentiment != other.sentiment for one, other in pairs) <= 0.1 * len(pairs)


def test_in_float32_company_changes_nothing_either(tiny_float_bundle: Bundle) -> None:
    texts = [f"{thing} {mood} {'today ' * (n % 9)}" for n, (thing, mood) in enumerate(product(THINGS, MOODS))]
    with Classifier.load(ModelSettings(bundle=tiny_float_bundle.folder, threads=2, batch_tokens=40)) as classifier:
        alone = [classifier.classify([text])[0] for text in texts]
        for one, other in zip(alone, classifier.classify(texts), strict=True):
            assert one == other


def test_more_texts_than_one_lookahead_keep_their_order(tiny_bundle: Bundle) -> None:
    texts = [f"{thing} holds {number}" for number in range(LOOKAHEAD) for thing in ("oil", "senate", "merger")]
    with Classifier.load(ModelSettings(bundle=tiny_bundle.folder, threads=2, batch_tokens=100)) as classifier:
        topics = [prediction.topic for prediction in classifier.classify(texts)]
    assert topics == ["Energy | Oil", "Politics", "M&A | Investments"] * LOOKAHEAD


class Watched(Sequence[str]):
    """Texts that say how many of them were read."""

    def __init__(self, count: int) -> None:
        self.texts = [f"oil soars {'today ' * (number % 3)}" for number in range(count)]
        self.read = 0

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            self.read = max(self.read, index.stop)
        return self.texts[index]


class Counting(Session):
    """Notes how many texts were read, but not yet scored."""

    def __init__(self, session: Session, texts: Watched) -> None:
        self.placement = session.placement
        self._under, self._texts, self._scored = session, texts, 0
        self.waiting: list[int] = []

    def run(self, ids: Tokens, mask: Tokens) -> tuple[Logits, Logits]:
        time.sleep(0.002)  # slower than tokenising, as a real network is
        self.waiting.append(self._texts.read - self._scored)
        self._scored += len(ids)
        return self._under.run(ids, mask)


def test_texts_are_read_no_further_ahead_than_inference_can_follow(tiny_bundle: Bundle) -> None:
    settings = ModelSettings(threads=1, batch_tokens=40)
    texts = Watched(10 * LOOKAHEAD)
    session = Counting(open_session(tiny_bundle, settings), texts)
    with Classifier(tiny_bundle, session, settings) as classifier:
        assert len(classifier.classify(texts)) == len(texts)
    assert max(session.waiting) <= 4 * LOOKAHEAD


def test_what_fills_no_batch_waits_for_more(tiny_bundle: Bundle) -> None:
    settings = ModelSettings(threads=1, batch_tokens=40)
    texts = Watched(3 * LOOKAHEAD)
    session = Counting(open_session(tiny_bundle, settings), texts)
    with Classifier(tiny_bundle, session, settings) as classifier:
        classifier.classify(texts)
    # LOOKAHEAD of each length: 10 of 4 tokens, 8 of 5, 6 of 6 in a batch, and a rest of each at the very end.
    assert len(session.waiting) == sum(math.ceil(LOOKAHEAD / size) for size in (10, 8, 6))


def test_half_precision_agrees_with_single(tiny_half_bundle: Bundle, tiny_float_bundle: Bundle) -> None:
    assert tiny_half_bundle.manifest.precision == "fp16"
    assert tiny_half_bundle.manifest.made["float32"].keys() == tiny_half_bundle.manifest.metrics.keys()
    texts = [f"{thing} {mood} {'today ' * (n % 9)}" for n, (thing, mood) in enumerate(product(THINGS, MOODS))]
    with (
        Classifier.load(ModelSettings(bundle=tiny_half_bundle.folder)) as half,
        Classifier.load(ModelSettings(bundle=tiny_float_bundle.folder)) as single,
    ):
        for one, other in zip(half.logits(texts), single.logits(texts), strict=True):
            assert 0 < np.abs(one - other).max() < 0.02


def test_probabilities_sum_to_one_and_the_labels_are_the_likeliest(shipped: Classifier) -> None:
    for prediction in shipped.classify(HEADLINES):
        assert sum(prediction.probabilities) == pytest.approx(1.0, abs=1e-9)
        assert prediction.sentiment == SENTIMENTS[int(np.argmax(prediction.probabilities))]
        assert prediction.topic in TOPICS
        assert 1 / len(TOPICS) <= prediction.topic_probability <= 1


@pytest.mark.parametrize(("texts", "said"), [(75, False), (400, True)])
def test_drift_is_told_only_from_enough_texts_of_before(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, texts: int, said: bool
) -> None:
    monkeypatch.setattr("model.classifier.ENOUGH_TEXTS", 1)
    reference = tiny_bundle.manifest.reference
    assert reference is not None
    made_for = msgspec.structs.replace(reference, texts=texts)
    bundle = replace(tiny_bundle, manifest=msgspec.structs.replace(tiny_bundle.manifest, reference=made_for))
    settings = ModelSettings(threads=1)
    with Classifier(bundle, open_session(bundle, settings), settings) as classifier:
        classifier.classify(["oil soars today"])
        assert bool(classifier.drift()) == said


def test_no_texts_make_no_predictions(shipped: Classifier) -> None:
    assert shipped.classify([]) == []


@pytest.mark.parametrize("text", ["", " ", "https://t.co/x", "\ud83d", "\x00", "中国", "🚀" * 500, f"&#{'1' * 4400};"])
def test_no_text_is_too_odd(shipped: Classifier, text: str) -> None:
    assert sum(shipped.classify([text])[0].probabilities) == pytest.approx(1.0)


@pytest.mark.parametrize("size", [100_000, 5_000_000])
def test_a_huge_text_counts_by_its_beginning(shipped: Classifier, size: int) -> None:
    bad = "Regulator shuts down lender after run on deposits. "
    huge = (bad * (size // len(bad) + 1))[:size]
    start = (bad * 100)[:4000]
    assert shipped.classify([huge]) == shipped.classify([start])


@pytest.mark.parametrize("before", [" \n" * 4000, f"https://example.test/{'a' * 5000} "])
def test_what_cleaning_removes_takes_no_text_s_place(shipped: Classifier, before: str) -> None:
    text = "Regulator shuts down lender after run on deposits"
    assert shipped.classify([before + text]) == shipped.classify([text])
    assert not shipped.is_full(before + text)
    ends = [end for _, end in shipped.pieces(text)]
    assert max(ends) == len(text)


def test_a_huge_word_is_no_trouble(shipped: Classifier) -> None:
    assert len(shipped.classify(["x" * 1_000_000])) == 1


def test_several_threads_may_call_at_once(shipped: Classifier) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(shipped.classify, [HEADLINES] * 8))
    assert all(result == results[0] for result in results)


def test_temperature_softens_probabilities_and_changes_no_label() -> None:
    logits = np.array([[4.0, 1.0, -2.0]], dtype=np.float32)
    sharp, soft = softmax(logits)[0], softmax(logits / np.float32(3))[0]
    assert soft.argmax() == sharp.argmax()
    assert soft.max() < sharp.max()


def test_softmax_bears_huge_logits() -> None:
    assert softmax(np.array([[1e4, -1e4, 0.0]], dtype=np.float32))[0].tolist() == [1.0, 0.0, 0.0]


def test_a_damaged_bundle_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle folder"):
        Classifier.load(ModelSettings(bundle=tmp_path / "nothing"))


def test_serving_imports_neither_torch_nor_transformers(checkout: Path) -> None:
    code = "import sys, model.classifier; print([m for m in ('torch', 'transformers', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["Bank fails", "北岭银行 fails", "half \ud83d of it", ""])
def test_pieces_stand_in_the_text_in_order_and_without_overlap(shipped: Classifier, text: str) -> None:
    places = [place for start, end in shipped.pieces(text) for place in range(start, end)]
    assert places == sorted(set(places))
    assert {text[place] for place in places} == {one for one in text if not one.isspace()}
