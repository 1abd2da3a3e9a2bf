"""Something asked of the collector, and whether it was held."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.ingest import loads, report
from benchmarks.ingest.report import MIB, Results
from benchmarks.ingest.systems import OtelCost, Rotel
from benchmarks.ingest.trials import Cost

OURS = OtelCost.name
BIG = (loads.GRPC_512, loads.HTTP_512)
"""Loads that leave a ledger of a usual size: of a few thousand spans most is what any ledger has."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that the collector is to hold."""

    text: str
    value: float | None  # None: not measured in this run
    limit: float
    at_most: bool = True

    @property
    def held(self) -> bool | None:
        """Whether it is; None when it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self) | {"held": self.held}


def targets(results: Results) -> list[Target]:
    """What is asked of the collector in a run of all loads, and what it did."""

    def median(found: Sequence[float]) -> float | None:
        return statistics.median(found) if found else None

    def ours(load: str, of: Callable[[Cost], float]) -> float | None:
        return median(report.values(results, OURS, load, of))

    def fewer(other: str) -> float | None:
        return median([1 / one for one in report.ratios(results, OURS, other, loads.HTTP_512) if one > 0])

    missing = [report.missing_spans(results, OURS)] if OURS in results.rounds else []
    lost = [lost for _, lost in results.kills.get(OURS, [])]
    return [
        Target(
            "CPU per span over gRPC, of rotel's (goal 1.0)",
            median(report.ratios(results, OURS, Rotel.name, loads.GRPC_512)),
            1.3,
        ),
        Target(
            "CPU per span over HTTP, of that over gRPC",
            median(report.ratios(results, OURS, OURS, loads.HTTP_512, loads.GRPC_512)),
            1.1,
        ),
        Target(
            "one-span requests acknowledged per second",
            ours(loads.GRPC_1, lambda cost: cost.load.spans_per_second),
            2_500,
            False,
        ),
        Target(
            "ack p99 ms at 1,000 one-span requests/s", ours(loads.PACED_1, lambda cost: cost.load.latency.p99_ms), 50
        ),
        Target(
            "ack median ms of a single span when idle", ours(loads.IDLE_1, lambda cost: cost.load.latency.p50_ms), 10
        ),
        Target("ack p99 ms at 20,000 spans/s", ours(loads.PACED_512, lambda cost: cost.load.latency.p99_ms), 150),
        Target("times less CPU per span than Arize Phoenix", fewer("phoenix"), 500, False),
        Target("times less CPU per span than MLflow", fewer("mlflow"), 100, False),
        Target(
            "peak RSS MiB", median([one.footprint.peak_rss_bytes / MIB for one in results.rounds.get(OURS, [])]), 512
        ),
        Target(
            "disk bytes per span, stopped",
            median(
                [
                    one.footprint.stopped_disk_bytes / one.footprint.spans
                    for one in results.rounds.get(OURS, [])
                    if not one.costs.keys().isdisjoint(BIG)
                ]
            ),
            100,
        ),
        Target("acknowledged spans that are not stored", max(missing) if missing else None, 0),
        Target("acknowledged spans lost after kill -9", max(lost) if lost else None, 0),
    ]
