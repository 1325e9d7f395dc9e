"""Templates to text: `[one|other]` is a choice made anew each time, `{slot}` is drawn once a story."""

import re
from random import Random

from deploy.local.simulation.cast import Cast

_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def expand(template: str, cast: Cast, rng: Random) -> str:
    """The template with its choices made by `rng` and its slots filled from `cast`."""

    chosen = _CHOICE.sub(lambda match: rng.choice(str(match[1]).split("|")), template)
    text = chosen.format_map(cast)
    return text[0].upper() + text[1:]
