"""Whatever traces come in whatever order, and however often: counters are what their calls add up to."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.attribute import attribute
from collector.budgets import counters, rule_counters
from collector.budgets.keeper import BudgetKeeper
from collector.budgets.model import Rule, Unit, Window, WindowKind
from collector.budgets.recount import held_of
from collector.store import Store, StoreConfig
from collector.store.reprice import Order
from collector.store.reprice_selection import Selection
from collector.store.statements import query
from tests.collector.budgets.moved_calls import HOUR_NS, rule
from tests.collector.store.ledger_rows import batch, call, span
from tests.collector.store.price_runs import Flat

PRICE = 12_500_000_000
CLOCKS_BACK_NS = 1_761_440_400 * 10**9  # 2025-10-26T01:00:00Z: clocks in Europe are put back
BERLIN = "Europe/Berlin"
RULES = [
    rule("agents", scope=(("agent", None),), limit=3 * PRICE, window=Window(WindowKind.HOUR, time_zone=BERLIN)),
    rule(
        "a",
        scope=(("agent", "a"), ("customer", None)),
        limit=5 * PRICE,
        window=Window(WindowKind.DAY, time_zone=BERLIN),
    ),
    rule("runs", scope=(("organization", None),), limit=2, unit=Unit.CALLS, window=Window(WindowKind.RUN)),
    rule("all", scope=(("organization", None),), limit=5000, unit=Unit.TOKENS, window=Window(WindowKind.TOTAL)),
    rule("regions", scope=(("attribute.region", None), ("agent", None)), limit=2, unit=Unit.CALLS),
    rule("rolling", scope=(("customer", None),), limit=4 * PRICE, window=Window(WindowKind.ROLLING, 3 * HOUR_NS)),
]
NAMES = st.sampled_from(["a", "b", None, None])
ATTRIBUTES = st.sampled_from(
    [
        "{}",
        '{"region":"eu"}',
        '{"x":{"region":"no"},"region":"eu"}',
        '{"otel_cost.tag.region":"us"}',
        '{"region":"\\u0065u"}',
    ]
)
RESOURCES = st.sampled_from(["{}", '{"region":"us"}'])


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Spans of a few traces: nested agents, wrappers, failed calls, two records of a call."""
    spans: list[dict[str, Any]] = []
    for trace in range(1, draw(st.integers(1, 4)) + 1):
        for number in range(1, draw(st.integers(1, 6)) + 1):
            start_ns = CLOCKS_BACK_NS + draw(st.integers(-30, 30)) * HOUR_NS // 6
            said: dict[str, Any] = {
                "agent": draw(NAMES),
                "customer": draw(NAMES),
                "attributes": draw(ATTRIBUTES),
                "resource": draw(RESOURCES),
                "start_time_ns": start_ns,
                "end_time_ns": start_ns + 10**9,
            }
            parent = draw(st.one_of(st.none(), st.integers(1, 6)))
            parent = None if parent == number else parent
            if draw(st.booleans()):
                spans.append(span(trace, number, parent, **said))
                continue
            said["response_id"] = draw(st.sampled_from([None, "x", "y"]))
            said["call_kind"] = draw(st.sampled_from(["leaf", "leaf", "aggregate"]))
            said["failed"] = draw(st.sampled_from([False, False, True]))
            if draw(st.booleans()):
                said |= {"cost_pico_usd": None, "cost_status": "unpriced", "input_tokens": None}
            spans.append(call(trace, number, parent, **said))
    return spans


def agreed(store: Store, keeper: BudgetKeeper, rules: list[Rule], is_whole: bool) -> None:
    assert keeper.verify() == []
    held = held_of(rules, store.read(lambda reader: reader.table(query("budget_counters"))))
    found = {name: keeper.counters.all(name) for name in held}
    if is_whole:
        assert found == held
    else:
        assert all(held[name].items() >= here.items() for name, here in found.items())


def fired(store: Store) -> list[tuple[Any, ...]]:
    """Thresholds by counter and limit."""
    sql = "SELECT budget, scope_value, window_start_ns, event, threshold_ppm, event_id FROM _ledger.budget_event"
    return store.read(lambda reader: reader.rows(sql))


@settings(max_examples=3, deadline=None)
@given(traces(), st.randoms(use_true_random=False))
def test_counters_are_what_their_calls_add_up_to(spans: list[dict[str, Any]], chance: random.Random) -> None:
    """After each batch, a restart and a price run that is undone; no threshold fires twice for a window."""
    add_up(spans, chance)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=60, deadline=None)
@given(traces(), st.randoms(use_true_random=False))
def test_counters_of_many_histories_are_what_their_calls_add_up_to(
    spans: list[dict[str, Any]], chance: random.Random
) -> None:
    """The same."""
    add_up(spans, chance)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=30, deadline=None)
@given(traces(), st.integers())
def test_counters_that_were_let_go_come_back_with_late_spans(spans: list[dict[str, Any]], seed: int) -> None:
    """All of them are let go after each batch: what is counted and what fires is the same."""
    fired_before = add_up(spans, random.Random(seed))
    with patch.multiple(counters, LETS_GO_NS=0), patch.multiple(rule_counters, KEPT_NS=0):
        assert add_up(spans, random.Random(seed), is_whole=False) == fired_before


def add_up(spans: list[dict[str, Any]], chance: random.Random, *, is_whole: bool = True) -> list[tuple[Any, ...]]:
    """A history; what has fired. `is_whole`: all counters are in memory."""
    found: list[tuple[Any, ...]] = []
    sent = spans + chance.sample(spans, len(spans) // 2)
    chance.shuffle(sent)
    with tempfile.TemporaryDirectory() as folder:
        config = StoreConfig(Path(folder) / "costs.duckdb", lock_wait_seconds=0)
        rules = list(RULES)
        for life in range(2):
            store = Store(config)
            keeper = BudgetKeeper(store, rules)
            store.start()
            try:
                keeper.start()
                half = sent[life::2]
                while half:
                    some, half = half[:4], half[4:]
                    store.append(batch(some), attribute)
                    agreed(store, keeper, rules, is_whole)
                repricing = store.repricing(attribute)
                name = repricing.apply(Order(Selection(), Flat(f"dear {life}", 2 * PRICE), "me"), lambda: False).name
                store.publish()  # what is to be judged again is
                agreed(store, keeper, rules, is_whole)
                if name is not None and life:
                    repricing.undo(name, "me", lambda: False)
                    store.publish()
                    agreed(store, keeper, rules, is_whole)
                found = fired(store)
                assert len(found) == len(set(found))
                calendar = [row[:5] for row in found if row[0] != "rolling"]
                assert len(calendar) == len(set(calendar))
            finally:
                store.stop()
    return sorted(found)
