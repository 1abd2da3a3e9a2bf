"""Health of the collector itself."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.source.parts import Query, board, graph, number


def _times(metric: str) -> list[Query]:
    return [
        Query(f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[$__rate_interval])))", name)
        for share, name in ((0.5, "half are faster"), (0.99, "99 % are faster"))
    ]


def build() -> dashboard.Dashboard:
    """Dashboard."""
    made = board(
        "otel-cost-collector", "otel-cost / Collector", "How the collector is; docs/operations.md says what to do."
    )
    for panel in (
        number(
            "Takes and applies spans",
            "min(otel_cost_healthy)",
            "short",
            why="1: yes. 0: the health check says why not.",
        ),
        number("Behind the acknowledged by", "max(otel_cost_apply_lag_seconds)", "s", red_from=30),
        number("In quarantine", "sum(otel_cost_quarantined_requests)", "short", red_from=1),
        number(
            "Published",
            "time() - min(otel_cost_last_publish_timestamp_seconds)",
            "s",
            why="Age of the file that users read.",
            red_from=60,
        ),
        number("Up since", "min(process_start_time_seconds) * 1000", "dateTimeFromNow"),
        number(
            "Series of spend used",
            'sum(otel_cost_spend_series{of="used"}) / sum(otel_cost_spend_series{of="bound"})',
            "percentunit",
            red_from=0.9,
        ),
    ):
        made.with_panel(panel)
    rate = "[$__rate_interval]"
    for panel_of in (
        graph(
            "Spans per second",
            [
                Query(f"sum(rate(otel_cost_spans_stored_total{rate}))", "stored"),
                Query(f"sum(rate(otel_cost_spans_duplicate_total{rate}))", "had already"),
                Query(f"sum(rate(otel_cost_spans_rejected_total{rate}))", "refused one by one"),
            ],
            "short",
        ),
        graph(
            "Requests per second",
            [
                Query(f"sum(rate(otel_cost_requests_accepted_total{rate}))", "acknowledged"),
                Query(f"sum by (reason) (rate(otel_cost_requests_refused_total{rate}))", "refused: {{reason}}"),
            ],
            "short",
        ),
        graph("Time to an acknowledgement", _times("otel_cost_request_seconds"), "s"),
        graph("Time to the ledger, of a group", _times("otel_cost_apply_seconds"), "s"),
        graph(
            "What waits",
            [
                Query("sum(otel_cost_queue_bytes)", "to be acknowledged"),
                Query("sum(otel_cost_unapplied_bytes)", "to be applied"),
                Query("sum(otel_cost_journal_bytes)", "journal"),
                Query("sum by (exporter) (otel_cost_forward_queue_bytes)", "to {{exporter}}"),
            ],
            "bytes",
        ),
        graph("Behind the acknowledged by", [Query("max(otel_cost_apply_lag_seconds)", "seconds")], "s"),
        graph(
            "Forwarding, spans per second",
            [
                Query(f"sum by (exporter) (rate(otel_cost_forwarded_spans_total{rate}))", "{{exporter}} took"),
                Query(f"sum by (exporter) (rate(otel_cost_forward_failed_spans_total{rate}))", "{{exporter}} refused"),
                Query(f"sum by (exporter) (rate(otel_cost_forward_dropped_spans_total{rate}))", "{{exporter}} dropped"),
            ],
            "short",
        ),
        graph(
            "Failures, per hour",
            [
                Query("sum(increase(otel_cost_prices_failures_total[1h]))", "reading prices"),
                Query("sum(increase(otel_cost_publish_failures_total[1h]))", "publishing"),
                Query("sum(increase(otel_cost_apply_retries_total[1h]))", "applying, tried again"),
                Query("sum(increase(otel_cost_metrics_failures_total[1h]))", "these metrics"),
            ],
            "short",
        ),
        graph("CPU", [Query(f"sum(rate(process_cpu_seconds_total{rate}))", "cores")], "short"),
        graph("Memory", [Query("sum(process_resident_memory_bytes)", "resident")], "bytes"),
    ):
        made.with_panel(panel_of)
    return made
