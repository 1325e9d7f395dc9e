"""Each text goes to the bundle of its language, and the answers come back in order."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bundle import DEFAULT_BUNDLE, Bundle
from model.classifier import Prediction, TextClassifier
from model.errors import BundleError
from model.routing import DEFAULT, Route, RoutedClassifier, Router, ask_by_route, bundle_settings, router_of
from model.settings import ModelSettings

KEYS = (DEFAULT, "zh", "ja")
TEXTS = {
    "zh": "央行降息",
    "en": "The central bank cut its interest rate today",
    "de": "Die Zentralbank senkt den Leitzins",
}
ENGLISH_OR_CHINESE = Router("en", ["zh"])


class Named(TextClassifier):
    """Says in the topic which bundle it is, and in the probability which text it read."""

    def __init__(self, name: str) -> None:
        self.version = name
        self.batches: list[list[str]] = []
        self.closed = False

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        self.batches.append(list(texts))
        return [Prediction(self.version, float(len(text)), "neutral", (0.0, 1.0, 0.0)) for text in texts]

    def close(self) -> None:
        self.closed = True


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=3))))
def test_answers_come_in_the_order_of_the_texts_whatever_their_routes(given: list[tuple[str, str]]) -> None:
    asked: dict[str, list[str]] = {}

    def ask(key: str, texts: list[str]) -> tuple[list[str], str]:
        assert key not in asked  # once each
        asked[key] = texts
        return [f"{key}: {text}" for text in texts], f"bundle of {key}"

    found = ask_by_route([Route(bundle=key) for key, _ in given], [text for _, text in given], ask)
    assert found == [(f"{key}: {text}", f"bundle of {key}", Route(bundle=key)) for key, text in given]
    assert asked == {key: [text for one, text in given if one == key] for key in dict(given)}


@pytest.mark.parametrize("answers", [[], [1, 2, 3]])
def test_a_bundle_that_answers_more_or_fewer_is_an_error(answers: list[int]) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        ask_by_route([Route(), Route()], ["a", "b"], lambda _key, _texts: (answers, "bundle"))


@pytest.mark.parametrize(
    ("text", "declared", "route"),
    [
        (TEXTS["zh"], "", Route("zh", "zh")),
        (TEXTS["en"], "", Route("en", DEFAULT)),
        (TEXTS["de"], "", Route("de", DEFAULT, fallback=True)),
        ("$TSLA", "", Route("", DEFAULT, fallback=True)),
        ("$TSLA", "zh", Route("zh", "zh")),
        ("$TSLA", "en", Route("en", DEFAULT)),
        ("日経平均は続落", "", Route("ja", DEFAULT, fallback=True)),
    ],
)
def test_a_language_without_a_bundle_goes_to_the_default_one_and_is_marked(
    text: str, declared: str, route: Route
) -> None:
    assert ENGLISH_OR_CHINESE.route(text, declared) == route


def test_a_default_bundle_of_another_language_is_not_marked_in_its_own() -> None:
    router = Router("zh", ["en"])
    assert router.route(TEXTS["zh"]) == Route("zh", DEFAULT)
    assert router.route(TEXTS["en"]) == Route("en", "en")


@pytest.mark.parametrize("language", TEXTS)
def test_with_one_bundle_alone_nothing_is_guessed_and_what_is_plain_is_marked(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.language.Languages.of", lambda *_: pytest.fail("it guessed"))
    text = TEXTS[language]
    by_its_script = Route("zh", DEFAULT, fallback=True)
    assert Router("en").route(text) == (by_its_script if language == "zh" else Route())
    assert Router("en").route(text, "en") == (by_its_script if language == "zh" else Route())
    assert Router("en").route("Aktien steigen", "de") == Route("de", DEFAULT, fallback=True)
    assert Router("en").route("Shares rise", "no such code") == Route()
    assert Router("").route(text, "de") == Route(), "nobody said what the bundle is for"


@given(st.lists(st.sampled_from(sorted(TEXTS)), max_size=12))
def test_a_mixed_batch_is_read_by_the_right_bundles_and_named_so(languages: list[str]) -> None:
    bundles = {DEFAULT: Named("default"), "zh": Named("chinese")}
    texts = [TEXTS[language] for language in languages]

    answers = RoutedClassifier(bundles, ENGLISH_OR_CHINESE).classify(texts)

    names = ["chinese" if language == "zh" else "default" for language in languages]
    assert [answer.model for answer in answers] == names
    assert [(answer.prediction.topic, answer.prediction.topic_probability) for answer in answers] == [
        (name, float(len(text))) for name, text in zip(names, texts, strict=True)
    ]
    assert [answer.route.language for answer in answers] == languages
    assert [answer.route.fallback for answer in answers] == [language == "de" for language in languages]
    assert all(len(bundle.batches) == (bundle.version in names) for bundle in bundles.values())


def test_the_bundles_of_the_settings_are_opened_and_closed(tmp_path: Path) -> None:
    version = Bundle.load(DEFAULT_BUNDLE).manifest.version
    with RoutedClassifier.load(ModelSettings(threads=1, languages={"zh": DEFAULT_BUNDLE})) as opened:
        assert {key: bundle.version for key, bundle in opened.bundles.items()} == {DEFAULT: version, "zh": version}
        assert opened.bundle_for(TEXTS["zh"]) == (opened.bundles["zh"], Route("zh", "zh"))
        (answer,) = opened.classify(["$TSLA"], ["zh"])
        assert answer.route.language == "zh"
    with pytest.raises(BundleError, match="no such bundle folder"):
        RoutedClassifier.load(ModelSettings(threads=1, languages={"zh": tmp_path / "none"}))


def test_a_language_of_its_own_is_closed_with_the_others() -> None:
    bundles = {DEFAULT: Named("default"), "zh": Named("chinese")}
    with RoutedClassifier(bundles, ENGLISH_OR_CHINESE):
        pass
    assert all(bundle.closed for bundle in bundles.values())


def test_settings_of_a_language_that_has_no_bundle_are_an_error_that_names_the_key() -> None:
    settings = ModelSettings(languages={"zh": Path("/bundles/zh")})
    assert bundle_settings(settings, "zh").bundle == Path("/bundles/zh")
    assert bundle_settings(settings, DEFAULT) is settings
    with pytest.raises(BundleError, match="'de'") as caught:
        bundle_settings(settings, "de")
    assert "model.languages.de" in caught.value.fix
    assert router_of(settings).route(TEXTS["zh"]).bundle == "zh"
