"""What was measured: figures of a load round by round, and ratios within rounds."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.ingest import loads
from benchmarks.ingest.systems import Rotel
from benchmarks.ingest.trials import Cost, Footprint

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


def keeps(results: Results, system: str) -> bool:
    """Whether it stores spans at all."""
    return any(cost.missing_spans is not None for one in results.rounds[system] for cost in one.costs.values())


def missing_spans(results: Results, system: str) -> int:
    """Acknowledged spans that a round ended without, in the worst round."""
    return max(cost.missing_spans or 0 for one in results.rounds[system] for cost in one.costs.values())


def values(results: Results, system: str, load: str, of: Callable[[Cost], float]) -> list[float]:
    """A figure of a load, round by round."""
    return [of(one.costs[load]) for one in results.rounds.get(system, []) if load in one.costs]


def ratios(results: Results, system: str, other: str, load: str, other_load: str | None = None) -> list[float]:
    """CPU per span of one system divided by another's of the same round."""
    mine = values(results, system, load, lambda cost: cost.cpu_us_per_span)
    theirs = values(results, other, other_load or load, lambda cost: cost.cpu_us_per_span)
    return [one / two for one, two in zip(mine, theirs, strict=False) if two > 0]


COLUMNS: Mapping[str, Callable[[Cost], float]] = {
    "CPU us/span": lambda cost: cost.cpu_us_per_span,
    "spans/s": lambda cost: cost.load.spans_per_second,
    "ack p50 ms": lambda cost: cost.load.latency.p50_ms,
    "ack p99 ms": lambda cost: cost.load.latency.p99_ms,
    "ack max ms": lambda cost: cost.load.latency.max_ms,
}


def _medians(results: Results, system: str, load: str) -> dict[str, float]:
    found = {title: values(results, system, load, of) for title, of in COLUMNS.items()}
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
    }
