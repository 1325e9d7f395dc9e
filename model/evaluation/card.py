"""The model card: what a bundle is for, how good it is and where it fails, as Markdown out of its manifest. Pure.

After Mitchell et al. 2019, "Model cards for model reporting". It says nothing that the manifest does not know, so it is
never out of date.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from model.bundle import Manifest, Scores
from model.evaluation.spread import spreads
from model.evaluation.topic_leak import topic_leaks
from model.labels import SENTIMENTS

CARD_FILE = "MODEL_CARD.md"
"""Beside `bundle.json`. Not among the verified files: it can be written again at any time."""

FIRM_TEXTS = 1000
"""Of a set with fewer texts the numbers are shown apart: they move by points with a few texts."""

LARGEST_CALIBRATION_ERROR = 0.03
"""What more than that counts as a failure: three points more or less sure, on the mean, than it is right."""


def model_card(manifest: Manifest) -> str:
    """The whole card, ending in a line break."""
    parts = [
        _head(manifest),
        _scores(manifest),
        _without_near_duplicates(manifest),
        _spread(manifest),
        _lost(manifest),
        _by_topic(manifest),
        _checks(manifest),
        _made(manifest),
        _limits(manifest),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(manifest: Manifest) -> list[str]:
    megabytes = sum(file.size for file in manifest.files.values()) / 1e6
    return [
        f"# {manifest.version}",
        "",
        f"Gives a headline or post one of {len(manifest.topics)} financial topics and a sentiment, each with calibrated"
        " probabilities, so that a monitor can count how much of what is said on a topic is negative.",
        "",
        f"- {manifest.precision}, {megabytes:.0f} MB, reads {manifest.maximum_length} tokens of a text",
        f"- language: {manifest.language}",
        f"- sentiments: {'; '.join(manifest.sentiments)}",
        f"- topics: {'; '.join(manifest.topics)}",
        "- meant for shares over many texts; not for trading on one text, nor for judging people or firms by it",
    ]


def _scores(manifest: Manifest) -> list[str]:
    if not manifest.metrics:
        return []
    original: dict[str, Any] = manifest.made.get("float32", {})
    firm = {name: found for name, found in manifest.metrics.items() if found.texts >= FIRM_TEXTS}
    small = {name: found for name, found in manifest.metrics.items() if found.texts < FIRM_TEXTS}
    lines = ["## On texts that training never saw", ""]
    if composed := manifest.made.get("composed"):
        unknown = f"What trained {composed['model']}, which answers for the {composed['head']}, is not known here"
        lines = ["## On held-out texts", "", f"{unknown}: it may have seen them.", ""]
    lines += [*_table(firm, original), *_restricted(firm)]
    if small:
        lines += [
            "",
            f"Sets of fewer than {FIRM_TEXTS:,} texts, where a point is a few texts:",
            "",
            *_table(small, original),
            *_restricted(small),
        ]
    return [*lines, *_own(manifest)]


def _own(manifest: Manifest) -> Iterator[str]:
    """A paragraph about the sets whose texts were written for the recipe: a good score there says little."""
    sources = manifest.made.get("recipe", {}).get("sources", ())
    ours = {source["name"] for source in sources if source.get("own")}
    if names := [f"`{name}`" for name in manifest.metrics if name.partition(".")[0] in ours]:
        yield ""
        yield (
            f"The texts of {_listed(names)} were written for this recipe, as those that train: they say whether it"
            " learned what was meant, and not how it does on what others write."
        )


def _table(metrics: dict[str, Scores], original: dict[str, Any]) -> Iterator[str]:
    before = bool(original)
    yield from _header(
        "set / head", "texts", "accuracy", "macro-F1", *(["macro-F1 in float32"] if before else []), "calibration error"
    )
    for name, found in metrics.items():
        in_float = [f"{original[name]['macro_f1']:.3f}" if name in original else ""] if before else []
        yield _row(
            f"`{name}`",
            f"{found.texts:,}",
            f"{found.accuracy:.3f}",
            f"{found.macro_f1:.3f}",
            *in_float,
            f"{found.calibration_error:.3f}",
        )


def _restricted(metrics: dict[str, Scores]) -> Iterator[str]:
    """A paragraph for each set that knows only some classes: a row of the table does not say so."""
    for name, found in metrics.items():
        if found.served is not None:
            yield ""
            yield (
                f"`{name}` knows {_listed(found.among)} alone and is measured among those; with every class allowed"
                f" accuracy is {found.served:.3f}."
            )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + [names[-1]])


def _without_near_duplicates(manifest: Manifest) -> list[str]:
    apart = {name: found for name, found in manifest.without_near_duplicates.items() if name in manifest.metrics}
    if not apart:
        return []
    composed = manifest.made.get("composed")
    whose = f" of {composed['of']}, which answers for these" if composed else ""
    rows = (
        _row(
            f"`{name}`",
            f"{found.texts:,} of {manifest.metrics[name].texts:,}",
            f"{found.accuracy:.3f}",
            f"{found.macro_f1:.3f}",
        )
        for name, found in apart.items()
    )
    return [
        "## Without texts that training nearly saw",
        "",
        f"Some held-out texts have {manifest.made['near_duplicates_share']:.0%} of their words in common with a"
        f" training text{whose}, which may say the same or the contrary. The others alone:",
        "",
        *_header("set / head", "texts", "accuracy", "macro-F1"),
        *rows,
    ]


def _spread(manifest: Manifest) -> list[str]:
    found = spreads(manifest)
    if not found:
        return []
    taught = manifest.made.get("taught")
    shared = bool(taught and taught.get("begins_at_mean", True))
    return [
        f"## How much hangs on the seed: {len(manifest.trainings)} trainings",
        "",
        "Each by itself, in float32: mean and standard deviation. The bundle is the mean of their weights."
        + (" They began at one point, the mean of their teachers, so trainings from scratch differ more." * shared),
        "",
        *_header("set / head", "accuracy", "macro-F1", "calibration error"),
        *(_row(f"`{name}`", *map(str, spread)) for name, spread in found.items()),
    ]


def _lost(manifest: Manifest) -> list[str]:
    if manifest.lost is None:
        return []
    lines = ["## What is lost against float32", ""]
    for head in ("topic", "sentiment"):
        in_float32 = head in manifest.heads and manifest.heads[head].precision == "fp32"
        if not in_float32 and not any(name.endswith(f"/{head}") for name in manifest.metrics):
            lines += [f"No held-out text has a {head}: what is lost there was not measured.", ""]
    if not manifest.metrics:
        return lines[:-1]
    if not manifest.lost:
        return [*lines, "No set loses more than half a point of macro-F1."]
    rows = (
        _row(
            f"`{name}`",
            f"{manifest.metrics[name].texts:,}",
            f"{100 * loss.value:.1f}",
            f"{100 * loss.low:.1f} to {100 * loss.high:.1f}",
        )
        for name, loss in manifest.lost.items()
    )
    return [
        *lines,
        "Every set that loses more than half a point of macro-F1; where the interval holds 0, it may be chance.",
        "",
        *_header("set / head", "texts", "points lost", "95 % interval"),
        *rows,
    ]


def _by_topic(manifest: Manifest) -> list[str]:
    sets = manifest.by_topic
    if not sets:
        return []
    found = topic_leaks(sets.values())
    labelled, texts = sum(one.labelled for one in sets.values()), sum(one.texts for one in found)
    rows = (
        _row(
            one.topic.replace("|", "\\|"),
            f"{one.texts:,}",
            f"{one.negative:.0%}",
            f"{one.called:.0%}",
            f"{100 * one.gap:+.1f} ± {100 * one.margin:.1f}",
            "" if one.recall is None else f"{one.recall:.0%}",
            *(" / ".join(map(str, row)) for row in one.confusion),
        )
        for one in found
    )
    return [
        "## Does sentiment follow from the topic?",
        "",
        f"All {texts:,} held-out texts with a sentiment by their topic, which is a label for {labelled:,} of them and"
        " predicted for the others: how many are negative, and how many are called so. Where the difference is far"
        " below 0, the topic hides bad news; where its 95 % interval holds 0, nothing shows that it does. The last"
        f" columns count what is called {' / '.join(SENTIMENTS)}.",
        "",
        *_header(
            "topic",
            "texts",
            "negative",
            "called so",
            "difference, points",
            "recall of negatives",
            *(f"labelled {name}" for name in SENTIMENTS),
        ),
        *rows,
    ]


def _checks(manifest: Manifest) -> list[str]:
    if not manifest.checklist:
        return []
    rows = [
        _row(name, f"{found.passed} of {found.cases}", f"{100 * found.passed / found.cases:.0f} %")
        for name, found in manifest.checklist.items()
    ]
    learned: list[str] | None = manifest.made.get("checks_that_nearly_train")
    known = "none of their texts stands, or nearly stands, in what trains"
    if learned is None:
        known = "whether their texts stand, or nearly stand, in what trains is not known"
    elif learned:
        texts = "; ".join(map(repr, learned))
        known = f"{len(learned)} of their texts stand, or nearly stand, in what trains, and prove nothing: {texts}"
    return [
        "## What it understands",
        "",
        f"Small cases in the manner of CheckList (Ribeiro et al. 2020); {known}.",
        "",
        *_header("check", "passed", "rate"),
        *rows,
    ]


def _made(manifest: Manifest) -> list[str]:
    if not manifest.data:
        return []
    rows = [_row(f"`{name}`", f"{found.rows:,}", f"`{found.sha256[:16]}`") for name, found in manifest.data.items()]
    trained_on = manifest.made.get("trained_on")
    lines = ["## Made of", "", *_header("set", "rows read", "SHA-256"), *rows, ""]
    encoder = manifest.made.get("recipe", {}).get("encoder", {})
    if name := encoder.get("hub") or encoder.get("package") or encoder.get("folder"):
        layers, pieces = encoder.get("layers"), encoder.get("vocabulary")
        of_it = [f"its first {layers} layers"] * bool(layers) + [f"{pieces or 0:,} of its word pieces"] * bool(pieces)
        digest = manifest.made.get("encoder")
        lines += [
            f"Its encoder is {', '.join([name, *of_it])}{f' (pretrained weights `{digest}`)' if digest else ''}.",
            "",
        ]
    if trained_on:
        lines += [f"Trained on {trained_on:,} texts an epoch, after what stands in a held-out set was left out.", ""]
    if taught := manifest.made.get("taught"):
        by = "; ".join(f"seed {one}" if isinstance(one, int) else one for one in taught["by"])
        begun = (
            "the mean of those with this encoder and, where some have, as many layers"
            if taught.get("begins_at_mean", True)
            else "the pretrained encoder"
        )
        lines += [
            f"Taught by other trainings ({by}), begun at {begun}: their answers have {taught['weight']:g} of the loss,"
            " the labels the rest.",
            "",
        ]
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.made.get("libraries", {}).items())
    temperatures = manifest.temperatures
    lines.append(f"Temperatures: topic {temperatures.topic}, sentiment {temperatures.sentiment}. {libraries}.")
    if parity := manifest.made.get("parity"):
        largest = ", ".join(f"{difference:.1e} in {precision}" for precision, difference in parity.items())
        lines += ["", f"Largest difference of a logit between the trained network and its ONNX: {largest}."]
    return lines


def _limits(manifest: Manifest) -> list[str]:
    weakest = sorted(manifest.metrics.items(), key=lambda item: item[1].macro_f1)[:3]
    failing = sorted(manifest.checklist.items(), key=lambda item: item[1].passed / item[1].cases)[:3]
    lines = ["## Where it fails", ""]
    lines += [f"- `{name}`: macro-F1 {found.macro_f1:.3f}" for name, found in weakest]
    lines += [
        f"- {name}: {found.cases - found.passed} of {found.cases} cases fail"
        for name, found in failing
        if found.passed < found.cases
    ]
    lines += [
        f"- {one.topic}: {one.called:.0%} are called negative, and {one.negative:.0%} are; it finds"
        f" {one.recall or 0:.0%} of them"
        for one in topic_leaks(manifest.by_topic.values())
        if one.gap < -one.margin
    ]
    lines += [
        f"- `{name}`: its probabilities are off by {found.calibration_error:.4f}"
        for name, found in manifest.metrics.items()
        if found.calibration_error > LARGEST_CALIBRATION_ERROR and found.texts >= FIRM_TEXTS
    ]
    lines += [
        f"- `{name}`: {manifest.precision} loses {100 * loss.value:.1f} points of macro-F1"
        for name, loss in (manifest.lost or {}).items()
    ]
    return lines if len(lines) > 2 else []


def _header(*names: str) -> Iterable[str]:
    return _row(*names), _row("---", *("---:" for _ in names[1:]))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
