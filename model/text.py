"""Text as the encoder reads it. Training and serving clean alike, so that a model meets in service what it learned."""

import html
import re
import unicodedata

# Chinese goes on right after a link, without a space.
_URL = re.compile(r"(?:https?://|www\.)[^\s\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]+", re.IGNORECASE)
# Box drawing and blocks rule off what follows, and say no more than a line break.
_SPACE = re.compile(r"[\s\u200b-\u200d\u2500-\u259f\ufeff]+")
# Pictographs, dingbats and arrows: what people mean a mood by. Joiners and skin tones are dropped with the variation
# selectors; two regional indicators (a flag) become two words, which does no harm. Three geometric shapes alike rule
# off too and are spelt once, since thirty names would fill all that is read. Two stay two, and pictographs as many as
# they are: so they stand in texts that train, and three such shapes do not.
_EMOJI = re.compile(
    r"([\u25a0-\u25ff])(?:(?:\s*\1){2,})?|[\u2190-\u21ff\u2300-\u24ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
)
# Nor are soft hyphens and marks of direction read, and they must not fill what is kept of a text.
_SOFT = r"\u00ad\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_UNSEEN = re.compile(f"[{_SOFT}]")
# No character has such a number, but for zeros that nobody writes before one, and Python refuses to read thousands of
# digits.
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
# How most texts begin of which something is left: by what is seen, and is no link nor may be decoded to one.
_LEAVES_SOMETHING = re.compile(rf"(?![hHwW&])[\w!-~]|(?i:(?!https?://|www\.|.{{0,7}}[&{_SOFT}])[hw])")

NESTED = 8
"""Entities of entities that are decoded: two are met, and each costs a pass over the text."""


def clean(text: str) -> str:
    """`text` with HTML entities decoded, URLs removed, emoji spelt out as their Unicode names, white space collapsed.

    Entities of entities are decoded too (and ampersands go where they never end), so cleaning twice changes nothing:
    who measures may clean what was cleaned. Lines drawn of box characters and blocks are white space, and three or more
    of one geometric shape are one.
    Cashtags and handles stay: the tokeniser splits `$TSLA` into `$` and its pieces, and "a stock is named" is a hint
    that both heads use. Lone surrogates, which no tokeniser takes, become `?`.
    """
    if not text.isascii():
        text = _UNSEEN.sub("", text)  # within an entity or a link too
    for _ in range(NESTED):
        if "&" not in text or (decoded := _decoded(text)) == text:
            break
        text = decoded
    else:
        text = text.replace("&", " ")
    text = _URL.sub(" ", text)
    if not text.isascii():
        text = _EMOJI.sub(_spell, text.encode("utf-8", "replace").decode("utf-8"))
    return _SPACE.sub(" ", text).strip()


def says_nothing(text: str) -> bool:
    """Whether `clean` leaves nothing of `text`: links, white space, what cannot be seen. Few are cleaned for it."""
    return not _LEAVES_SOMETHING.match(text) and not clean(text)


def _decoded(text: str) -> str:
    return _UNSEEN.sub("", html.unescape(_NO_CHARACTER.sub("\ufffd", text)))


def _spell(match: re.Match[str]) -> str:
    return f" {unicodedata.name(match[0][0], '').lower().replace('-', ' ')} "
