"""The Grafana board as code. `python -m dashboards.grafana.boards` writes the JSON that stands beside this file."""

from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DynamicConfigValue,
    VariableOption,
    VariableRefresh,
)

from dashboards.grafana.panels import SOURCE, Query, lines, number, states

OUTPUT = Path(__file__).with_name("finsentry.json")

RATE = "$__rate_interval"

Panel = timeseries.Panel | stat.Panel | statetimeline.Panel


def build() -> dashboard.Dashboard:
    """The board: what is alarming, the topics, the pipeline, the sources, the model and whether it still fits."""
    board = (
        dashboard.Dashboard("FinSentry")
        .uid("finsentry")
        .description("Topics of financial news against their own past, alerts, and the health of the pipeline.")
        .tags(["finsentry"])
        .time("now-6h", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Metrics").type("prometheus"))
        .with_variable(_choice("window", "Window", "1h"))
        .with_variable(_choice("topic", "Topic", "$__all", several=True))
    )
    for title, panels in (
        ("Alerts", _alerts()),
        ("Topics", _topics()),
        ("Pipeline", _pipeline()),
        ("Sources", _sources()),
        ("Model", _model()),
        ("Whether the model still fits", _fit()),
        ("Each topic against its past", [_each_topic()]),
    ):
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(panel)
    return board


def to_json() -> str:
    """The board as Grafana reads it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"


def _choice(label: str, title: str, default: str, *, several: bool = False) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(label)
        .label(title)
        .datasource(SOURCE)
        .query(f"label_values(finsentry_negative_share_ratio, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(several)
        .include_all(several)
        .current(VariableOption(selected=True, text="All" if several else default, value=default))
    )


# ---- rows


def _alerts() -> list[Panel]:
    return [
        number(
            "Firing",
            "Alerts that the judge holds now.",
            Query(f"sum({_each('alert_active', 'topic, judge, severity, window')}) or vector(0)", ""),
            thresholds=((None, "green"), (1, "red")),
        ).span(3),
        number(
            "Began in this time range",
            "Alerts that began, all topics.",
            Query(
                "round(sum(max by (topic, judge, severity) (increase(finsentry_alerts_started_total[$__range]))))"
                " or vector(0)",
                "",
            ),
        ).span(3),
        states(
            "Alerts by topic",
            "When an alert was held, by topic and severity.",
            Query("max by (topic, severity) (finsentry_alert_active)", "{{topic}} ({{severity}})"),
            {0: ("calm", "green"), 1: ("firing", "red")},
        ).span(12),
        number(
            "Behind the clock",
            "How far the moment that was judged last lies behind the clock. In a replay this is the archive's age.",
            # 0 until the judge has judged anything.
            Query("time() - max(finsentry_judged_timestamp_seconds > 0)", ""),
            unit="s",
        ).span(6),
    ]


def _topics() -> list[Panel]:
    return [
        lines(
            "Negative share",
            "Negative stories among the stories of the window.",
            Query(_chosen("negative_share_ratio"), "{{topic}}"),
            unit="percentunit",
        ).span(12),
        lines(
            "Lower bound above usual",
            "Wilson lower bound of the share, less what the topic's own past expects. Above zero something is up.",
            Query(f"{_chosen('lower_bound_ratio')} - {_chosen('baseline_share_ratio')}", "{{topic}}"),
            unit="percentunit",
        ).span(12),
        lines(
            "Stories in the window",
            "Near-duplicates count as one story.",
            Query(_chosen("window_stories"), "{{topic}}"),
        ).span(12),
        lines(
            "Documents in the window",
            "Copies of a story included.",
            Query(_chosen("window_documents"), "{{topic}}"),
        ).span(12),
    ]


def _pipeline() -> list[Panel]:
    return [
        lines(
            "Documents a second",
            "Published, scored and counted: in a healthy pipeline the three lie on each other.",
            Query(f"sum(rate(finsentry_documents_published_total[{RATE}]))", "published"),
            Query(f"sum(rate(finsentry_documents_scored_total[{RATE}]))", "scored"),
            Query(f"sum(rate(finsentry_documents_counted_total[{RATE}]))", "counted"),
            unit="ops",
        ).span(12),
        lines(
            "Time from append to the window",
            "From a document's append until the bucket that counts it is acknowledged.",
            *(_quantile(q, "finsentry_document_to_window_seconds") for q in (0.5, 0.95, 0.99)),
            unit="s",
        ).span(12),
        lines(
            "Documents not read yet",
            "Lag of each stage, summed over partitions.",
            Query("sum by (stage) (finsentry_lag_documents)", "{{stage}}"),
        ).span(8),
        lines(
            "Set aside",
            "A minute: dead letters by stage and error, documents too late or expired unread, repeats passed over.",
            Query(
                f"60 * sum by (stage, error) (rate(finsentry_dead_letters_total[{RATE}]))", "dead {{stage}} {{error}}"
            ),
            Query(f"60 * sum(rate(finsentry_documents_late_total[{RATE}]))", "late"),
            Query(f"60 * sum(rate(finsentry_documents_expired_total[{RATE}]))", "lost to retention"),
            Query(f"60 * sum(rate(finsentry_scored_repeats_total[{RATE}]))", "repeated"),
        ).span(8),
        lines(
            "Errors",
            "A minute, by stage and class of error.",
            Query(f"60 * sum by (stage, error) (rate(finsentry_stage_errors_total[{RATE}]))", "{{stage}} {{error}}"),
        ).span(8),
        lines(
            "Age of the heartbeat",
            "Since each loop of each process last went round.",
            Query("time() - max by (role, instance) (finsentry_heartbeat_timestamp_seconds)", "{{role}} {{instance}}"),
            unit="s",
        ).span(6),
        lines(
            "Event time behind the clock",
            "By partition; a quiet partition may lie far behind.",
            Query("time() - max by (partition) (finsentry_watermark_timestamp_seconds)", "partition {{partition}}"),
            unit="s",
        ).span(6),
        lines(
            "Open buckets",
            "Minutes of a topic that may still change, and how long the last restore of partitions took.",
            Query("sum(finsentry_open_buckets)", "open buckets"),
            Query("max(finsentry_restore_seconds)", "restore, seconds"),
        ).span(6),
        lines(
            "Rebalances",
            "In ten minutes: how often each group shared its partitions out anew, and commits that came after a worker"
            " had lost its partitions.",
            Query("max by (stage) (increase(finsentry_rebalances_total[10m]))", "{{stage}}"),
            Query("sum by (stage) (increase(finsentry_commits_refused_total[10m]))", "{{stage}}, refused commits"),
        ).span(6),
        lines(
            "Archive",
            "A minute: what `finsentry archive --follow` has put into files.",
            Query(f"60 * sum(rate(finsentry_documents_archived_total[{RATE}]))", "documents"),
            Query(f"60 * sum(rate(finsentry_archive_files_total[{RATE}]))", "files"),
        ).span(12),
        lines(
            "Age of the archive's last file",
            "By process; what was scored since then is in Kafka alone.",
            Query("time() - max by (instance) (finsentry_archive_written_timestamp_seconds > 0)", "{{instance}}"),
            unit="s",
        ).span(12),
    ]


def _sources() -> list[Panel]:
    return [
        states(
            "Source up",
            "Whether the last fetch of each source succeeded.",
            Query("min by (source) (finsentry_source_up)", "{{source}}"),
            {0: ("down", "red"), 1: ("up", "green")},
        ).span(12),
        lines(
            "Fetches a minute",
            "By outcome.",
            Query(f"60 * sum by (outcome) (rate(finsentry_fetches_total[{RATE}]))", "{{outcome}}"),
        ).span(6),
        lines(
            "Time of a fetch, 95 %",
            "By source.",
            _quantile(0.95, "finsentry_fetch_seconds", by="source"),
            unit="s",
        ).span(6),
        lines(
            "What became of entries",
            "A minute: known before, copies of a known story, and what cannot become a document.",
            Query(f"60 * sum(rate(finsentry_documents_duplicate_total[{RATE}]))", "known before"),
            Query(f"60 * sum(rate(finsentry_documents_copy_total[{RATE}]))", "copies"),
            Query(f"60 * sum(rate(finsentry_rows_rejected_total[{RATE}]))", "rejected"),
        ).span(24),
    ]


def _model() -> list[Panel]:
    return [
        number(
            "Bundle",
            "The bundles that score now, and on what.",
            Query("max by (model, provider) (finsentry_model_info)", "{{model}} on {{provider}}"),
            names=True,
        ).span(6),
        lines(
            "Time of a batch",
            "Classifier time.",
            *(_quantile(q, "finsentry_scoring_seconds", by="model") for q in (0.5, 0.95)),
            unit="s",
        ).span(9),
        lines(
            "Documents a batch",
            "Mean over the rate interval.",
            Query(
                f"sum(rate(finsentry_batch_documents_sum[{RATE}]))"
                f" / sum(rate(finsentry_batch_documents_count[{RATE}]))",
                "documents",
            ),
        ).span(9),
    ]


def _fit() -> list[Panel]:
    return [
        lines(
            "Input drift",
            "Population stability index of what is scored against what the bundle was made for: above 0.25 much has"
            " moved. Of the bundle of each language; no language is the default one.",
            Query("avg by (feature, language) (finsentry_input_drift_index)", "{{feature}} {{language}}"),
        ).span(12),
        lines(
            "Documents without a bundle",
            "A minute, by language: the default bundle read them for want of one that is made for it.",
            Query(
                f"60 * sum by (language) (rate(finsentry_documents_fallback_total[{RATE}]))",
                "{{language}} by the default bundle",
            ),
        ).span(12),
        states(
            "Promotion refused",
            "When a worker ran another bundle than control asks for; its log says why.",
            Query("max by (instance) (finsentry_promotion_refused)", "{{instance}}"),
            {0: ("as asked for", "green"), 1: ("refused", "red")},
        ).span(6),
        lines(
            "Promotions",
            "Of all workers, by what became of the bundle: put to work, kept after its first batches, refused, or taken"
            " back in them.",
            Query("sum by (outcome) (finsentry_promotions_total)", "{{outcome}}"),
        ).span(6),
        lines(
            "Shadow against the live bundle",
            "Share of documents that the shadow labels otherwise, and how far its negative probability is from the live"
            " one's, as a mean. Nothing where no shadow runs.",
            Query("avg by (head) (finsentry_shadow_disagreement_ratio)", "another {{head}}"),
            Query("avg by (model) (finsentry_shadow_negative_difference_ratio)", "{{model}}, difference"),
            unit="percentunit",
        ).span(6),
        lines(
            "Documents of a shadow",
            "A second: those that it scored beside the live bundle; it passes over what comes while it is busy.",
            Query(f"sum(rate(finsentry_shadow_documents_total[{RATE}]))", "scored twice"),
            unit="ops",
        ).span(6),
    ]


def _each_topic() -> Panel:
    return (
        lines(
            "$topic",
            "The share with its lower bound, and what the topic's own past expects.",
            Query(_chosen("negative_share_ratio"), "share"),
            Query(_chosen("lower_bound_ratio"), "at least"),
            Query(_chosen("baseline_share_ratio"), "usual"),
            unit="percentunit",
        )
        .repeat("topic")
        .max_per_row(4)
        .span(6)
        .override_by_name("usual", [DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})])
    )


# ---- expressions


def _each(metric: str, labels: str) -> str:
    """One series for each value of the labels, also where several alert services say the same."""
    return f"max by ({labels}) (finsentry_{metric})"


def _chosen(metric: str) -> str:
    """The metric of the chosen topics in the chosen window."""
    return f'max by (topic) (finsentry_{metric}{{topic=~"$topic", window="$window"}})'


def _quantile(quantile: float, metric: str, by: str = "") -> Query:
    labels = f"le, {by}" if by else "le"
    legend = f"{quantile:.0%}" + (f" {{{{{by}}}}}" if by else "")
    return Query(f"histogram_quantile({quantile}, sum by ({labels}) (rate({metric}_bucket[{RATE}])))", legend)


def main() -> None:
    """Writes the board."""
    OUTPUT.write_text(to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
