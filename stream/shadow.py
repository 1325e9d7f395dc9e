"""A classifier that scores the same batches beside the live one, and how far the two differ. Changes nothing."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from model.routing import DEFAULT
from stream.live_model import Batch, Loaded
from stream.records import Disagreement, Flip, ScoredDocument, Sentiment, worst_flips
from stream.scoring import DECIMALS, Received, Scorer, by_one

FLIP_CHARACTERS = 200
"""Of a headline that is shown: enough to know it by."""


class Shadow:
    """Compares batch by batch with one slot; begins anew where its bundle changes meanwhile. One thread at a time."""

    def __init__(self, loaded: Loaded, *, max_text_bytes: int, slot: str = DEFAULT) -> None:
        self.loaded = loaded
        self.slot = slot
        self.skipped = 0
        """Documents that came while it was busy; counted by whoever feeds it."""
        self._sum = Disagreement()
        self._answer = by_one(loaded.classifier)
        self._scorer = Scorer(topic="", max_text_bytes=max_text_bytes)
        self._against = ""

    def concerns(self, live: Batch) -> int:
        """How many documents of a batch there are to compare."""
        return sum(item.bundle == self.slot for item in live.scored)

    def compare(self, received: Sequence[Received], live: Batch, now: datetime) -> None:
        """Scores what `live` was made from and adds up the differences. Raises `ModelSickError`."""
        both = [(record, item) for record, item in zip(received, live.scored, strict=True) if item.bundle == self.slot]
        if not both:
            return
        mine = self._scorer.score([record for record, _ in both], now, self._answer)
        if live.parts[self.slot].model != self._against:
            self._against, self._sum = live.parts[self.slot].model, Disagreement()
        self._sum += compare([(item.document, other.document) for (_, item), other in zip(both, mine, strict=True)])

    @property
    def disagreement(self) -> Disagreement:
        """What was found so far."""
        return msgspec.structs.replace(self._sum, skipped=self.skipped)


def compare(pairs: Sequence[tuple[ScoredDocument, ScoredDocument]]) -> Disagreement:
    """How the second of each pair differs from the first; what the first could not be is left out."""
    alive = [(one, other) for one, other in pairs if not one.dead]
    both = [(one, other) for one, other in alive if not other.dead]
    moved = [(one, other) for one, other in both if one.topic != other.topic]
    matrix: dict[str, dict[str, int]] = {}
    for (live, shadow), count in Counter((one.sentiment, other.sentiment) for one, other in both).items():
        if live and shadow:  # as all have that are not dead
            matrix.setdefault(live, {})[shadow] = count
    return Disagreement(
        documents=len(both),
        topics=len(moved),
        sentiments=sum(one.sentiment != other.sentiment for one, other in both),
        negative=sum(abs(one.probabilities[0] - other.probabilities[0]) for one, other in both),
        failed=len(alive) - len(both),
        sentiment_matrix=matrix,
        topics_from=Counter(one.topic for one, _ in moved),
        topics_to=Counter(other.topic for _, other in moved),
        flips=worst_flips(
            _flip(one, one.sentiment, other, other.sentiment)
            for one, other in both
            if one.sentiment and other.sentiment and one.sentiment != other.sentiment
        ),
    )


def _flip(one: ScoredDocument, live: Sentiment, other: ScoredDocument, shadow: Sentiment) -> Flip:
    distance = sum(abs(a - b) for a, b in zip(one.probabilities, other.probabilities, strict=True)) / 2
    return Flip(title=one.title[:FLIP_CHARACTERS], live=live, shadow=shadow, distance=round(distance, DECIMALS))
