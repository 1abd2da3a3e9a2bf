"""The collector's counters, and how Prometheus sees them."""

from __future__ import annotations

import re
from threading import Thread

from collector import telemetry as metrics
from collector.exposition import Metric
from collector.telemetry import ALL_METRICS, Telemetry

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+-]+|\+Inf)')


def test_every_line_is_prometheus_text() -> None:
    """Help, type, then samples that Prometheus' text format allows, for every metric."""
    telemetry = Telemetry()
    telemetry.add(metrics.REQUESTS_REFUSED, 2, 'odd "reason"\nwith\\everything')
    telemetry.observe(metrics.COMMIT_SECONDS, 0.003)
    lines = telemetry.render().splitlines()
    assert [line for line in lines if line.startswith("# TYPE")] == [
        f"# TYPE {metric.name} {metric.kind}" for metric in ALL_METRICS
    ]
    samples = [line for line in lines if not line.startswith("#")]
    assert [line for line in samples if not SAMPLE.fullmatch(line)] == []
    assert r'otel_cost_requests_refused_total{reason="odd \"reason\"\nwith\\everything"} 2' in lines


def test_names_follow_the_conventions() -> None:
    """Counters end in `_total`, values in their base unit, and every metric has a help text."""
    for metric in ALL_METRICS:
        assert re.fullmatch(r"(otel_cost|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")
        assert bool(metric.buckets) == (metric.kind == "histogram")
    assert len({metric.name for metric in ALL_METRICS}) == len(ALL_METRICS)


def test_a_counter_that_never_counted_is_shown_as_zero() -> None:
    """A rate over a metric works from the first scrape on; those with labels appear with their first value."""
    text = Telemetry().render()
    assert "\notel_cost_spans_stored_total 0\n" in text
    assert "otel_cost_calls_total{" not in text


def test_a_histogram_counts_each_value_in_every_bucket_above_it() -> None:
    """Buckets are cumulative and inclusive, the last holds everything."""
    metric = Metric("sizes", "histogram", "Sizes.", (), (1, 10))
    telemetry = Telemetry()
    for value in (0.5, 1, 7, 99):
        telemetry.observe(metric, value)
    telemetry.observe(metrics.GROUP_SPANS, 10)
    text = telemetry.render()
    assert telemetry.value(metric) == 107.5
    assert 'otel_cost_commit_spans_bucket{le="1.0"} 0\n' in text
    assert 'otel_cost_commit_spans_bucket{le="10.0"} 1\n' in text
    assert 'otel_cost_commit_spans_bucket{le="+Inf"} 1\n' in text
    assert "otel_cost_commit_spans_sum 10\notel_cost_commit_spans_count 1\n" in text


def test_a_gauge_shows_the_value_at_the_moment_of_asking() -> None:
    """A queue's depth is read when Prometheus asks, not when it changes."""
    telemetry = Telemetry()
    queue: list[int] = []
    telemetry.gauge(metrics.QUEUE_REQUESTS, lambda: len(queue))
    assert "\notel_cost_queue_requests 0\n" in telemetry.render()
    queue.append(1)
    assert "\notel_cost_queue_requests 1\n" in telemetry.render()


def test_no_count_is_lost_between_threads() -> None:
    """Eight threads that count at once are all counted."""
    telemetry = Telemetry()

    def count() -> None:
        for _ in range(5_000):
            telemetry.add(metrics.SPANS_STORED)

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.value(metrics.SPANS_STORED) == 40_000
