"""Cutting texts into batches by what they cost: padded tokens, not texts."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


def cut_batches(lengths: Sequence[int], budget: int, *, equal: bool = False) -> Iterator[list[int]]:
    """Indices into `lengths` in batches, shortest texts first, ties in their own order.

    Every index comes once. A batch holds at most `budget` tokens after padding (rows x longest), except where one
    text alone is longer. Lengths never decrease within a batch or from one to the next, so little is padding; with
    `equal` all in a batch are the same, and nothing is.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted, so this text is the longest so far and the whole batch would be padded to it.
        if batch and ((len(batch) + 1) * lengths[index] > budget or (equal and lengths[index] > lengths[batch[0]])):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def is_full(lengths: Sequence[int], budget: int) -> bool:
    """Whether a batch of texts of these lengths has no room for one more as long as its longest."""
    return (len(lengths) + 1) * max(lengths) > budget


def round_up(length: int, lengths: Sequence[int]) -> int:
    """The first of the ascending `lengths` that is not below `length`; `length` itself where there is none."""
    index = bisect_left(lengths, length)
    return lengths[index] if index < len(lengths) else length


def pad(rows: Sequence[Sequence[int]], length: int = 0) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids and attention mask, rows x the longest or at least `length`; padded on the right with a masked id 0."""
    longest = max(map(len, rows))
    if longest >= length and all(len(row) == longest for row in rows):
        ids = np.array(rows, dtype=np.int64)
        return ids, np.ones_like(ids)
    ids = np.zeros((len(rows), max(longest, length)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask
