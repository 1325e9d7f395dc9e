"""The topics of the pipeline: their names, how many partitions they have and how they are kept.

Pure values; `stream.broker` creates and checks them.
"""

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class TopicSettings(BaseModel):
    """How the topics are named, split and kept. Section `topics`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field("finsentry.", description="Stands before every topic's name.")
    partitions: int = Field(4, ge=1, le=1024, description="Partitions of documents, scored and windows.")
    replication_factor: int = Field(1, ge=1, le=9, description="Copies of each partition; 3 in production.")
    documents_days: float = Field(7, gt=0, le=36_500, description="How long documents and scored documents are kept.")
    windows_days: float = Field(
        30, gt=0, le=36_500, description="How long buckets are kept after they were last written."
    )
    max_document_bytes: int = Field(
        12_000_000, ge=100_000, description="Largest record the broker takes: a poisoned one must reach dead-letters."
    )


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as this deployment wants it. `config` holds Kafka's own keys."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str] = field(default_factory=dict)


class Topics:
    """The topics under one prefix, by the role they play."""

    def __init__(self, settings: TopicSettings) -> None:
        self._prefix = settings.prefix

        def topic(name: str, partitions: int, **config: str | int) -> Topic:
            if settings.replication_factor > 1:
                # An acknowledged record is on two disks. Of three copies or more, one may be down: writers go on.
                config["min.insync.replicas"] = max(2, settings.replication_factor - 1)
                config["unclean.leader.election.enable"] = "false"
            entries = {key.replace("_", "."): str(value) for key, value in config.items()}
            return Topic(settings.prefix + name, partitions, settings.replication_factor, entries)

        self.max_document_bytes = settings.max_document_bytes
        kept = int(settings.documents_days * DAY_MS)
        self.documents = topic(
            "documents",
            settings.partitions,
            retention_ms=kept,
            max_message_bytes=self.max_document_bytes,
            # The broker's clock bounds event time: no crawler with a fast clock moves a watermark into the future.
            message_timestamp_type="LogAppendTime",
        )
        self.scored = topic("scored", settings.partitions, retention_ms=kept)
        self.windows = topic(
            "windows",
            settings.partitions,
            cleanup_policy="compact,delete",
            retention_ms=int(settings.windows_days * DAY_MS),
            # Keys name their writer (`records.window_key`), so compaction never folds one worker's into another's.
            min_compaction_lag_ms=10 * 60_000,
            # What is not rolled is not compacted, and by default a quiet log rolls after a week: who takes a partition
            # over would read every state that a bucket had in it.
            segment_ms=HOUR_MS,
            # Readers take a record's age for how long its partition has been quiet: on the clock of a worker that is
            # slow, the watermark of all would run ahead of documents that are still to be counted.
            message_timestamp_type="LogAppendTime",
        )
        self.alerts = topic("alerts", 1, cleanup_policy="compact", min_compaction_lag_ms=10 * 60_000)
        self.labels = topic("labels", 1, cleanup_policy="compact")
        self.dead_letters = topic(
            "dead-letters", 1, retention_ms=30 * DAY_MS, max_message_bytes=2 * self.max_document_bytes
        )
        # Workers report every few seconds: what they said an hour ago must be compacted away.
        self.control = topic("control", 1, cleanup_policy="compact", segment_ms=HOUR_MS)

    def group(self, name: str) -> str:
        """The consumer group `name` under this prefix: two deployments on one broker do not share a group."""
        return self._prefix + name

    def all(self) -> tuple[Topic, ...]:
        """Every topic of the pipeline, in the order of the flow."""
        return (
            self.documents,
            self.scored,
            self.windows,
            self.alerts,
            self.labels,
            self.dead_letters,
            self.control,
        )

    def named(self, name: str) -> Topic | None:
        """The topic called `name`, with or without the prefix; None where there is none."""
        return next((topic for topic in self.all() if name in (topic.name, self.short(topic))), None)

    def short(self, topic: Topic) -> str:
        """The topic's name without the prefix, as people say it."""
        return topic.name.removeprefix(self._prefix)
