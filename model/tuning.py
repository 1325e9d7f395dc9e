"""Which batches and how many at a time are fastest here: measured in turn, so that noise hits all alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import NamedTuple, Protocol, Self

from scipy.stats import binom

from model.placement import Placement

CPU_BATCHES = (64, 128, 256, 512, 1024)
GPU_BATCHES = (4096, 8192, 16_384, 32_768, 65_536)

CONFIDENCE = 0.95
LEAST_GAIN = 1.02
"""Less is not worth a setting that somebody has to keep."""

LEAST_ROUNDS = 3
MOST_ROUNDS = 25
DUEL_ROUNDS = 8
"""Fewest rounds of the two at the end: six are the fewest that allow any claim."""

DUEL_SHARE = 1 / 3
"""Of the time that the two finalists get. They are measured anew, since the best of many was lucky, too."""

LEAST_TEXTS, MOST_TEXTS = 64, 8192


class Tunable(Protocol):
    """What is measured: a `Classifier`."""

    @property
    def placement(self) -> Placement:
        """How it runs."""

    def placed(self, placement: Placement) -> Self:
        """The same, run in another way."""

    def classify(self, texts: Sequence[str]) -> Sequence[object]:
        """The work."""

    def close(self) -> None:
        """Ends its threads."""


class Trial(NamedTuple):
    """One way to run."""

    threads: int
    batch_tokens: int


class Rates(NamedTuple):
    """Texts a second of one trial, a round each."""

    trial: Trial
    rounds: tuple[float, ...]

    @property
    def typical(self) -> float:
        """The median."""
        return median(self.rounds)


class Tuning(NamedTuple):
    """What was measured, and what it says."""

    placement: Placement
    """What the settings give at present."""
    texts: int
    """In each round of each trial."""
    sweep: tuple[Rates, ...]
    best: Trial
    duel: tuple[Rates, Rates] | None
    """The present and the best, measured anew; None where the present is the best."""

    @property
    def present(self) -> Trial:
        """The trial that the settings ask for."""
        return Trial(self.placement.threads, self.placement.batch_tokens)

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times as fast the best was as the present, by round of the duel; empty without one."""
        if self.duel is None:
            return ()
        return tuple(new / old for old, new in zip(self.duel[0].rounds, self.duel[1].rounds, strict=True))

    @property
    def worth_it(self) -> bool:
        """Whether the best is faster by more than noise explains, and by enough to care."""
        return bool(self.ratios) and median_interval(self.ratios)[0] > 1 and median(self.ratios) >= LEAST_GAIN


def trials(present: Placement, cores: int) -> list[Trial]:
    """What to try: the present first, then half the cores and all of them, each with small and large batches.

    On TensorRT no batch larger than the present: its engine is built for those shapes, and one that leaves them is
    refused or has another built in the midst of the measurement.
    """
    gpu = present.provider != "cpu"
    threads = (1, 2, 4) if gpu else sorted({max(cores // 2, 1), cores})
    asked = Trial(present.threads, present.batch_tokens)
    sizes: tuple[int, ...] = GPU_BATCHES if gpu else CPU_BATCHES
    if present.provider == "tensorrt":
        sizes = tuple(tokens for tokens in sizes if tokens <= present.batch_tokens)
    grid = [Trial(count, tokens) for count in threads for tokens in sizes]
    return [asked, *(trial for trial in grid if trial != asked)]


def tune(
    classifier: Tunable,
    texts: Sequence[str],
    *,
    cores: int,
    seconds: float,
    clock: Callable[[], float] = perf_counter,
    progress: Callable[[float], object] = lambda _: None,
) -> Tuning:
    """Measures for about `seconds`, though never fewer than `LEAST_ROUNDS` rounds.

    Calls `progress` with the seconds since it called last. `texts` are repeated or cut to what the time allows. On a
    machine with little time or none to spare the rounds are short and the claims cautious.
    """
    began = last = clock()

    def passed() -> None:
        nonlocal last
        now = clock()
        progress(now - last)
        last = now

    placement = classifier.placement
    contenders = {trial: classifier.placed(_as(placement, trial)) for trial in trials(placement, cores)}
    present, *_ = contenders
    try:
        some = _enough(texts, LEAST_TEXTS)
        contenders[present].classify(some)  # the first run allocates
        pace = _rate(contenders[present], some, clock)
        sweep_seconds = seconds * (1 - DUEL_SHARE)
        count = int(pace * sweep_seconds / (len(contenders) * (LEAST_ROUNDS + 1)))
        measured = _enough(texts, min(max(count, LEAST_TEXTS), MOST_TEXTS))
        passed()
        sweep = tuple(_rounds(contenders, measured, began + sweep_seconds, LEAST_ROUNDS, clock, passed))
        best = max(sweep, key=lambda rates: rates.typical).trial
        if best == present:
            return Tuning(placement, len(measured), sweep, best, None)
        # Shorter rounds, since there must be more of them.
        fewer = _enough(
            texts, min(max(int(pace * seconds * DUEL_SHARE / (2 * DUEL_ROUNDS)), LEAST_TEXTS), len(measured))
        )
        two = {trial: contenders[trial] for trial in (present, best)}
        old, new = _rounds(two, fewer, began + seconds, DUEL_ROUNDS, clock, passed)
        return Tuning(placement, len(measured), sweep, best, (old, new))
    finally:
        for contender in contenders.values():
            contender.close()


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % confidence interval for the median of what `values` are drawn from; endless for fewer than six.

    By order statistics, as in the sign test, so it holds whatever the noise looks like.
    """
    outside = int(binom.ppf((1 - CONFIDENCE) / 2, len(values), 0.5))
    if outside == 0:
        return float("-inf"), float("inf")
    ordered = sorted(values)
    return ordered[outside - 1], ordered[-outside]


def _as(placement: Placement, trial: Trial) -> Placement:
    return placement._replace(threads=trial.threads, batch_tokens=trial.batch_tokens)


def _enough(texts: Sequence[str], count: int) -> list[str]:
    return (list(texts) * (count // len(texts) + 1))[:count]


def _rate(contender: Tunable, texts: Sequence[str], clock: Callable[[], float]) -> float:
    began = clock()
    contender.classify(texts)
    return len(texts) / max(clock() - began, 1e-9)


def _rounds(
    contenders: Mapping[Trial, Tunable],
    texts: Sequence[str],
    until: float,
    least: int,
    clock: Callable[[], float],
    passed: Callable[[], object],
) -> Iterator[Rates]:
    """Round after round until the time is over; the first warms up, and each begins with another contender."""
    found: dict[Trial, list[float]] = {trial: [] for trial in contenders}
    order = list(contenders)
    number = 0
    took = 0.0
    while number <= least or (number <= MOST_ROUNDS and clock() + took < until):
        began = clock()
        turn = number % len(order)
        for trial in order[turn:] + order[:turn]:
            rate = _rate(contenders[trial], texts, clock)
            if number:
                found[trial].append(rate)
            passed()
        took = clock() - began
        number += 1
    return (Rates(trial, tuple(rates)) for trial, rates in found.items())
