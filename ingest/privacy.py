"""Personal data out of social text before it is stored. Pure.

What goes: handles, e-mail addresses, phone numbers. What stays: cashtags, hashtags and the links themselves, as an
analyst must be able to see the post; authors' names are never taken in the first place.
"""

import re
from collections.abc import Sequence

import phonenumbers

HANDLE = "@user"
EMAIL = "[email]"
PHONE = "[phone]"

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_HANDLE = re.compile(r"(?<![\w.@])@\w{1,64}(?:[.-]\w+)*(?:@[\w-]+(?:\.[\w-]+)+)?")
_REDDITOR = re.compile(r"(?<![\w@])/?u(?:ser)?/[\w-]{3,20}\b")
_PROFILE = re.compile(r"(?i)(\b(?:twitter|x|instagram|threads|tiktok|stocktwits)\.(?:com|net)/)@?\w+")
"""A link to a profile, or to a post of it, holds the handle."""
_MANY_DIGITS = re.compile(r"(?:\d[^\w\n]{0,3}){7}")
"""Every phone number has it; most texts do not, and the careful search below is slow."""


def mask(text: str, *, phone_regions: Sequence[str] = ()) -> str:
    """`text` with personal data replaced. Idempotent.

    Phone numbers are found in their international form, and in the national form of `phone_regions` (ISO 3166).
    """
    masked = text
    if "@" in text:
        masked = _EMAIL.sub(EMAIL, _HANDLE.sub(HANDLE, masked))
    if "/" in text:
        masked = _PROFILE.sub(rf"\1{HANDLE}", _REDDITOR.sub(HANDLE, masked))
    if _MANY_DIGITS.search(text):
        masked = _mask_phones(masked, phone_regions)
    # What one replacement leaves may complete another: `a@b.example@jane`.
    return masked if masked == text else mask(masked, phone_regions=phone_regions)


def _mask_phones(text: str, regions: Sequence[str]) -> str:
    for region in (None, *regions):
        for match in reversed(list(phonenumbers.PhoneNumberMatcher(text, region))):
            if not _is_plain_number(match.raw_string):
                text = text[: match.start] + PHONE + text[match.end :]
    return text


def _is_plain_number(found: str) -> bool:
    """Ten digits in a row are more often a volume or an order than a phone, unless they begin as no number does."""
    return found.isdigit() and not found.startswith("0")
