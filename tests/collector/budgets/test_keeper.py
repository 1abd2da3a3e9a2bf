"""Counters move in the transactions of the ledger, and are what a recount from its calls says, whatever happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.budgets import keeper as keeping
from collector.budgets.counters import Moves
from collector.budgets.counting import WorstRates
from collector.budgets.keeper import BudgetKeeper
from collector.budgets.model import CounterKey, Rule, Spent, Unit, Unpriced, Window, WindowKind
from collector.budgets.recount import held_of
from collector.store import Store, StoreConfig, append
from collector.store.query import query_published
from collector.store.reprice import Order
from collector.store.reprice_selection import Selection
from collector.store.statements import query
from tests.collector.budgets.conftest import Open
from tests.collector.budgets.moved_calls import rule
from tests.collector.store.ledger_rows import START_NS, attribute, batch, call, span
from tests.collector.store.price_runs import Flat

PRICE = 12_500_000_000
DAY_START_NS = START_NS - START_NS % (86_400 * 10**9)


def by_agent(name: str = "agents", **values: Any) -> Rule:
    return rule(name, scope=(("agent", None),), **{"limit": 10 * PRICE, **values})


def key(agent: str, name: str = "agents") -> CounterKey:
    return CounterKey("default", name, agent, DAY_START_NS)


def agreed(store: Store, keeper: BudgetKeeper) -> None:
    """Memory, the ledger and a recount say the same."""
    assert keeper.verify() == []
    held = store.read(lambda reader: reader.table(query("budget_counters")))
    for name, found in held_of(keeper.counters.rules, held).items():
        assert keeper.counters.all(name) == found


def events(store: Store) -> list[tuple[Any, ...]]:
    sql = "SELECT scope_value, event, CAST(threshold_percent AS INTEGER) FROM budget_events ORDER BY ALL"
    return store.read(lambda reader: reader.rows(sql))


def test_calls_move_their_counters_once_however_often_they_are_sent(open_ledger: Open) -> None:
    store, keeper = open_ledger(by_agent())
    rows = batch([call(1, 1, agent="a"), call(1, 2, agent="b"), span(1, 3, agent="a")])
    for _ in range(3):
        store.append(rows, attribute)
    assert keeper.counters.all("agents") == {key("a"): Spent(PRICE, 1100, 1), key("b"): Spent(PRICE, 1100, 1)}
    agreed(store, keeper)


def test_an_agent_that_comes_later_gets_its_calls(open_ledger: Open) -> None:
    """The span between them says whose it is."""
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, 3, 2), span(1, 1, agent="outer")]), attribute)
    assert keeper.counters.all("agents") == {}
    store.append(batch([span(1, 2, 1)]), attribute)
    assert keeper.counters.all("agents") == {key("outer"): Spent(PRICE, 1100, 1)}
    agreed(store, keeper)


def test_an_earlier_record_of_a_call_moves_it_to_the_other_agent(open_ledger: Open) -> None:
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, 2, agent="a", response_id="r")]), attribute)
    assert keeper.counters.all("agents") == {key("a"): Spent(PRICE, 1100, 1)}
    store.append(batch([call(1, 1, agent="b", response_id="r")]), attribute)
    assert keeper.counters.all("agents") == {key("b"): Spent(PRICE, 1100, 1)}
    agreed(store, keeper)


def test_thresholds_fire_once_over_restarts(open_ledger: Open) -> None:
    store, keeper = open_ledger(by_agent(limit=2 * PRICE))
    store.append(batch([call(1, 1, agent="a")]), attribute)
    store, keeper = open_ledger(by_agent(limit=2 * PRICE))
    store.append(batch([call(1, 2, agent="a")]), attribute)
    store, keeper = open_ledger(by_agent(limit=2 * PRICE))
    store.append(batch([call(1, 3, agent="a"), call(2, 3, agent="b")]), attribute)
    assert events(store) == [("a", "exceed", 100), ("a", "warn", 80)]
    agreed(store, keeper)


def test_a_price_run_and_its_undo_move_the_counters(open_ledger: Open) -> None:
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, number, agent="a") for number in range(1, 8)]), attribute)
    repricing = store.repricing(attribute)
    name = repricing.apply(Order(Selection(), Flat("dear", 2 * PRICE), "me"), lambda: False).name
    assert keeper.counters.all("agents") == {key("a"): Spent(14 * PRICE, 7700, 7)}
    assert events(store) == [("a", "exceed", 100), ("a", "warn", 80)]
    agreed(store, keeper)
    repricing.undo(name or "", "me", lambda: False)
    assert keeper.counters.all("agents") == {key("a"): Spent(7 * PRICE, 7700, 7)}
    repricing.apply(Order(Selection(), Flat("dear", 2 * PRICE), "me"), lambda: False)
    assert events(store) == [("a", "exceed", 100), ("a", "warn", 80)]
    agreed(store, keeper)


def test_a_price_run_moves_calls_whose_owner_came_later(open_ledger: Open) -> None:
    """Their rows in the segments do not know it: amendments do."""
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, 2, 1), call(2, 1, agent="b", request_model="new")]), attribute)
    store.append(batch([span(1, 1, agent="a")]), attribute)
    store.repricing(attribute).apply(Order(Selection(), Flat("dear", 3, ["new"]), "me"), lambda: False)
    assert keeper.counters.all("agents") == {key("a"): Spent(3, 1100, 1), key("b"): Spent(0, 1100, 1, 1)}
    agreed(store, keeper)


def test_a_new_rule_is_counted_from_history_and_fires_in_the_windows_of_now(open_ledger: Open) -> None:
    store, keeper = open_ledger()
    store.append(batch([call(1, number, agent="a") for number in range(1, 4)]), attribute)
    total = Window(WindowKind.TOTAL)
    rules = [by_agent("days"), by_agent("late", limit=0, window=total), by_agent("ever", limit=3 * PRICE, window=total)]
    rules[1] = by_agent("late", limit=1, window=total, from_ns=START_NS + 10**12)
    keeper.set_rules(rules)
    assert keeper.counters.all("days") == {key("a", "days"): Spent(3 * PRICE, 3300, 3)}
    assert keeper.counters.all("late") == {}
    assert events(store) == [("a", "exceed", 100), ("a", "warn", 80)]
    agreed(store, keeper)
    keeper.set_rules(rules[:1])
    assert keeper.counters.all("ever") == {}
    agreed(store, keeper)


def test_a_rule_that_counts_the_same_keeps_its_counters(open_ledger: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, 1, agent="a")]), attribute)
    monkeypatch.setattr(keeping, "recount", None)  # nothing is counted again
    store, keeper = open_ledger(by_agent(limit=5, unit=Unit.CALLS))
    assert keeper.counters.all("agents") == {key("a"): Spent(PRICE, 1100, 1)}


def test_calls_that_came_without_budgets_are_counted_at_the_next_start(open_ledger: Open, tmp_path: Path) -> None:
    """As with an import while no collector runs."""
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, 1, agent="a")]), attribute)
    store.stop()
    other = Store(StoreConfig(tmp_path / "otel-cost.duckdb", lock_wait_seconds=0))
    other.start()
    other.append(batch([call(1, 2, agent="a")]), attribute)
    other.stop()
    store, keeper = open_ledger(by_agent())
    assert keeper.counters.all("agents") == {key("a"): Spent(2 * PRICE, 2200, 2)}
    agreed(store, keeper)


def test_a_fault_in_counting_keeps_no_span_out_and_is_mended_by_the_next_start(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, keeper = open_ledger(by_agent())
    store.append(batch([call(1, 1, agent="a")]), attribute)
    with monkeypatch.context() as broken:
        broken.setattr(keeper.counters, "moves", lambda *_, **__: 1 / 0)
        store.append(batch([call(1, 2, agent="a")]), attribute)
    store.append(batch([call(1, 3, agent="a")]), attribute)
    assert store.read(lambda reader: reader.rows("SELECT count(*) FROM calls")) == [(3,)]
    store, keeper = open_ledger(by_agent())
    assert keeper.counters.all("agents") == {key("a"): Spent(3 * PRICE, 3300, 3)}
    agreed(store, keeper)


@pytest.mark.parametrize("part", ["moves", "apply"])
@pytest.mark.parametrize("has_commit_between", [True, False])
def test_a_fault_in_counting_is_mended_while_the_collector_runs(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch, part: str, has_commit_between: bool
) -> None:
    """Leases are granted by counters meanwhile that stand still."""
    now_ns = [time.time_ns()]
    store, keeper = open_ledger(by_agent(limit=PRICE), clock_ns=lambda: now_ns[0])
    with monkeypatch.context() as broken:
        broken.setattr(keeper.counters, part, lambda *_, **__: 1 / 0)
        store.append(batch([call(1, 1, agent="a")]), attribute)
    if has_commit_between:
        store.append(batch([call(1, 2, agent="a")]), attribute)
    keeper.mend()
    assert keeper.counters.all("agents") == {}, "not at once: the fault may be one that comes again"
    now_ns[0] += keeping.FIRST_MEND_NS
    keeper.mend()
    store.append(batch([call(1, 3, agent="a")]), attribute)
    calls = 2 + has_commit_between
    assert keeper.counters.all("agents") == {key("a"): Spent(calls * PRICE, calls * 1100, calls)}
    assert store.read(lambda reader: reader.rows("SELECT calls FROM budgets")) == [(calls,)]
    agreed(store, keeper)
    with monkeypatch.context() as whole:
        whole.setattr(keeping, "recount", None)  # nothing is counted again
        store, keeper = open_ledger(by_agent(limit=PRICE))
    agreed(store, keeper)


def test_the_wait_after_a_fault_is_long_only_if_one_follows_the_other(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [time.time_ns()]
    store, keeper = open_ledger(by_agent(), clock_ns=lambda: now_ns[0])
    numbers = iter(range(1, 100))

    def waited_ns() -> int:
        """How long nothing is counted after a fault of now, which goes by itself."""
        with monkeypatch.context() as broken:
            broken.setattr(keeper.counters, "moves", lambda *_, **__: 1 / 0)
            store.append(batch([call(1, next(numbers), agent="a")]), attribute)
        began_ns = now_ns[0]
        while keeper.columns is None:
            now_ns[0] += keeping.FIRST_MEND_NS // 2
            keeper.mend()
        return now_ns[0] - began_ns

    first = keeping.FIRST_MEND_NS
    assert [waited_ns() for _ in range(3)] == [first, 2 * first, 4 * first]
    now_ns[0] += 9 * first
    assert [waited_ns() for _ in range(2)] == [first, 2 * first]
    agreed(store, keeper)


def test_a_commit_that_fails_moves_nothing(open_ledger: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store, keeper = open_ledger(by_agent(limit=1))
    told: list[Moves] = []
    keeper.counters.on_applied(told.append)
    with monkeypatch.context() as broken:
        broken.setattr(append, "_amend", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.append(batch([call(1, 1, agent="a"), call(1, 1, agent="b")]), attribute)
    assert (keeper.counters.all("agents"), told, events(store)) == ({}, [], [])
    store.append(batch([call(1, 1, agent="a")]), attribute)
    assert [len(moves.events) for moves in told] == [2]
    agreed(store, keeper)


def test_what_is_unpriced_counts_at_rates_that_stay_the_same(open_ledger: Open) -> None:
    """Those of the card at the time of the first count, whatever card comes."""
    each = by_agent(unpriced=Unpriced.WORST_CASE)
    unpriced: dict[str, Any] = {"agent": "a", "cost_pico_usd": None, "cost_status": "unpriced"}
    store, keeper = open_ledger(each, worst=lambda: WorstRates(3, 5))
    store.append(batch([call(1, 1, **unpriced)]), attribute)
    store, keeper = open_ledger(each, worst=lambda: WorstRates(7, 7))
    store.append(batch([call(1, 2, **unpriced)]), attribute)
    assert keeper.counters.all("agents") == {key("a"): Spent(2 * (1000 * 3 + 100 * 5), 2200, 2, 2)}
    assert keeper.counters.worst == {"agents": WorstRates(3, 5)}
    agreed(store, keeper)


def test_the_published_file_shows_budgets(open_ledger: Open, tmp_path: Path) -> None:
    day = by_agent(limit=2 * PRICE)
    tokens = by_agent("tokens", limit=1500, unit=Unit.TOKENS, window=Window(WindowKind.TOTAL))
    long = by_agent("long", window=Window(WindowKind.ROLLING, 10**18))
    store, _ = open_ledger(day, tokens, long)
    store.append(batch([call(1, 1, agent="a"), call(1, 2, agent="a"), call(1, 3, agent="b")]), attribute)
    store.stop()
    sql = (
        "SELECT budget, scope, scope_value, period, state, unit, limit_usd::VARCHAR, spent_usd::VARCHAR, "
        "limit_count::VARCHAR, spent_count::VARCHAR, calls::INTEGER FROM budgets ORDER BY ALL"
    )
    found = [tuple(row.values()) for row in query_published(tmp_path / "otel-cost.duckdb", sql).to_pylist()]
    usd = ["0.012500000000", "0.025000000000", "0.125000000000"]
    assert found == [
        ("agents", "agent", "a", "day", "exceeded", "USD", usd[1], usd[1], None, None, 2),
        ("agents", "agent", "b", "day", "ok", "USD", usd[1], usd[0], None, None, 1),
        ("long", "agent", "a", "277777h", "ok", "USD", usd[2], usd[1], None, None, 2),
        ("long", "agent", "b", "277777h", "ok", "USD", usd[2], usd[0], None, None, 1),
        ("tokens", "agent", "a", "total", "exceeded", "tokens", None, None, "1500", "2200", 2),
        ("tokens", "agent", "b", "total", "ok", "tokens", None, None, "1500", "1100", 1),
    ]
    sql = "SELECT budget, event, threshold_percent::INTEGER, spent_count::VARCHAR FROM budget_events ORDER BY ALL"
    fired = query_published(tmp_path / "otel-cost.duckdb", sql).to_pylist()
    assert [tuple(row.values()) for row in fired] == [
        ("agents", "exceed", 100, None),
        ("agents", "warn", 80, None),
        ("tokens", "exceed", 100, "2200"),
        ("tokens", "warn", 80, "2200"),
    ]


def test_rows_of_counters_are_added_up(open_ledger: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.store.budgets.COMPACT_ROWS", 5)
    store, keeper = open_ledger(by_agent())
    for number in range(1, 9):
        store.append(batch([call(1, number, agent="a")]), attribute)
    store, keeper = open_ledger(by_agent())
    count: Callable[[Any], Any] = lambda reader: reader.rows("SELECT count(*) FROM _ledger.budget_counter")  # noqa: E731
    assert store.read(count) == [(1,)]
    assert keeper.counters.all("agents") == {key("a"): Spent(8 * PRICE, 8800, 8)}


def test_leased_calls_are_told_once_with_what_they_cost(open_ledger: Open) -> None:
    store, keeper = open_ledger(by_agent())
    told: list[Moves] = []
    leased: dict[str, Any] = {"agent": "a", "attributes": '{"x":"y","otel_cost.lease":"l-1/7"}'}
    store.append(batch([call(1, 1, **leased)]), attribute)
    keeper.counters.on_applied(told.append, leases=True)
    rows = batch([call(1, 2, **leased), call(1, 3, agent="a"), call(1, 4, **{**leased, "call_kind": "aggregate"})])
    for _ in range(2):
        store.append(rows, attribute)
    assert [tuple(each) for moves in told for each in moves.leased] == [
        ("l-1/7", PRICE, 1100, True),
        ("l-1/7", PRICE, 1100, False),
    ]


def test_counters_of_windows_that_are_over_take_no_memory_until_late_spans_come(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threshold that a late span crosses fires once, of all that the window has had."""
    monkeypatch.setattr("collector.budgets.counters.LETS_GO_NS", 0)
    runs = rule("runs", scope=(("agent", None),), limit=3, unit=Unit.CALLS, window=Window(WindowKind.RUN))
    store, keeper = open_ledger(by_agent(limit=2 * PRICE), runs)
    monkeypatch.setattr("collector.budgets.rule_counters.KEPT_NS", 0)
    for number in range(1, 4):
        store.append(batch([call(1, number, agent="a", run="r"), call(2, number, agent="b", run="r")]), attribute)
        assert [keeper.counters.all(name) for name in ("agents", "runs")] == [{}, {}]
        assert keeper.verify() == []
    fired = [(name, "exceed", 100) for name in ("a", "b")] + [(name, "warn", 80) for name in ("a", "b")]
    of_runs = [(f'["{name}","r"]', kind, share) for name, kind, share in fired]
    assert events(store) == sorted(fired + of_runs)
