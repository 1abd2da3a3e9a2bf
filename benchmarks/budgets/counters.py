"""What 10,000 counters of a template add to the ingest of a span: CPU time of the same appends with and without them.

Half of the spans are calls, each of one of 10,000 customers by chance. Both ledgers get the same batches in turn; the
difference is taken batch by batch, and the median shown. `SIZES`: spans in a commit; under load the collector commits
what has come meanwhile, tens of thousands of spans.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import process_time_ns

import numpy as np
import pyarrow as pa

from collector.attribute import attribute
from collector.budgets.keeper import BudgetKeeper
from collector.budgets.model import Rule, Unit, Window, WindowKind
from collector.store import Store, StoreConfig
from tests.collector.store.ledger_rows import batch, call, span

SIZES = (2_048, 8_192, 30_000)
CUSTOMERS = 10_000
BATCHES, WARM = 24, 8
TARGET_US = 1.0
RULE = Rule("each", (("customer", None),), 5 * 10**15, Unit.USD, Window(WindowKind.DAY))


def holds() -> bool:
    """Print what a span costs more; whether that is within the target at every size."""
    print(
        f"{CUSTOMERS:,} counters, spans in a commit:   without     with    added us CPU a span (target {TARGET_US:.0f})"
    )
    added = [_added(size) for size in SIZES]
    return max(added) <= TARGET_US


def _added(spans: int) -> float:
    chance = np.random.default_rng(1)
    base = batch([call(1, 1, customer="c"), span(1, 2)] * (spans // 2)).unify_dictionaries().combine_chunks()
    with tempfile.TemporaryDirectory() as folder:
        stores = [_started(Path(folder) / name, rules) for name, rules in (("none", ()), ("ten-thousand", (RULE,)))]
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(BATCHES):
            rows = _rows(base, number, chance)
            for store, times in zip(stores, taken, strict=True):
                began = process_time_ns()
                store.append(rows, attribute)
                times.append((process_time_ns() - began) / 1000 / spans)
        for store in stores:
            store.stop()
    without, with_rule = (times[WARM:] for times in taken)
    added = median(b - a for a, b in zip(without, with_rule, strict=True))
    print(f"{spans:32,}  {median(without):8.2f} {median(with_rule):8.2f} {added:8.2f}")
    return added


def _started(folder: Path, rules: tuple[Rule, ...]) -> Store:
    folder.mkdir()
    store = Store(StoreConfig(folder / "costs.duckdb"))
    keeper = BudgetKeeper(store, rules)
    store.start()
    keeper.start()
    return store


def _rows(base: pa.Table, number: int, chance: np.random.Generator) -> pa.Table:
    """`base` as new spans, of customers by chance."""
    count = base.num_rows
    columns = {
        "trace_id": pa.array([f"{number:08x}{row // 2:024x}" for row in range(count)]),
        "span_id": pa.array([f"{number:08x}{row:08x}" for row in range(count)]),
        "customer": pa.array([f"customer-{each}" for each in chance.integers(0, CUSTOMERS, count)]).dictionary_encode(),
    }
    for name, values in columns.items():
        base = base.set_column(base.schema.get_field_index(name), base.schema.field(name), values)
    return base
