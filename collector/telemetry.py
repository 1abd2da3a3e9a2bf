"""The collector's measurements of itself: one table of metrics, counted from any thread, shown as Prometheus text.

`docs/metrics.md` lists the same table for people; a test holds the two together.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal

LATENCY_BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SIZE_BUCKETS_REQUESTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
SIZE_BUCKETS_SPANS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000)


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. `labels` are the names that every sample carries, in this order."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


REQUESTS_ACCEPTED = Metric(
    "otel_cost_requests_accepted_total", "counter", "Trace requests acknowledged: they are on disk."
)
REQUESTS_REFUSED = Metric(
    "otel_cost_requests_refused_total",
    "counter",
    "Trace requests not taken: queue_full, store, stopping, malformed, too_large, unauthenticated, unsupported, "
    "sender_left, internal.",
    ("reason",),
)
REQUEST_SECONDS = Metric(
    "otel_cost_request_seconds",
    "histogram",
    "Time from the first byte of a trace request to its acknowledgement.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
REQUEST_BYTES = Metric("otel_cost_request_bytes_total", "counter", "Bytes of trace requests, decompressed.")
SPANS_STORED = Metric("otel_cost_spans_stored_total", "counter", "Spans added to the ledger.")
SPANS_DUPLICATE = Metric(
    "otel_cost_spans_duplicate_total", "counter", "Spans acknowledged and not added: the ledger already had them."
)
SPANS_CHANGED = Metric(
    "otel_cost_spans_changed_total",
    "counter",
    "Duplicates that differ from the span stored under the same trace and span id; the stored one is kept.",
)
TRACES_UNJUDGED = Metric(
    "otel_cost_traces_unjudged_total",
    "counter",
    "Times that a trace was counted span by span because attribution failed on it; the log says why.",
)
SPANS_REJECTED = Metric(
    "otel_cost_spans_rejected_total",
    "counter",
    "Spans refused one by one in a partial success; the answer to their sender says why.",
)
CALLS = Metric(
    "otel_cost_call_spans_total",
    "counter",
    "Spans of model calls received, by cost status; duplicates included.",
    ("status",),
)
ESTIMATE_FAILURES = Metric(
    "otel_cost_estimate_failures_total",
    "counter",
    "Calls whose tokens could not be estimated from their captured text, which stay as they are; the log says why.",
)
ATTRIBUTES_TRUNCATED = Metric(
    "otel_cost_attributes_truncated_total", "counter", "Attribute values cut to the longest length that is kept."
)
ATTRIBUTES_DROPPED = Metric(
    "otel_cost_attributes_dropped_total", "counter", "Attributes left out: more on a span than are kept."
)
SIGNALS_DROPPED = Metric(
    "otel_cost_signal_requests_dropped_total",
    "counter",
    "Metrics and logs requests answered and dropped, by signal: the ledger takes traces only.",
    ("signal",),
)
QUEUE_REQUESTS = Metric("otel_cost_queue_requests", "gauge", "Requests that wait to be acknowledged.")
QUEUE_BYTES = Metric("otel_cost_queue_bytes", "gauge", "Bytes of the requests that wait or are being journalled.")
QUEUE_LIMIT_BYTES = Metric("otel_cost_queue_limit_bytes", "gauge", "The memory limiter's bound on queue bytes.")
ACK_REQUESTS = Metric(
    "otel_cost_ack_requests", "histogram", "Requests acknowledged after one sync.", (), SIZE_BUCKETS_REQUESTS
)
DECODE_SECONDS = Metric(
    "otel_cost_decode_seconds", "histogram", "Time to decode one group of requests.", (), LATENCY_BUCKETS_SECONDS
)
JOURNAL_SECONDS = Metric(
    "otel_cost_journal_seconds",
    "histogram",
    "Time to write and sync one group of requests to the journal.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
JOURNAL_BYTES = Metric("otel_cost_journal_bytes", "gauge", "Bytes that the journal keeps, applied or not.")
JOURNAL_FILES = Metric("otel_cost_journal_files", "gauge", "Files of the journal.")
REPLAYED_REQUESTS = Metric(
    "otel_cost_journal_replayed_requests_total",
    "counter",
    "Requests that an earlier run acknowledged and that were applied, or put aside, when this one started.",
)
UNAPPLIED_BYTES = Metric(
    "otel_cost_unapplied_bytes", "gauge", "Memory of spans that are acknowledged and not in the ledger yet."
)
UNAPPLIED_LIMIT_BYTES = Metric(
    "otel_cost_unapplied_limit_bytes", "gauge", "Bound on unapplied bytes; at it acknowledgements wait."
)
APPLY_LAG_SECONDS = Metric(
    "otel_cost_apply_lag_seconds", "gauge", "Age of the oldest request that is acknowledged and not in the ledger yet."
)
APPLY_SECONDS = Metric(
    "otel_cost_apply_seconds",
    "histogram",
    "Time from pricing one group of acknowledged spans to having it in the ledger.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
APPLY_RETRIES = Metric(
    "otel_cost_apply_retries_total", "counter", "Times that the ledger refused acknowledged spans for the moment."
)
QUARANTINED_REQUESTS = Metric(
    "otel_cost_quarantined_requests",
    "gauge",
    "Acknowledged requests that could not be applied and lie in the quarantine folder.",
)
GROUP_SPANS = Metric(
    "otel_cost_commit_spans", "histogram", "Spans committed in one transaction.", (), SIZE_BUCKETS_SPANS
)
PIPELINE_SECONDS = Metric(
    "otel_cost_pipeline_seconds",
    "histogram",
    "Time to normalise and price one group of spans.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
COMMIT_SECONDS = Metric(
    "otel_cost_commit_seconds",
    "histogram",
    "Time of one transaction: attribute, insert, commit, fsync.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
PUBLISH_SECONDS = Metric(
    "otel_cost_publish_seconds",
    "histogram",
    "Time to refresh the published file.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
PUBLISH_FAILURES = Metric("otel_cost_publish_failures_total", "counter", "Refreshes of the published file that failed.")
PUBLISHED_AT = Metric(
    "otel_cost_last_publish_timestamp_seconds", "gauge", "When the published file was last complete, Unix time."
)
PRICES_FAILURES = Metric(
    "otel_cost_prices_failures_total", "counter", "Times that price catalogues or a new card could not be used."
)
PRICES_READ_AT = Metric(
    "otel_cost_prices_read_timestamp_seconds",
    "gauge",
    "When price catalogues were last read, Unix time; 0 if never.",
)
FORWARDED_SPANS = Metric(
    "otel_cost_forwarded_spans_total", "counter", "Spans that a forwarding target accepted.", ("exporter",)
)
FORWARD_FAILED_SPANS = Metric(
    "otel_cost_forward_failed_spans_total",
    "counter",
    "Spans given up: refused for good by the target, or older than max_elapsed_time.",
    ("exporter",),
)
FORWARD_DROPPED_SPANS = Metric(
    "otel_cost_forward_dropped_spans_total",
    "counter",
    "Spans not forwarded because the exporter's queue was full, or at shutdown.",
    ("exporter",),
)
FORWARD_RETRIES = Metric(
    "otel_cost_forward_retries_total",
    "counter",
    "Requests to a forwarding target that will be tried again.",
    ("exporter",),
)
FORWARD_QUEUE_BYTES = Metric(
    "otel_cost_forward_queue_bytes", "gauge", "Bytes that wait for a forwarding target.", ("exporter",)
)
START_TIME = Metric("process_start_time_seconds", "gauge", "When the collector started, Unix time.")

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every metric, in the order of the table above."""

