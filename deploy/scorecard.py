"""How good a bundle is, as lines that a person reads. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from model.bundle import ByTopic
from model.evaluation.card import LARGEST_CALIBRATION_ERROR
from model.evaluation.checklist import Result
from model.evaluation.comparison import Difference, Metric
from model.evaluation.evaluate import Report

NEGATIVE = "negative"
SHOWN_FAILURES = 2
"""Of each check; --json has them all."""

WORDS: dict[Metric, str] = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def scorecard(reports: Mapping[str, Report]) -> Iterator[str]:
    """Everything that was measured, a paragraph a set and head."""
    for name, report in reports.items():
        yield from _set(name, report)
        yield ""


def miscalibrated(reports: Mapping[str, Report]) -> Iterator[str]:
    """How often each confidence is right, a line a bin that has texts, for each set where that is not to be trusted."""
    for name, report in reports.items():
        if report.scores.calibration_error > LARGEST_CALIBRATION_ERROR:
            yield f"calibration of {name}: off by {report.scores.calibration_error:.3f}"
            yield "    confidence  texts   mean  right"
            for one in report.reliability:
                if one.texts:
                    yield f"  {one.low:.3f}-{one.high:.3f}  {one.texts:>5}  {one.confidence:.3f}  {one.accuracy:.3f}"
            yield ""


def checks(results: Sequence[Result], others: Sequence[Result] = ()) -> Iterator[str]:
    """A line a check with its pass rate (and that of another bundle), and the first cases that fail."""
    width = max(len(result.name) for result in results)
    before = {other.name: other.rate for other in others}
    yield f"checks{'; in brackets the other bundle' if others else ''}"
    for result in results:
        other = f"  ({before[result.name]:.0%})" if result.name in before else ""
        passed = result.cases - len(result.failures)
        yield (
            f"  {result.name:<{width}}  {result.kind:<21}  {passed:>3} of {result.cases:>3}  {result.rate:>4.0%}{other}"
        )
        for failure in result.failures[:SHOWN_FAILURES]:
            yield f"      {failure}"
    yield ""


def comparison(ours: str, theirs: str, differences: Mapping[str, Mapping[Metric, Difference]]) -> Iterator[str]:
    """A line a set and metric that says whether the difference is real."""
    yield f"{ours} against {theirs}: difference, 95 % interval by paired bootstrap"
    width = max(map(len, differences))
    for name, by_metric in differences.items():
        for metric, difference in by_metric.items():
            yield f"  {name:<{width}}  {WORDS[metric]:<8}  {difference}"


def _set(name: str, report: Report) -> Iterator[str]:
    scores = report.scores
    area = "" if report.auroc is None else f"   AUROC {report.auroc:.3f}"
    yield (
        f"{name}: {scores.texts:,} texts   accuracy {scores.accuracy:.3f}   macro-F1 {scores.macro_f1:.3f}{area}"
        f"   calibration error {scores.calibration_error:.3f}"
    )
    # Columns go by number, as twenty names would not fit a line.
    width = max(map(len, report.classes))
    header = "".join(f"{number:>5}" for number in range(1, len(report.classes) + 1))
    yield f"     {'':<{width}}  precision  recall     F1  texts  called:{header}"
    for number, ((label, of), row) in enumerate(zip(report.classes.items(), report.confusion, strict=True), start=1):
        cells = "".join(f"{count or '·':>5}" for count in row)
        yield (
            f"  {number:>2} {label:<{width}}  {of.precision:>9.3f}  {of.recall:>6.3f}  {of.f1:>5.3f}  {of.support:>5}"
            f"         {cells}"
        )
    if report.by_topic is not None and NEGATIVE in report.classes:
        yield from _by_topic(report.by_topic)


def _by_topic(by_topic: ByTopic) -> Iterator[str]:
    negative = by_topic.classes.index(NEGATIVE)
    width = max(map(len, by_topic.confusions))
    texts = sum(sum(map(sum, confusion)) for confusion in by_topic.confusions.values())
    yield (
        f"  by topic ({by_topic.labelled:,} of {texts:,} labelled, the others predicted); the counts at the end are"
        f" {', '.join(by_topic.classes)} as called, a group a label"
    )
    yield f"     {'':<{width}}  texts  right  negative  called so  recall of negatives"
    for topic, confusion in by_topic.confusions.items():
        texts = sum(map(sum, confusion))
        right = sum(row[index] for index, row in enumerate(confusion))
        support, called = sum(confusion[negative]), sum(row[negative] for row in confusion)
        recall = f"{confusion[negative][negative] / support:.0%}" if support else "-"
        cells = " | ".join(" ".join(f"{count or '·':>4}" for count in row) for row in confusion)
        yield (
            f"     {topic:<{width}}  {texts:>5}  {right / texts:>5.0%}  {support / texts:>8.0%}"
            f"  {called / texts:>9.0%}  {recall:>19}  {cells}"
        )
