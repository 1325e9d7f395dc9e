"""The bundle: a folder that holds one classifier and says what is in it. Loading verifies it and never unpickles.

model.onnx       inputs `input_ids`, `attention_mask` (int64, batch x length); outputs `topic_logits`
                 (batch x 20), `sentiment_logits` (batch x 3), float32
tokenizer.json   of the `tokenizers` library
bundle.json      the manifest: what it is, how it was made, how good it is, SHA-256 and size of the files
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from model.drift import Reference
from model.errors import BundleError
from model.labels import SENTIMENTS, TOPICS

FORMAT = 1
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "bundle.json"
FILES = (MODEL_FILE, TOKENIZER_FILE)
DEFAULT_BUNDLE = Path(__file__).parent / "bundles" / "default"

_RESTORE = "Restore the folder from where it came, or make a new one with `finsentry export`."

Precision = Literal["fp32", "fp16", "int8"]


class Temperatures(msgspec.Struct, frozen=True, kw_only=True):
    """Each head's logits are divided by its temperature before the softmax."""

    topic: float = 1.0
    sentiment: float = 1.0


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How one head of this very model does on one set that training never saw."""

    texts: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    """Expected calibration error of the tempered probabilities, 15 bins of equal width."""


class DataFingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What stood in one source when it was read."""

    rows: int
    sha256: str


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the bundle as it was written."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`bundle.json`. Fields that this version does not know are ignored, but they do count in the digest."""

    format: int
    version: str
    """Names the bundle on every scored document; ends in the first 8 hex digits of the model's SHA-256."""
    precision: Precision
    topics: tuple[str, ...]
    sentiments: tuple[str, ...]
    maximum_length: int
    """Tokens, special ones included; what is longer is cut."""
    temperatures: Temperatures
    files: dict[str, FileRecord]
    metrics: dict[str, Scores] = {}
    """By held-out set and head, `twitter_topic.validation/topic`."""
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
        """The bundle in `folder`, verified. Raises `BundleError`, which names the file and what to do."""
        if not folder.is_dir():
            raise BundleError(f"{folder}: no such bundle folder", fix="Set `model.bundle` to a folder that holds one.")
        manifest = read_manifest(folder / MANIFEST_FILE)
        for name in FILES:
            _verify(folder / name, manifest.files.get(name))
        return cls(folder, manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`, checked against its digest and against the labels of this version."""
    raw = _read_object(path)
    if raw.get("format") != FORMAT:
        raise BundleError(
            f"{path}: format {raw.get('format')!r}, but this version reads format {FORMAT}",
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
    """Writes `bundle.json` beside the files that `manifest` is about, measured and signed now; returns it complete."""
    files = {name: FileRecord(size=(folder / name).stat().st_size, sha256=sha256_of(folder / name)) for name in FILES}
    version = f"{manifest.version}-{files[MODEL_FILE].sha256[:8]}"
    measured: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(manifest, files=files, version=version))
    measured["digest"] = digest_of(measured)
    encoded = msgspec.json.format(msgspec.json.encode(measured), indent=2)
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


def _verify(path: Path, record: FileRecord | None) -> None:
    if record is None:
        raise BundleError(f"{path.parent / MANIFEST_FILE}: `files` does not name {path.name}", fix=_RESTORE)
    try:
        size, sha256 = path.stat().st_size, sha256_of(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}", fix=_RESTORE) from error
    if size != record.size:
        raise BundleError(f"{path}: {size} bytes instead of {record.size}", fix=_RESTORE)
    if sha256 != record.sha256:
        raise BundleError(f"{path}: damaged: its SHA-256 is not the one in {MANIFEST_FILE}", fix=_RESTORE)


def _require_labels(path: Path, key: str, found: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if found != wanted:
        index = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
        what = f"{len(found)} labels" if index is None else f"label {index} is {found[index]!r}"
        why = f"not {len(wanted)}" if index is None else f"not {wanted[index]!r}"
        raise BundleError(
            f"{path}: `{key}`: {what}, {why}",
            fix="The stream's counts mean these labels in this order: train with the labels of model/labels.py.",
        )
