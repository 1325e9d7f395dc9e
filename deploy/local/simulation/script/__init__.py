"""The lines that stories and posts are made of, read once from the TOML files beside this one."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from model.labels import SENTIMENTS, Sentiment

Lines = Mapping[Sentiment, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Voice:
    """How people on the social network pass on a line in one mood."""

    frames: tuple[str, ...]
    remarks: tuple[str, ...]
    emoji: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One part of the crisis: what the press writes, and what people say themselves."""

    lines: Lines
    posts: tuple[str, ...]
    posts_mood: Sentiment


@dataclass(frozen=True, slots=True)
class Script:
    """Everything that can be said."""

    topics: Mapping[str, Lines]
    run: Chapter
    rescue: Chapter
    voices: Mapping[Sentiment, Voice]
    contacts: tuple[str, ...]
    attributions: tuple[str, ...]
    """How a sentence of an article ends."""
    closings: tuple[str, ...]
    """The last paragraph of an article."""


def read_toml(name: str) -> dict[str, Any]:
    """The file `name` of the script."""
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _lines(table: Mapping[str, list[str]]) -> Lines:
    return {mood: tuple(table[mood]) for mood in SENTIMENTS}


def _chapter(table: Mapping[str, list[str]], posts_mood: Sentiment) -> Chapter:
    return Chapter(_lines(table), tuple(table["posts"]), posts_mood)


@cache
def read_script() -> Script:
    """The whole script."""
    crisis, voices = read_toml("crisis.toml"), read_toml("voices.toml")
    return Script(
        topics={topic: _lines(table) for topic, table in read_toml("topics.toml").items()},
        run=_chapter(crisis["run"], "negative"),
        rescue=_chapter(crisis["rescue"], "positive"),
        voices={
            mood: Voice(*(tuple(voices[mood][part]) for part in ("frames", "remarks", "emoji"))) for mood in SENTIMENTS
        },
        contacts=tuple(voices["contact"]["lines"]),
        attributions=tuple(voices["article"]["attributions"]),
        closings=tuple(voices["article"]["closings"]),
    )
