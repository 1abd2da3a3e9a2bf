"""Settings of the metrics of money."""

from __future__ import annotations

from dataclasses import dataclass

from collector.metering.table import DEFAULT_LABELS


@dataclass(frozen=True, slots=True)
class MeteringConfig:
    """Keys of `exporters.prometheus`."""

    labels: tuple[str, ...] = DEFAULT_LABELS
    """By which spend is shown; the first is the last to be given up where combinations are too many."""
    max_series: int = 1000
    """Combinations of label values, each with up to 14 lines of text. Lower: more is shown as other. Higher: a scrape
    takes more, a millisecond per hundred, and Prometheus more memory."""
    exemplars: bool = True
    """Trace ids of single calls in OpenMetrics answers."""
    refresh_seconds: float = 300.0
    """How often projections are made from the ledger."""
