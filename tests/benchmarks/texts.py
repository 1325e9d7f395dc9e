"""Texts to measure on."""

import csv
from collections.abc import Sequence
from itertools import cycle, islice
from random import Random

from model.data.recipe import CONFIGS


def own_texts(count: int) -> list[str]:
    """Posts, press sentences and headlines of the recipe's own texts, shuffled as a stream would mix them.

    There are some 4,500: of more than that, some come again.
    """
    found: list[str] = []
    for path in sorted((CONFIGS / "texts").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [row["text"] for row in csv.DictReader(file)]
    Random(1).shuffle(found)
    return list(islice(cycle(found), count))


def padded_texts(count: int, characters: int = 330) -> Sequence[str]:
    """`count` different texts that make a document of some 700 bytes on the wire."""
    body = " ".join(["Shares of a lender fell after its quarterly report"] * (1 + characters // 50))
    return [f"{place} {body}"[:characters] for place in range(count)]
