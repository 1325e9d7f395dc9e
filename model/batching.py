"""Cutting texts into batches by what they cost: padded tokens, not texts."""

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


def pad(rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids and attention mask, rows x longest, padded on the right with id 0, which the mask hides."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask
