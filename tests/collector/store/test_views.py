"""Views that group in a way of their own say what a plain grouping says."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from collector.store import Store
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

NAMES = (None, "", "a", "b", "NULL", "a long name, of more than twelve bytes", "a long name, of more than twelve byteS")
COSTS = (
    ("priced", 12_500_000_000),
    ("free", 0),
    ("reported", 1),
    ("estimated", 7),
    ("partial", 10**12 + 1),
    ("unpriced", None),
    ("estimated", None),
    (None, None),
)
UNPRICED = "count(*) FILTER (WHERE cost_usd IS NULL)"
SUMS = f"count(*), {UNPRICED}, sum(cost_usd), sum(input_tokens), min(start_time), max(end_time)"
SAID = "calls, unpriced_calls, cost_usd, input_tokens, first_call_at, last_call_at"
REASONS = "org_id, provider, model, request_model, response_model, cost_status, cost_reason"


def fill(store: Store, seed: int) -> None:
    """Calls of all combinations of names and costs that chance finds, some of which get their agent later."""
    chance = random.Random(seed)
    for trace in range(1, 7):
        calls = [
            call(
                trace,
                number,
                1,
                org_id=chance.choice(("one", "other")) if seed % 2 else "one",
                provider=chance.choice(NAMES),
                model=chance.choice(NAMES),
                request_model=chance.choice(NAMES),
                cost_status=(cost := chance.choice(COSTS))[0],
                cost_pico_usd=cost[1],
                cost_reason=chance.choice((None, "no rate")),
                input_tokens=chance.choice((None, 0, 5)),
            )
            for number in range(2, 60)
        ]
        store.append(batch(calls), attribute)
        if chance.random() < 0.5:
            store.append(batch([span(trace, 1, org_id="one", agent="late")]), attribute)


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found: list[tuple[Any, ...]] = connection.execute(f"{sql} ORDER BY ALL").fetchall()
        return found


@pytest.mark.parametrize("seed", range(4))
def test_a_pair_of_names_has_one_line(open_store: OpenStore, ledger_path: Path, seed: int) -> None:
    """Swapped names, equal ones, empty ones and none are different pairs, of one organisation and of several."""
    store = open_store()
    fill(store, seed)
    store.publish()
    plain = f"SELECT org_id, provider, model, {SUMS}, count(DISTINCT run) FROM calls GROUP BY ALL"
    found = rows(ledger_path, f"SELECT org_id, provider, model, {SAID}, run_count FROM models")
    assert found == rows(ledger_path, plain)
    assert len(found) >= len(NAMES) ** 2 - 2
    only = "WHERE provider = 'a' AND model IS NULL"
    assert rows(ledger_path, f"SELECT model, calls FROM models {only}") == rows(
        ledger_path, f"SELECT model, count(*) FROM calls {only} GROUP BY org_id, model"
    )


@pytest.mark.parametrize("seed", range(4))
def test_every_call_without_a_price_or_with_a_partial_one_is_listed(
    open_store: OpenStore, ledger_path: Path, seed: int
) -> None:
    """Also of a status that says nothing of it, and of none."""
    store = open_store()
    fill(store, seed)
    store.publish()
    found = rows(ledger_path, f"SELECT {REASONS}, calls, cost_usd, input_tokens FROM unpriced")
    which = "cost_usd IS NULL OR cost_status = 'partial'"
    sums = "count(*), sum(cost_usd), sum(input_tokens)"
    assert found == rows(ledger_path, f"SELECT {REASONS}, {sums} FROM calls WHERE {which} GROUP BY ALL")
    assert len({line[5] for line in found}) == 4
