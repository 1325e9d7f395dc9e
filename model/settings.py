"""What an operator may choose about the classifier. Composed into the whole settings by `deploy`."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

CODE = "[a-z]{2}"
"""ISO 639-1."""

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]


class ModelSettings(BaseModel):
    """Which bundle classifies, and how much of the machine it may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Path | None = Field(
        default=None,
        description="Folder of the bundle to load; the shipped one, which goes by the name `default` too, if absent.",
        examples=["data/bundles/ab"],
    )
    language: str = Field(
        default="en", pattern=f"^{CODE}$", description="Language of the texts that `bundle` is made for, ISO 639-1."
    )
    languages: dict[str, Path] = Field(
        default={},
        description="Bundles for other languages, by ISO 639-1 code: documents in one of them go to that bundle, all "
        "others to `bundle`; those that are not in `language` are marked.",
        examples=[{"zh": "data/bundles/zh"}],
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="Batches that run at the same time, each on one core; if absent all cores of this process, on a "
        "GPU two. `finsentry doctor --tune` measures what is best.",
        examples=[4],
    )
    batch_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens in one batch, padding included; a longer text is a batch of its own. If absent 256, "
        "on a GPU 16,384. `finsentry doctor --tune` measures what is best.",
        examples=[512],
    )
    repeatable: bool = Field(
        default=True,
        description="On the CPU batch only texts of one length and add whole numbers exactly, so that a text scores "
        "the same to the last bit in any company, and has the same labels on any processor. "
        "Without it texts of about one length are padded together, which saves time where texts come a few at a time; "
        "now and then that moves a probability in its third decimal. On an x86 processor without VNNI sums may then "
        "clip, which saves a seventh of the time and gives one text in a hundred another label, of posts one in 30.",
    )
    provider: Provider = Field(
        default="auto",
        description="Where to run: `auto` takes the first of TensorRT, CUDA and the CPU that is there and suits the "
        "bundle: int8 is for the CPU, fp16 for a GPU.",
    )
    engine_cache: Path = Field(
        default=Path("data/engines"),
        description="Folder where TensorRT keeps the engines that it builds, which takes minutes the first time.",
    )

    @field_validator("bundle", mode="before")
    @classmethod
    def _nothing_is_absent(cls, bundle: object) -> object:
        """An empty variable, as containers set them, is none: as a path it would be the working directory."""
        return None if bundle == "" else bundle

    @model_validator(mode="after")
    def _languages_are_others(self) -> Self:
        for code in self.languages:
            if not re.fullmatch(CODE, code):
                raise ValueError(f"languages: {code!r} is no ISO 639-1 code, such as zh")
        if self.language in self.languages:
            raise ValueError(f"languages: {self.language} is the language of `bundle`, the default one")
        return self
