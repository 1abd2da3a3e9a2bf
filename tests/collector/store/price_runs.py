"""Cards that price every call alike, and what tests of price runs ask of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import COST_SCHEMA
from collector.store import Store
from collector.store.checkup import examine
from collector.store.figures import PRICED_FROM
from collector.store.reprice import Applied, Order
from collector.store.reprice_selection import Selection
from collector.store.scrub import scrub
from tests.collector.store.ledger_rows import attribute, batch, call, span

Rows = list[tuple[Any, ...]]
PRICE = 12_500_000_000
"""Of every call of `ledger_rows`, in pico-USD."""


class Flat:
    """A card by which every call that has usage costs the same; models named in `unknown` have no price."""

    columns = PRICED_FROM

    def __init__(self, card: str, pico_usd: int, unknown: Sequence[str] = ()) -> None:
        self.card = card
        self._pico_usd = pico_usd
        self._unknown = unknown

    def prices(self) -> pa.Table:
        return pa.table({"card": [self.card], "model": ["gpt-4o"]})

    def __call__(self, rows: pa.Table) -> pa.Table:
        used = pc.is_valid(rows.column("input_tokens")).to_pylist()
        models = rows.column("request_model").to_pylist()
        lines = [
            {
                "model": model,
                "cost_pico_usd": None if model in self._unknown else self._pico_usd,
                "cost_status": "unpriced" if model in self._unknown else "priced",
                "cost_reason": f"unknown model {model}" if model in self._unknown else None,
                "card": self.card,
                "rate_row": f"{self.card}|{model}",
                "flags": 1,
            }
            if has_usage
            else {"flags": 0}
            for model, has_usage in zip(models, used, strict=True)
        ]
        return pa.Table.from_pylist(lines, schema=COST_SCHEMA)


def never() -> bool:
    return False


def apply(store: Store, price: Flat, name: str = "run", selection: Selection | None = None) -> Applied:
    return store.repricing(attribute).apply(Order(selection or Selection(), price, "me@here", name), never)


def undo(store: Store, name: str = "run") -> None:
    store.repricing(attribute).undo(name, "me@here", never)


def ask(store: Store, sql: str) -> Rows:
    return store.read(lambda reader: reader.rows(sql))


def published(path: Path, sql: str) -> Rows:
    with duckdb.connect(str(path), read_only=True) as connection:
        rows: Rows = connection.execute(sql).fetchall()
        return rows


SPANS = "SELECT * FROM spans ORDER BY seq"
CALLS = "SELECT * FROM calls ORDER BY seq"
_CURRENT = "current_cost_usd, current_cost_status, current_card, price_run"
BILLED = f"SELECT * EXCLUDE ({_CURRENT}) FROM calls_as_billed ORDER BY seq"
COSTS = "SELECT span_id, cost_usd, card FROM calls ORDER BY seq"


def sound(path: Path) -> None:
    """What `otel-cost doctor --deep` says of a ledger that is closed."""
    checkup, copied = examine(path)
    assert copied is not None
    scrub(checkup, copied, attribute)
    assert [finding.what for finding in checkup.findings] == []


def fill(store: Store) -> None:
    """Three traces in five batches: owners that come late, so that some verdicts are amendments."""
    store.append(batch([call(1, 2, 1), call(1, 3, 1, cost_pico_usd=None, cost_status="unpriced")]), attribute)
    store.append(batch([span(1, 1, agent="planner", customer="acme")]), attribute)
    store.append(batch([call(2, 2, 1, request_model="gpt-4o-mini"), span(2, 9)]), attribute)
    store.append(batch([span(2, 1, customer="other")]), attribute)
    store.append(batch([call(3, 1)]), attribute)
