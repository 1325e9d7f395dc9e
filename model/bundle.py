"""The bundle: a folder that holds one classifier and says what is in it. Loading verifies it and never unpickles.

model.onnx       inputs `input_ids`, `attention_mask` (int64, batch x length); outputs `topic_logits`
                 (batch x 20), `sentiment_logits` (batch x 3), float32
tokenizer.json   of the `tokenizers` library
bundle.json      the manifest: what it is, how it was made, how good it is, SHA-256 and size of the files

A composed bundle has a folder besides, `topic` or `sentiment`, with a model.onnx and a tokenizer.json of its own: that
model answers for this head, and what the first one says of it counts for nothing.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from model.drift import Reference
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS, Head

FORMAT = 1
COMPOSED_FORMAT = 2
"""Of composed bundles alone: what reads only format 1 must not serve one without its second model."""
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "bundle.json"
FILES = (MODEL_FILE, TOKENIZER_FILE)
SHIPPED = Path(__file__).parent / "bundles"
"""Each folder in it is a bundle that goes by its name; now there is `default` alone."""
DEFAULT_BUNDLE = SHIPPED / "default"

_LIST_OF_NUMBERS = re.compile(rb"\[\n[\d\s,.]+\]")
"""In indented JSON, where no string holds a line break: one line is enough for a histogram."""

_EXTERNAL = b"\n\x08location\x12"
"""In a model that keeps weights in other files: the key, in protobuf, that names one (`TensorProto.external_data`)."""

_RESTORE = "Restore the folder from where it came, or make a new one with `finsentry export`."

Precision = Literal["fp32", "fp16", "int8"]


class Temperatures(msgspec.Struct, frozen=True, kw_only=True):
    """Each head's logits are divided by its temperature before the softmax."""

    topic: float = 1.0
    sentiment: float = 1.0


class Scores(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one head of this very model does on one set that training never saw."""

    texts: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    """Expected calibration error of the tempered probabilities, 15 bins of equal width."""
    among: tuple[str, ...] = ()
    """The classes that the set knows, where these are not all: all numbers but `served` are measured among them."""
    served: float | None = None
    """Accuracy of what is served, every class allowed, where that is not `accuracy`."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Macro-F1 that this very model loses on a set against float32, with the 95 % interval of a paired bootstrap."""

    value: float
    low: float
    high: float


class ByTopic(msgspec.Struct, frozen=True, kw_only=True):
    """Sentiment confusions apart by topic: a sentiment that follows from the topic shows here and nowhere else."""

    labelled: int
    """Texts whose topic is a label, of another set with the same text; the others have their predicted one."""
    classes: tuple[str, ...]
    """All of the head, as they are served; in manifests of before that those that the set knows."""
    confusions: dict[str, list[list[int]]]
    """By topic, those that occur; rows are labels and columns predictions, in the order of `classes`."""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """How many cases of one check of `model.evaluation.checklists` this very model passes."""

    cases: int
    passed: int


class DataFingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What stood in one source when it was read."""

    rows: int
    sha256: str


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the bundle as it was written."""

    size: int
    sha256: str


class HeadModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers for one head, in the folder of that head's name."""

    precision: Precision
    maximum_length: int
    """Tokens of its own tokenizer, special ones included; what is longer is cut."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`bundle.json`. Fields that this version does not know are ignored, but they do count in the digest."""

    format: int
    version: str
    """Names the bundle on every scored document; ends in 8 hex digits of what its probabilities follow from."""
    precision: Precision
    language: str = "en"
    """ISO 639-1: what `reference` and `checklist` are of, and what the bundle is for."""
    topics: tuple[str, ...]
    sentiments: tuple[str, ...]
    maximum_length: int
    """Tokens, special ones included; what is longer is cut."""
    temperatures: Temperatures
    files: dict[str, FileRecord]
    heads: dict[Head, HeadModel] = {}
    """Of a composed bundle: the heads that models of their own answer for."""
    metrics: dict[str, Scores] = {}
    """By held-out set and head, `twitter_topic.validation/topic`."""
    trainings: tuple[dict[str, Scores], ...] = ()
    """Of a bundle that is the mean of several trainings: what each alone scores in float32, as `metrics` has it."""
    lost: dict[str, Loss] | None = None
    """As `metrics`, the sets on which more than half a point is lost; None where nothing was compared with float32."""
    without_near_duplicates: dict[str, Scores] = {}
    """As `metrics`, without the texts that have a near-duplicate in what trained; sets without such are left out."""
    by_topic: dict[str, ByTopic] = {}
    """As `metrics`, of the sets with sentiments."""
    checklist: dict[str, Passed] = {}
    """By the check's name."""
    reference: Reference | None = None
    """Of the texts that it was made for: what the live stream is compared with."""
    data: dict[str, DataFingerprint] = {}
    """By source and split."""
    made: dict[str, Any] = {}
    """Configuration, library versions, time: what it takes to make it again."""
    digest: str = ""
    """SHA-256 of this record without this field: a changed temperature is found like a changed weight."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: every byte in `folder` is the one that was written."""

    folder: Path
    manifest: Manifest

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def tokenizer_path(self) -> Path:
        return self.folder / TOKENIZER_FILE

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """The bundle in `folder`, verified; `folder` may be the name of a shipped one.

        Raises `BundleError`, which names the file and what to do.
        """
        folder = located(folder)
        if not folder.is_dir():
            shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob(f"*/{MANIFEST_FILE}")))
            raise BundleError(
                f"{folder}: no such bundle folder",
                fix="Give a folder that holds bundle.json, here or as `model.bundle` or in `model.languages`, or the"
                f" name of a shipped bundle: {shipped}.",
            )
        manifest = read_manifest(folder / MANIFEST_FILE)
        for name in files_of(manifest):
            _verify(folder, name, manifest.files.get(name))
            if name.endswith(MODEL_FILE):
                _require_whole(folder / name)
        return cls(folder, manifest)

    def heads(self) -> "dict[Head, Bundle]":
        """By head that a model of its own answers for: that model and its tokenizer, as a bundle."""
        return {
            head: Bundle(
                self.folder / head,
                msgspec.structs.replace(
                    self.manifest,
                    version=f"{self.manifest.version}.{head}",
                    heads={},
                    precision=one.precision,
                    maximum_length=one.maximum_length,
                ),
            )
            for head, one in self.manifest.heads.items()
        }


