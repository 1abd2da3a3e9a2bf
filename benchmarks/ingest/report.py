"""Medians over rounds, ratios within rounds, and what they say about the targets."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.ingest import loads
from benchmarks.ingest.systems import SYSTEMS, Rotel
from benchmarks.ingest.trials import Cost, Footprint

OURS = "otel-cost"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Round:
    """One system in one round."""

    costs: dict[str, Cost]
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured."""

    versions: dict[str, str]
    skipped: dict[str, str]  # why
    offline: bool
    quick: bool
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    kills: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # acknowledged, missing


def machine() -> dict[str, str]:
    """Where this runs."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": f"{os.cpu_count()} x {model}",
        "memory": f"{gib:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _middle(values: Sequence[float], digits: int = 1) -> str:
    """`median [least - most]`."""
    if not values:
        return "-"
    low, high = min(values), max(values)
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} [{low:,.{digits}f}-{high:,.{digits}f}]"


def values(results: Results, system: str, load: str, of: Callable[[Cost], float]) -> list[float]:
    """A figure of a load, round by round."""
    return [of(one.costs[load]) for one in results.rounds.get(system, []) if load in one.costs]


def ratios(results: Results, system: str, other: str, load: str, other_load: str | None = None) -> list[float]:
    """CPU per span of one system divided by another's of the same round."""
    mine = values(results, system, load, lambda cost: cost.cpu_us_per_span)
    theirs = values(results, other, other_load or load, lambda cost: cost.cpu_us_per_span)
    return [one / two for one, two in zip(mine, theirs, strict=False) if two > 0]


_COLUMNS: Mapping[str, Callable[[Cost], float]] = {
    "CPU us/span": lambda cost: cost.cpu_us_per_span,
    "spans/s": lambda cost: cost.load.spans_per_second,
    "ack p50 ms": lambda cost: cost.load.latency.p50_ms,
    "ack p99 ms": lambda cost: cost.load.latency.p99_ms,
    "ack max ms": lambda cost: cost.load.latency.max_ms,
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of aligned columns."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def _load_table(results: Results, load: str) -> list[str]:
    rows = []
    for system in results.rounds:
        if not values(results, system, load, lambda cost: cost.cpu_seconds):
            continue
        row = [SYSTEMS[system].title]
        for title, of in _COLUMNS.items():
            row.append(_middle(values(results, system, load, of), 0 if title == "spans/s" else 1))
        row.append(_middle(ratios(results, system, Rotel.name, load), 2))
        row.append(
            _middle(values(results, system, load, lambda cost: cost.queryable_seconds or 0.0))
            if _keeps(results, system)
            else "never"
        )
        row.append(
            _middle(values(results, system, load, lambda cost: cost.load.cpu_seconds / cost.load.wall_seconds * 100), 0)
        )
        rows.append(row)
    head = ["", *_COLUMNS, "CPU / rotel's", "queryable after s", "generator CPU %"]
    return [loads.TITLES[load], *("  " + line for line in table(head, rows)), ""] if rows else []


def _keeps(results: Results, system: str) -> bool:
    return any(cost.missing_spans is not None for one in results.rounds[system] for cost in one.costs.values())


def _footprint_table(results: Results) -> list[str]:
    rows = []
    for system, rounds in results.rounds.items():
        prints = [one.footprint for one in rounds]
        keeps = _keeps(results, system)
        missing = sum(cost.missing_spans or 0 for one in rounds for cost in one.costs.values())
        trials = results.kills.get(system, [])
        rows.append(
            [
                SYSTEMS[system].title,
                _middle([one.peak_rss_bytes / MIB for one in prints], 0),
                _middle([one.running_disk_bytes / one.spans for one in prints], 0) if keeps else "-",
                _middle([one.stopped_disk_bytes / one.spans for one in prints], 0) if keeps else "-",
                str(missing) if keeps else "keeps none",
                ", ".join(f"{lost:,} of {acked:,}" for acked, lost in trials) or "-",
            ]
        )
    head = ["", "peak RSS MiB", "disk B/span running", "disk B/span stopped", "acked, not stored", "lost after kill -9"]
    return table(head, rows)


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


def targets(results: Results) -> list[Target]:
    """What is asked of the collector, and what it did."""

    def median(found: Sequence[float]) -> float | None:
        return statistics.median(found) if found else None

    def ours(load: str, of: Callable[[Cost], float]) -> float | None:
        return median(values(results, OURS, load, of))

    def fewer(other: str) -> float | None:
        return median([1 / one for one in ratios(results, OURS, other, loads.HTTP_512) if one > 0])

    missing = [cost.missing_spans or 0 for one in results.rounds.get(OURS, []) for cost in one.costs.values()]
    lost = [lost for _, lost in results.kills.get(OURS, [])]
    return [
        Target(
            "CPU per span over gRPC, of rotel's (goal 1.0)",
            median(ratios(results, OURS, Rotel.name, loads.GRPC_512)),
            1.3,
        ),
        Target(
            "CPU per span over HTTP, of that over gRPC",
            median(ratios(results, OURS, OURS, loads.HTTP_512, loads.GRPC_512)),
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
            median([one.footprint.stopped_disk_bytes / one.footprint.spans for one in results.rounds.get(OURS, [])]),
            100,
        ),
        Target("acknowledged spans that are not stored", max(missing) if missing else None, 0),
        Target("acknowledged spans lost after kill -9", max(lost) if lost else None, 0),
    ]


def text(results: Results) -> str:
    """The tables."""
    out = ["  ".join(f"{name}: {value}" for name, value in machine().items())]
    out += ["  ".join(f"{name} {number}" for name, number in results.versions.items())]
    out += [f"skipped: {name}: {why}" for name, why in results.skipped.items()]
    rounds = max((len(one) for one in results.rounds.values()), default=0)
    out += [
        f"medians [ranges] of {rounds} interleaved rounds; network {'cut off' if results.offline else 'reachable'}",
        "",
    ]
    for load in loads.TITLES:
        out += _load_table(results, load)
    out += [*_footprint_table(results), ""]
    return "\n".join([*out, *target_table(targets(results))])


def target_table(found: Sequence[Target]) -> list[str]:
    """Lines that say which targets are held."""
    said = {None: "not measured", True: "held", False: "MISSED"}
    rows = [
        [
            one.text,
            "-" if one.value is None else f"{one.value:,.2f}",
            f"{'<=' if one.at_most else '>='} {one.limit:,g}",
            said[one.held],
        ]
        for one in found
    ]
    return table(["target", "measured", "asked", ""], rows)


def _medians(results: Results, system: str, load: str) -> dict[str, float]:
    found = {title: values(results, system, load, of) for title, of in _COLUMNS.items()}
    found["CPU / rotel's"] = ratios(results, system, Rotel.name, load)
    return {title: statistics.median(numbers) for title, numbers in found.items() if numbers}


def as_json(results: Results) -> dict[str, Any]:
    """Everything, round by round."""
    raw = asdict(results)
    for rounds in raw["rounds"].values():
        for one in rounds:
            for cost in one["costs"].values():
                del cost["load"]["usage"]
    derived = {system: {load: _medians(results, system, load) for load in loads.TITLES} for system in results.rounds}
    return {
        "machine": machine(),
        **raw,
        "medians": derived,
        "targets": [asdict(one) | {"held": one.held} for one in targets(results)],
    }
