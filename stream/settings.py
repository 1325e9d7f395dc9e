"""How scoring and aggregation run. Section `stream`."""

from pydantic import BaseModel, ConfigDict, Field


class StreamSettings(BaseModel):
    """How much is read at once, how long late documents are waited for, and when the input counts as poisoned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lateness_minutes: int = Field(
        60, ge=0, description="A document older than its partition's watermark by more than this is late."
    )
    idle_seconds: float = Field(
        30.0, gt=0, description="A partition that is read to its end and silent for this long holds no window back."
    )
    follow_clock: bool = Field(
        True, description="When every partition is idle, event time goes on at the clock's rate; off for archives."
    )
    batch_documents: int = Field(512, ge=1, description="Most documents that scoring takes from Kafka at once.")
    batch_scored: int = Field(4096, ge=1, description="Most scored records that aggregation takes at once.")
    flush_seconds: float = Field(0.2, ge=0, description="Shortest time between two checkpoints of one partition.")
    evidence: int = Field(5, ge=0, le=50, description="Headlines kept in a bucket, most negative first.")
    max_text_bytes: int = Field(1_000_000, ge=1, description="A longer text is a dead letter.")
    session_timeout_seconds: float = Field(
        6.0, ge=6.0, description="A worker silent for this long loses its partitions; Kafka's own lower bound is 6."
    )
    poison_ratio: float = Field(0.5, gt=0, le=1, description="The worker stops where more of its input is dead.")
    poison_window: int = Field(200, ge=1, description="How many of the latest documents that ratio is taken over.")
    poison_consecutive: int = Field(100, ge=1, description="The worker stops after so many dead in a row.")
    model_patience_seconds: float = Field(
        120.0, ge=0, description="The worker stops when its classifier fails on every text for this long."
    )
    restarts: int = Field(
        8, ge=0, description="So many failures of a hot loop in a row are tried again; the next stops the worker."
    )
