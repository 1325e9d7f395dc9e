"""A classifier that scores the same batches beside the live one, and how far the two differ. Changes nothing."""

from collections.abc import Sequence
from datetime import datetime

from stream.live_model import Batch, Loaded
from stream.records import Disagreement, ScoredDocument
from stream.scoring import Received, Scorer


class Shadow:
    """Compares batch by batch; begins anew where the live bundle changes meanwhile. One thread at a time."""

    def __init__(self, loaded: Loaded, *, max_text_bytes: int) -> None:
        self.loaded = loaded
        self.skipped = 0
        """Documents that came while it was busy; counted by whoever feeds it."""
        self._sum = Disagreement()
        self._scorer = Scorer(loaded.classifier, topic="", max_text_bytes=max_text_bytes)
        self._against = ""

    def compare(self, received: Sequence[Received], live: Batch, now: datetime) -> None:
        """Scores what `live` was made from and adds up the differences. Raises `ModelSickError`."""
        mine = self._scorer.score(received, now)
        if live.model != self._against:
            self._against, self._sum = live.model, Disagreement()
        pairs = [(one.document, other.document) for one, other in zip(live.scored, mine, strict=True)]
        self._sum += compare(pairs)

    @property
    def disagreement(self) -> Disagreement:
        """What was found so far."""
        return self._sum + Disagreement(skipped=self.skipped)


def compare(pairs: Sequence[tuple[ScoredDocument, ScoredDocument]]) -> Disagreement:
    """How the second of each pair differs from the first; what the first could not be is left out."""
    alive = [(one, other) for one, other in pairs if not one.dead]
    both = [(one, other) for one, other in alive if not other.dead]
    return Disagreement(
        documents=len(both),
        topics=sum(one.topic != other.topic for one, other in both),
        sentiments=sum(one.sentiment != other.sentiment for one, other in both),
        negative=sum(abs(one.probabilities[0] - other.probabilities[0]) for one, other in both),
        failed=len(alive) - len(both),
    )
