"""Every metric of the pipeline, with its labels and what it means.

Labels are bounded: stages, topics of the classifier, windows, severities, source names from the settings, partitions,
error classes. Never a URL, a ticker or a story.
"""

from itertools import product

from prometheus_client import Counter, Gauge, Histogram

from model.labels import SENTIMENTS, TOPICS
from stream.bulk_histogram import BulkHistogram

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds, from a batch of a stubbed model up to a backlog that an operator must see."""

# ---- ingest

FETCHES = Counter("finsentry_fetches", "Fetches of a source, by outcome.", ["source", "outcome"])
FETCH_SECONDS = Histogram("finsentry_fetch_seconds", "How long a fetch took.", ["source"], buckets=LATENCY_BUCKETS)
SOURCE_UP = Gauge("finsentry_source_up", "1 while the last fetch of the source succeeded.", ["source"])
PUBLISHED = Counter("finsentry_documents_published", "Documents that the broker acknowledged.", ["source_kind"])
DUPLICATES = Counter("finsentry_documents_duplicate", "Documents that were published before.", ["source_kind"])
COPIES = Counter("finsentry_documents_copy", "Published copies of a story that is already known.", ["source_kind"])
REJECTED = Counter("finsentry_rows_rejected", "Rows or entries that cannot become a document.", ["source_kind"])

# ---- stream

SCORED = Counter("finsentry_documents_scored", "Documents whose score the broker acknowledged.", ["model"])
FALLBACK = Counter(
    "finsentry_documents_fallback",
    "Of the documents scored, those that the default bundle read for want of one for their language.",
    ["language"],
)
DEAD_LETTERS = Counter("finsentry_dead_letters", "Documents that could not be processed.", ["stage", "error"])
SCORING_SECONDS = Histogram(
    "finsentry_scoring_seconds", "Classifier time of one batch.", ["model"], buckets=LATENCY_BUCKETS
)
BATCH_DOCUMENTS = Histogram(
    "finsentry_batch_documents", "Documents in a scored batch.", buckets=(1, 4, 16, 64, 128, 256, 512, 1024)
)
LAG = Gauge("finsentry_lag_documents", "Records that a stage has not read yet.", ["stage", "partition"])
COUNTED = Counter("finsentry_documents_counted", "Documents in acknowledged buckets.", ["topic", "sentiment"])
LATE = Counter("finsentry_documents_late", "Documents that came after their minute had closed.")
REPEATS = Counter("finsentry_scored_repeats", "Scored records that stood in the log before and were passed over.")
LATENCY_SECONDS = BulkHistogram(
    "finsentry_document_to_window_seconds",
    "From a document's append to `documents` until the bucket that counts it is acknowledged.",
    buckets=LATENCY_BUCKETS,
)
WATERMARK = Gauge("finsentry_watermark_timestamp_seconds", "Highest event time of a partition.", ["partition"])
OPEN_BUCKETS = Gauge("finsentry_open_buckets", "Buckets that may still change.")
EXPIRED = Counter(
    "finsentry_documents_expired",
    "Offsets whose records expired before the stage came to them: those documents are lost. Each worker that meets the"
    " gap says so once.",
    ["stage"],
)
STAGE_ERRORS = Counter(
    "finsentry_stage_errors",
    "Errors of a stage by class: a round or a batch that is tried again, or a record that is passed over.",
    ["stage", "error"],
)
REBALANCES = Counter(
    "finsentry_rebalances",
    "Times that the group gave this worker its partitions, perhaps the same or none: when it began, and whenever a"
    " member came, went or was given up.",
    ["stage"],
)
COMMITS_REFUSED = Counter(
    "finsentry_commits_refused",
    "Commits that came while the group shared out its partitions, or after; what they covered is read again, counted"
    " once.",
    ["stage"],
)
RESTORE_SECONDS = Gauge("finsentry_restore_seconds", "How long the last restore of partitions took.")
MODEL_INFO = Gauge(
    "finsentry_model_info",
    "1 for a bundle that scores now; `language` is empty for the default one.",
    ["model", "provider", "language"],
)
INPUT_DRIFT = Gauge(
    "finsentry_input_drift_index",
    "Population stability index of what is scored against what the bundle was made for; above 0.25 much has moved.",
    ["feature", "language"],
)
PROMOTIONS = Counter(
    "finsentry_promotions",
    "Bundles put to work (live), kept after their first batches (settled), refused, or taken back (rolled_back).",
    ["outcome"],
)
PROMOTION_REFUSED = Gauge(
    "finsentry_promotion_refused", "1 while the worker runs another bundle than control asks for."
)
SHADOW_DOCUMENTS = Counter("finsentry_shadow_documents", "Documents that a shadow scored beside the live bundle.")
SHADOW_DISAGREEMENT = Gauge(
    "finsentry_shadow_disagreement_ratio", "Share of documents that the shadow labels otherwise.", ["head"]
)
SHADOW_NEGATIVE_DIFFERENCE = Gauge(
    "finsentry_shadow_negative_difference_ratio",
    "Mean absolute difference between the shadow's negative probability and the live one's.",
    ["model"],
)

# ---- archive

ARCHIVED = Counter("finsentry_documents_archived", "Documents in files of the archive, each forced to the disk.")
ARCHIVE_FILES = Counter("finsentry_archive_files", "Files that were put into the archive.")
ARCHIVE_WRITTEN = Gauge(
    "finsentry_archive_written_timestamp_seconds", "When a file was last put into the archive; 0 before the first."
)

# ---- alerts

SHARE = Gauge("finsentry_negative_share_ratio", "Negative stories among a topic's stories.", ["topic", "window"])
BASELINE = Gauge("finsentry_baseline_share_ratio", "What the topic's own past expects.", ["topic", "window"])
LOWER_BOUND = Gauge("finsentry_lower_bound_ratio", "Wilson lower bound of the negative share.", ["topic", "window"])
STORIES = Gauge("finsentry_window_stories", "Stories in a topic's window.", ["topic", "window"])
DOCUMENTS = Gauge("finsentry_window_documents", "Documents in a topic's window.", ["topic", "window"])
ALERT_ACTIVE = Gauge(
    "finsentry_alert_active", "1 while the judge holds the alert.", ["topic", "judge", "severity", "window"]
)
ALERTS_STARTED = Counter("finsentry_alerts_started", "Alerts that began.", ["topic", "judge", "severity"])
JUDGED = Gauge("finsentry_judged_timestamp_seconds", "The moment of event time that was judged last.")
EVALUATIONS = Counter("finsentry_evaluations", "Windows judged.")
HEARTBEAT = Gauge("finsentry_heartbeat_timestamp_seconds", "When the role last went round its loop.", ["role"])


def begin_counting() -> None:
    """Shows 0 counted documents of each kind: Prometheus sees no increase in a series whose first value it meets.

    A document without a sentiment is counted under an empty one.
    """
    for labels in product(TOPICS, (*SENTIMENTS, "")):
        COUNTED.labels(*labels)
