"""What it costs to price stored calls again: CPU of a dry run, of a run, and of undoing it.

    python -m benchmarks.reprice [--calls N] [--json]

The ledger holds N calls (1,000,000) of five models in files of a good size, as merging leaves them, priced by a card
that nobody has; all of them are priced by the card of this program, so that every row changes. CPU is that of the whole
process, all threads, loading the card and opening the files included. Afterwards the figures of every row are compared
with those of before. Exits with 1 if a target is missed, or if undoing does not restore every figure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.ledger_rows import CHUNK_ROWS, SPANS_PER_TRACE
from benchmarks.queries import build
from collector.attribute import attribute
from collector.repricing import PriceAgain
from collector.store import Store, StoreConfig
from collector.store.figures import FIGURES
from collector.store.reprice import Order
from collector.store.reprice_selection import Selection
from otel_cost.pricing import load_card
from otel_cost.pricing.overrides import Cards

T = TypeVar("T")

DRY_RUN_SECONDS, RUN_SECONDS = 10.0, 30.0
"""Of CPU for a million calls."""

_CALLS = 1_000_000
_FIGURES = f"SELECT count(*), bit_xor(hash(seq, {', '.join(FIGURES)})) FROM _ledger.span_log"


@dataclass(frozen=True, slots=True)
class Step:
    """One of the three."""

    name: str
    calls: int
    cpu_seconds: float
    wall_seconds: float
    most_cpu_seconds: float

    @property
    def held(self) -> bool:
        return self.cpu_seconds <= self.most_cpu_seconds


def measure(path: Path, calls: int) -> tuple[list[Step], bool]:
    """The steps, and whether undoing restored every figure."""
    build(path, calls * SPANS_PER_TRACE // (SPANS_PER_TRACE - 1) + CHUNK_ROWS - 1)
    store = Store(StoreConfig(path))
    store.start()
    try:
        before = _figures(store)
        share = calls / _CALLS
        steps = [
            _step("dry run", DRY_RUN_SECONDS * share, lambda: _preview(store)),
            _step("run", RUN_SECONDS * share, lambda: _apply(store)),
        ]
        changed = _figures(store) != before
        steps.append(_step("undo", RUN_SECONDS * share, lambda: _undo(store)))
        return steps, changed and _figures(store) == before
    finally:
        store.stop()


def _step(name: str, most_cpu_seconds: float, work: Callable[[], int]) -> Step:
    cpu, wall = time.process_time(), time.perf_counter()
    calls = work()
    return Step(name, calls, time.process_time() - cpu, time.perf_counter() - wall, most_cpu_seconds)


def _cards() -> Cards:
    return Cards(load_card())


def _never() -> bool:
    return False


def _preview(store: Store) -> int:
    return store.repricing(attribute).preview(Selection(), PriceAgain(_cards()), _never).account.total.changed


def _apply(store: Store) -> int:
    order = Order(Selection(), PriceAgain(_cards()), "benchmark", "benchmark")
    return store.repricing(attribute).apply(order, _never).preview.account.total.changed


def _undo(store: Store) -> int:
    return store.repricing(attribute).undo("benchmark", "benchmark", _never).account.total.changed


def _figures(store: Store) -> Any:
    """Rows, and a number that depends on each of their figures."""
    return store.read(lambda reader: reader.rows(_FIGURES))


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reprice", description=__doc__)
    parser.add_argument("--calls", type=int, default=_CALLS)
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="otel-cost-reprice-") as folder:
        steps, restored = measure(Path(folder) / "otel-cost.duckdb", said.calls)
    if said.json:
        shown = [{"step": step.name, "calls": step.calls, "cpu_seconds": step.cpu_seconds} for step in steps]
        print(json.dumps({"steps": shown, "restored": restored}, indent=2))
    else:
        for step in steps:
            cost = f"{step.cpu_seconds:6.2f} s CPU of {step.most_cpu_seconds:.0f}, {step.wall_seconds:6.2f} s"
            print(f"{step.name:8} {step.calls:>10,} calls changed  {cost}  {'held' if step.held else 'MISSED'}")
        print("undo restored every figure" if restored else "undo did NOT restore every figure")
    return 0 if restored and all(step.held for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main())
