"""What `finsentry doctor --tune` says of a tuning: a table, a verdict, an object for programs."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from model.tuning import Trial, Tuning, median_interval


def settings_of(trial: Trial) -> dict[str, int]:
    """The keys of section `model` that make `trial`."""
    return {"threads": trial.threads, "batch_tokens": trial.batch_tokens}


def table(tuning: Tuning) -> Iterator[str]:
    """Each trial, fastest first."""
    yield f"{'threads':>9}{'batch_tokens':>14}{'texts/s':>10}{'least to most':>18}{'× present':>11}"
    present = next(one.typical for one in tuning.sweep if one.trial == tuning.present)
    for one in sorted(tuning.sweep, key=lambda rates: -rates.typical):
        spread = f"{min(one.rounds):,.0f} to {max(one.rounds):,.0f}"
        mark = "  present" if one.trial == tuning.present else ""
        yield (
            f"{one.trial.threads:>9}{one.trial.batch_tokens:>14,}{one.typical:>10,.0f}{spread:>18}"
            f"{one.typical / present:>11.2f}{mark}"
        )


def verdict(tuning: Tuning) -> str:
    """What the present settings give against the best, and no more than the measurement carries."""
    if not tuning.ratios:
        return "The present settings were the fastest of all."
    low, high = median_interval(tuning.ratios)
    again = (
        f"measured again, {len(tuning.ratios)} rounds in turn: {median(tuning.ratios):.2f} times as fast"
        f" (95 %: {low:.2f} to {high:.2f})"
    )
    threads = "1 thread" if tuning.best.threads == 1 else f"{tuning.best.threads} threads"
    name = f"{threads} with {tuning.best.batch_tokens:,} tokens a batch"
    if tuning.worth_it:
        return f"{name} beats the present settings; {again}."
    return f"Keep the present settings: {name} looked best, but {again}, which is noise or too little."


def as_object(tuning: Tuning) -> dict[str, Any]:
    """The same for a program."""
    low, high = median_interval(tuning.ratios) if tuning.ratios else (None, None)
    return {
        "provider": tuning.placement.provider,
        "texts": tuning.texts,
        "trials": [settings_of(one.trial) | {"texts_per_second": list(one.rounds)} for one in tuning.sweep],
        "present": settings_of(tuning.present),
        "best": settings_of(tuning.best),
        "ratio": median(tuning.ratios) if tuning.ratios else None,
        "interval": None if low is None or low == float("-inf") else [low, high],
        "worth_it": tuning.worth_it,
    }
