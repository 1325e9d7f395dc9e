"""Several bundles side by side, each for a language: which text goes to which, and the answers in the texts' order."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Generic, NamedTuple, Self, TypeVar

from model.classifier import Classifier, Prediction, TextClassifier
from model.errors import BundleError
from model.language import UNKNOWN, Languages, without_a_guess
from model.settings import ModelSettings

C = TypeVar("C", bound=TextClassifier)
R = TypeVar("R")

DEFAULT = ""
"""The key of the bundle that reads whatever has none of its own. The others' keys are their languages."""


class Route(NamedTuple):
    """Where a text goes, and why."""

    language: str = ""
    """ISO 639-1; empty where it is unknown, or where there is one bundle alone and nothing says it is another's."""
    bundle: str = DEFAULT
    """Key of the bundle that reads it."""
    fallback: bool = False
    """No bundle is made for its language, or that is unknown: the default one reads what it was not made for."""


UNMARKED = Route()
"""Of nearly every text where there is one bundle alone."""


class Router:
    """Chooses a bundle by a text's language. With the default bundle alone it guesses at nothing.

    Then a text is marked where its script or its source says that it is in another language; a guess would cost more
    than all that the stream does besides classifying, and there is nothing to choose.
    """

    def __init__(self, default: str, languages: Collection[str] = ()) -> None:
        """`default`: the language of the default bundle, empty where that is not known. `languages`: the others'."""
        self._default = default
        self._own = frozenset(languages)
        self._languages = Languages(default, self._own)

    @property
    def single(self) -> bool:
        """There is the default bundle alone, so that every text goes to it."""
        return not self._own

    def route(self, text: str, declared: str = "") -> Route:
        """Where a text goes whose source calls its language `declared`, ISO 639-1 or empty."""
        if self.single:
            if declared in ("", self._default) and text.isascii():  # nearly all, and nothing could say otherwise
                return UNMARKED
            language = without_a_guess(text, declared)
            is_foreign = language not in (UNKNOWN, self._default) and bool(self._default)
            return Route(language, DEFAULT, fallback=True) if is_foreign else UNMARKED
        language = self._languages.of(text, declared)
        if language in self._own:
            return Route(language, language)
        return Route(language, DEFAULT, fallback=language != self._default)

    def routes(self, texts: Iterable[str], declared: Iterable[str]) -> list[Route]:
        """`route` of each text, of as many as there are languages `declared`."""
        return [self.route(text, language) for text, language in zip(texts, declared, strict=True)]


def ask_by_route(
    routes: Sequence[Route], texts: Sequence[str], ask: Callable[[str, list[str]], tuple[Sequence[R], str]]
) -> list[tuple[R, str, Route]]:
    """What was said of each text, by which version of a bundle, and its route, in the order of `texts`.

    `ask` is called once for each bundle that a route names, by its key, with that bundle's texts in their order, and
    gives what it says of each of them and its version. It is called for none where there are no texts. Raises
    `ValueError` where it says something of more or fewer.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, route in enumerate(routes):
        places[route.bundle].append(place)
    if len(places) == 1:  # nearly always: nothing to put back into its place
        said, model = ask(routes[0].bundle, list(texts))
        return [(one, model, route) for one, route in zip(said, routes, strict=True)]
    answers: dict[int, tuple[R, str, Route]] = {}
    for bundle, mine in places.items():
        said, model = ask(bundle, [texts[place] for place in mine])
        answers.update((place, (one, model, routes[place])) for place, one in zip(mine, said, strict=True))
    return [answers[place] for place in range(len(texts))]


class Answer(NamedTuple):
    """What the bundle of a text's language says of it."""

    prediction: Prediction
    model: str
    """The bundle's version."""
    route: Route


class RoutedClassifier(Generic[C]):
    """The bundles of the settings, each text read by the one of its language. A context manager."""

    def __init__(self, bundles: Mapping[str, C], router: Router) -> None:
        self.bundles = bundles
        """By key: `DEFAULT`, and the languages that have one of their own."""
        self.router = router

    @classmethod
    def load(cls, settings: ModelSettings) -> "RoutedClassifier[Classifier]":
        """Verifies and opens them all. Raises `BundleError`, which names the language, or `RuntimeMissingError`."""
        with ExitStack() as stack:
            bundles = {
                key: stack.enter_context(Classifier.load(bundle_settings(settings, key)))
                for key in (DEFAULT, *settings.languages)
            }
            stack.pop_all()
        return RoutedClassifier(bundles, router_of(settings))

    def classify(self, texts: Sequence[str], declared: Sequence[str] = ()) -> list[Answer]:
        """One answer a text, in the order of `texts`; `declared` are the languages that their sources name, if any."""

        def ask(bundle: str, mine: list[str]) -> tuple[list[Prediction], str]:
            classifier = self.bundles[bundle]
            return classifier.classify(mine), classifier.version

        routes = self.router.routes(texts, declared or [""] * len(texts))
        return [Answer(*one) for one in ask_by_route(routes, texts, ask)]

    def bundle_for(self, text: str, declared: str = "") -> tuple[C, Route]:
        """The one that reads this text, for whoever has more to ask of it."""
        route = self.router.route(text, declared)
        return self.bundles[route.bundle], route

    def close(self) -> None:
        """Ends the threads of all bundles."""
        for bundle in self.bundles.values():
            bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def router_of(settings: ModelSettings) -> Router:
    """The router over the bundles that the settings name."""
    return Router(settings.language, settings.languages)


def bundle_settings(settings: ModelSettings, key: str) -> ModelSettings:
    """The settings with which the bundle of this key is opened. Raises `BundleError` where they name none."""
    if key == DEFAULT:
        return settings
    if key not in settings.languages:
        raise BundleError(
            f"the settings name no bundle for the language {key!r}", fix=f"give its folder as `model.languages.{key}`"
        )
    return settings.model_copy(update={"bundle": settings.languages[key]})
