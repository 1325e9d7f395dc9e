"""Stories and posts: one cast of invented people and figures, told in lines of the script."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from deploy.local.simulation import world
from deploy.local.simulation.cast import Cast
from deploy.local.simulation.grammar import expand
from deploy.local.simulation.script import Script, Voice

SUMMARY_SENTENCES: Final = 2
PARAGRAPHS: Final = 3

CONTACT_RATE: Final = 0.03
"""Part of the posts that give an e-mail address or a telephone number away."""

SYNONYMS: Final = (
    ("shares", "stock"),
    ("million", "mln"),
    ("billion", "bn"),
    ("company", "group"),
    ("says", "said"),
    ("jumps", "leaps"),
    ("tumbles", "drops"),
    ("plunges", "dives"),
    ("hikes", "raises"),
)
"""Word for word, how a sub-editor makes a wire story his own."""


@dataclass(frozen=True, slots=True)
class Story:
    """What one article or post says. A post is its title alone."""

    title: str
    summary: str = ""
    paragraphs: tuple[str, ...] = ()


def write_article(lines: Sequence[str], script: Script, cast: Cast, rng: Random) -> Story:
    """A title, a summary of two sentences and a few paragraphs: different lines about the same cast."""
    title = rng.choice(lines)
    prose = [line for line in lines if line != title and not line.startswith("$") and not line.endswith("?")]
    rng.shuffle(prose)
    told = prose[: SUMMARY_SENTENCES + PARAGRAPHS]
    sentences = [expand(line + rng.choice(script.attributions), cast, rng) + "." for line in told]
    closing = expand(rng.choice(script.closings), cast, rng)
    summary = " ".join(sentences[:SUMMARY_SENTENCES])
    return Story(expand(title, cast, rng), summary, (*sentences[SUMMARY_SENTENCES:], closing))


def write_post(lines: Sequence[str], voice: Voice, script: Script, cast: Cast, rng: Random) -> Story:
    """What somebody says on the social network about a line of the press."""
    line = expand(rng.choice(lines), cast, rng)
    frame = rng.choice(voice.frames)
    text = frame.format_map(_Frame(cast, line=line, emoji=rng.choice(voice.emoji), remark=rng.choice(voice.remarks)))
    return Story(_with_contact(text, script, rng))


def write_remark(posts: Sequence[str], voice: Voice, script: Script, cast: Cast, rng: Random) -> Story:
    """What somebody in the middle of it says in words of his own."""
    text = expand(rng.choice(posts), cast, rng)
    return Story(_with_contact(f"{text} {rng.choice(voice.emoji)}", script, rng))


def copy_article(story: Story, credit: str, rng: Random) -> Story:
    """The story as another outlet prints it: a word or two changed, the source credited, a paragraph less."""
    was, becomes = rng.choice([pair for pair in SYNONYMS if pair[0] in story.title] or [("", "")])
    title = story.title.replace(was, becomes, 1) if was else story.title
    title = rng.choice(("{}", "{}", "UPDATE 1-{}", "{} - {credit}")).format(title, credit=credit)
    summary = rng.choice(("{}", "({credit}) - {}", "{} ({credit})")).format(story.summary, credit=credit)
    return replace(
        story,
        title=title,
        summary=summary,
        paragraphs=story.paragraphs[: max(1, len(story.paragraphs) - 1 - rng.randrange(2))],
    )


def copy_post(story: Story, author: str) -> Story:
    """The post as somebody else passes it on."""
    return Story(f"RT @{author}: {story.title}")


def _with_contact(text: str, script: Script, rng: Random) -> str:
    if rng.random() >= CONTACT_RATE:
        return text
    mail = f"{world.handle(rng)}@{rng.choice(('postbox', 'mailhub', 'inbox'))}.example"
    phone = f"+1 555 01{rng.randrange(10, 99)}"
    return f"{text} {rng.choice(script.contacts).format(mail=mail, phone=phone)}"


class _Frame(dict[str, str]):
    """The parts of a post; whatever else its frame names comes from the cast."""

    def __init__(self, cast: Cast, **parts: str) -> None:
        super().__init__(parts)
        self._cast = cast

    def __missing__(self, slot: str) -> object:
        return self._cast[slot]
