"""What a classifier of financial news must be able to do, as small tests with a pass rate each.

In the manner of CheckList (Ribeiro et al. 2020): a score on held-out texts says how often a model is right, these say
what it does not understand. Three kinds: *minimum functionality* (a plain text has a plain label), *invariance* (a
change that means nothing changes nothing) and *direction* (a change for the worse makes it worse, and neither of the
two is called the contrary of what it is). Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from model.classifier import Prediction
from model.labels import Head, Sentiment

Kind = Literal["minimum functionality", "invariance", "direction"]

MARGIN = 0.1
"""How far a change for the worse must move the valence, which goes from -1 to 1: less is as good as nothing.

That alone would let a conviction for fraud be called positive as long as an acquittal is called more so.
"""


class Case(NamedTuple):
    """One text and what may be said of it, or two texts and how they must compare."""

    text: str
    other: str = ""
    """Invariance: the same in other words; direction: the worse of the two."""
    allowed: tuple[Sentiment, ...] = ()
    """Minimum functionality: any of these is right."""


@dataclass(frozen=True, slots=True)
class Check:
    """A capability, by its cases."""

    name: str
    kind: Kind
    cases: tuple[Case, ...]
    head: Head = "sentiment"
    """What must not change, for an invariance."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that failed, and what was said of its texts."""

    text: str
    said: str
    other: str = ""
    said_of_other: str = ""

    def __str__(self) -> str:
        first = f"{self.text!r}: {self.said}"
        return f"{first}; {self.other!r}: {self.said_of_other}" if self.other else first


@dataclass(frozen=True, slots=True)
class Result:
    """How a classifier did on one check."""

    name: str
    kind: Kind
    cases: int
    failures: list[Failure]

    @property
    def rate(self) -> float:
        """Share of cases that passed."""
        return 1 - len(self.failures) / self.cases


def texts_of(checks: Iterable[Check]) -> list[str]:
    """Every text that the checks ask about, once."""
    return list(dict.fromkeys(text for check in checks for case in check.cases for text in case[:2] if text))


def run_checks(checks: Iterable[Check], classify: Callable[[Sequence[str]], Sequence[Prediction]]) -> list[Result]:
    """Asks `classify` for every text once, together, and says which cases fail."""
    checks = list(checks)
    texts = texts_of(checks)
    said = dict(zip(texts, classify(texts), strict=True))
    return [
        Result(
            check.name,
            check.kind,
            len(check.cases),
            [_failure(check, case, said) for case in check.cases if not _passes(check, case, said)],
        )
        for check in checks
    ]


def valence(prediction: Prediction) -> float:
    """Probability of positive less that of negative."""
    negative, _, positive = prediction.probabilities
    return positive - negative


def _passes(check: Check, case: Case, said: dict[str, Prediction]) -> bool:
    one = said[case.text]
    match check.kind:
        case "minimum functionality":
            return one.sentiment in case.allowed
        case "invariance":
            return bool(getattr(one, check.head) == getattr(said[case.other], check.head))
        case "direction":
            other = said[case.other]
            contrary = one.sentiment == "negative" or other.sentiment == "positive"
            return not contrary and valence(one) >= valence(other) + MARGIN


def _failure(check: Check, case: Case, said: dict[str, Prediction]) -> Failure:
    if not case.other:
        return Failure(case.text, _shown(check, said[case.text]))
    return Failure(case.text, _shown(check, said[case.text]), case.other, _shown(check, said[case.other]))


def _shown(check: Check, prediction: Prediction) -> str:
    if check.head == "topic":
        return f"{prediction.topic} {prediction.topic_probability:.2f}"
    return f"{prediction.sentiment} {max(prediction.probabilities):.2f}"