def located(bundle: Path) -> Path:
    """`bundle` where that is a folder; else, where it is the name of a shipped bundle, the folder of that one."""
    shipped = SHIPPED / bundle
    is_name = len(bundle.parts) == 1 and not bundle.is_dir()
    return shipped if is_name and (shipped / MANIFEST_FILE).is_file() else bundle


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`, checked against its digest and against the labels of this version."""
    raw = _read_object(path)
    if raw.get("format") not in (FORMAT, COMPOSED_FORMAT):
        raise BundleError(
            f"{path}: format {raw.get('format')!r}, but this version reads {FORMAT} and {COMPOSED_FORMAT}",
            fix="Use the FinSentry that made the bundle, or make the bundle again with this one.",
        )
    if raw.get("digest") != digest_of(raw):
        raise BundleError(f"{path}: its content is not what its `digest` says", fix=_RESTORE)
    try:
        manifest = msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {error}", fix=_RESTORE) from error
    _require_labels(path, "topics", manifest.topics, TOPICS)
    _require_labels(path, "sentiments", manifest.sentiments, SENTIMENTS)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Writes `bundle.json` beside the files that `manifest` is about, with their hashes; returns it complete."""
    files = {
        name: FileRecord(size=(folder / name).stat().st_size, sha256=sha256_of(folder / name))
        for name in files_of(manifest)
    }
    complete = msgspec.structs.replace(
        manifest,
        format=COMPOSED_FORMAT if manifest.heads else FORMAT,
        files=files,
        version=f"{manifest.version}-{_fingerprint(files, manifest)}",
    )
    measured: dict[str, Any] = msgspec.to_builtins(complete)
    measured["digest"] = digest_of(measured)
    encoded = msgspec.json.format(msgspec.json.encode(measured), indent=2)
    encoded = _LIST_OF_NUMBERS.sub(lambda found: b" ".join(found[0].split()), encoded)
    (folder / MANIFEST_FILE).write_bytes(encoded + b"\n")
    return msgspec.convert(measured, Manifest)


def digest_of(raw: dict[str, Any]) -> str:
    """SHA-256 of the record as compact JSON with sorted keys and without its `digest`."""
    rest = {key: value for key, value in raw.items() if key != "digest"}
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}", fix=_RESTORE) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: not a JSON object: {error}", fix=_RESTORE) from error


def files_of(manifest: Manifest) -> tuple[str, ...]:
    """What a bundle consists of beside its manifest, relative to its folder."""
    return (*FILES, *(f"{head}/{name}" for head in sorted(manifest.heads) for name in FILES))


def _fingerprint(files: dict[str, FileRecord], manifest: Manifest) -> str:
    """8 hex digits that name what a text's probabilities follow from: models, tokenizers, temperatures, lengths."""
    lengths = (manifest.maximum_length, *(manifest.heads[head].maximum_length for head in sorted(manifest.heads)))
    parts = [
        *(files[name].sha256 for name in sorted(files)),
        repr((manifest.temperatures.topic, manifest.temperatures.sentiment)),
        repr(lengths),
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:8]


def _verify(folder: Path, name: str, record: FileRecord | None) -> None:
    path = folder / name
    if record is None:
        raise BundleError(f"{folder / MANIFEST_FILE}: `files` does not name {name}", fix=_RESTORE)
    try:
        size, sha256 = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}", fix=_RESTORE) from error
    if size != record.size:
        raise BundleError(f"{path}: {size} bytes instead of {record.size}", fix=_RESTORE)
    if sha256 != record.sha256:
        raise BundleError(f"{path}: damaged: its SHA-256 is not the one in {MANIFEST_FILE}", fix=_RESTORE)


def _require_whole(path: Path) -> None:
    """Raises `BundleError` where weights of the model at `path` lie in other files: no hash here is of those."""
    if _EXTERNAL in path.read_bytes():
        raise BundleError(
            f"{path}: keeps weights in other files, which nothing verifies",
            fix="Save it as one file: onnx.save(onnx.load(MODEL), PATH), and write its manifest again.",
        )


def _require_labels(path: Path, key: str, found: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if found != wanted:
        index = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
        what = f"{len(found)} labels" if index is None else f"label {index} is {found[index]!r}"
        why = f"not {len(wanted)}" if index is None else f"not {wanted[index]!r}"
        raise BundleError(
            f"{path}: `{key}`: {what}, {why}",
            fix="The stream's counts mean these labels in this order: train with the labels of model/labels.py.",
        )
