"""Text as the encoder reads it. Training and serving clean alike, so that a model meets in service what it learned."""

import html
import re
import unicodedata

# Chinese goes on right after a link, without a space.
_URL = re.compile(r"(?:https?://|www\.)[^\s\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]+", re.IGNORECASE)
_SPACE = re.compile(r"[\s\u200b-\u200d\ufeff]+")
# Pictographs, dingbats and arrows: what people mean a mood by. Joiners and skin tones are dropped with the variation
# selectors; two regional indicators (a flag) become two words, which does no harm.
_EMOJI = re.compile(r"[\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
_SELECTOR = re.compile(r"[\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def clean(text: str) -> str:
    """`text` with HTML entities decoded, URLs removed, emoji spelt out as their Unicode names, white space collapsed.

    Cashtags and handles stay: the tokeniser splits `$TSLA` into `$` and its pieces, and "a stock is named" is a hint
    that both heads use. Lone surrogates, which no tokeniser takes, become `?`.
    """
    text = html.unescape(text)
    text = _URL.sub(" ", text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = _EMOJI.sub(_spell, _SELECTOR.sub("", text))
    return _SPACE.sub(" ", text).strip()


def _spell(match: re.Match[str]) -> str:
    return f" {unicodedata.name(match[0], '').lower().replace('-', ' ')} "