_Key = tuple[Metric, tuple[str, ...]]


class Telemetry:
    """The counters of one collector. Every method may be called from any thread and costs about a microsecond."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[_Key, float] = {}
        self._buckets: dict[_Key, list[int]] = {}
        self._gauges: dict[_Key, Callable[[], float]] = {}
        self.gauge(START_TIME, _constant(time.time()))

    def add(self, metric: Metric, amount: float = 1, *labels: str) -> None:
        """Add to a counter; `labels` are values in the order of the metric's label names."""
        if amount:
            with self._lock:
                key = (metric, labels)
                self._sums[key] = self._sums.get(key, 0) + amount

    def observe(self, metric: Metric, value: float) -> None:
        """Note one value of a histogram."""
        key: _Key = (metric, ())
        with self._lock:
            buckets = self._buckets.setdefault(key, [0] * (len(metric.buckets) + 1))
            buckets[bisect_left(metric.buckets, value)] += 1
            self._sums[key] = self._sums.get(key, 0) + value

    def gauge(self, metric: Metric, read: Callable[[], float], *labels: str) -> None:
        """Show what `read` returns at the moment of asking; `read` must be quick and safe from any thread."""
        with self._lock:
            self._gauges[(metric, labels)] = read

    def value(self, metric: Metric, *labels: str) -> float:
        """The sum of a counter or histogram, or a gauge's value; 0 when nothing was noted."""
        with self._lock:
            read = self._gauges.get((metric, labels))
            if read is None:
                return self._sums.get((metric, labels), 0)
        return read()

    def render(self) -> str:
        """All metrics in Prometheus' text format 0.0.4."""
        with self._lock:
            sums, gauges = dict(self._sums), dict(self._gauges)
            buckets = {key: list(counts) for key, counts in self._buckets.items()}
        lines: list[str] = []
        for metric in METRICS:
            lines.append(f"# HELP {metric.name} {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            if metric.kind == "histogram":
                counts = buckets.get((metric, ()), [0] * (len(metric.buckets) + 1))
                lines.extend(_histogram(metric, counts, sums.get((metric, ()), 0)))
                continue
            samples = {labels: read() for (owner, labels), read in gauges.items() if owner is metric}
            samples.update({labels: total for (owner, labels), total in sums.items() if owner is metric})
            if not samples and not metric.labels:
                samples[()] = 0
            lines.extend(f"{metric.name}{_labels(metric, key)} {_number(samples[key])}" for key in sorted(samples))
        return "\n".join(lines) + "\n"


def _constant(value: float) -> Callable[[], float]:
    return lambda: value


def _histogram(metric: Metric, counts: Sequence[int], total: float) -> Iterator[str]:
    running = 0
    for bound, count in zip((*metric.buckets, None), counts, strict=True):
        running += count
        shown = "+Inf" if bound is None else _number(bound)
        yield f'{metric.name}_bucket{{le="{shown}"}} {running}'
    yield f"{metric.name}_sum {_number(total)}"
    yield f"{metric.name}_count {running}"


def _labels(metric: Metric, values: Sequence[str]) -> str:
    if not values:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(metric.labels, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
