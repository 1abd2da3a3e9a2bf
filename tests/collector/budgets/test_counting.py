"""What a batch of calls does to counters is what counting them one by one would do."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budgets.counter_rows import amounts_of, counter_rows, moves_of_rows
from collector.budgets.counting import MOVED_SCHEMA, WorstRates, columns_of, count, dimensions_of, key_of
from collector.budgets.model import CounterKey, Rule, Spent, Unit, Unpriced, Window, WindowKind
from tests.collector.budgets.moved_calls import HOUR_NS, NOON_NS, USD, call, counted, moved, rule

WORST = WorstRates(3 * 10**6, 15 * 10**6)
NAMES = st.sampled_from(["a", "b", 'with "quotes" | and ü', None])
CALLS = st.fixed_dictionaries(
    {
        "org_id": st.sampled_from(["default", "other"]),
        "start_time_ns": st.integers(NOON_NS - 5000 * HOUR_NS, NOON_NS + 5000 * HOUR_NS),
        "provider": NAMES,
        "model": NAMES,
        "run": st.sampled_from(["r1", "r2"]),
        "agent": NAMES,
        "customer": NAMES,
        "cost_pico_usd": st.one_of(st.none(), st.integers(0, 10**18 - 1)),
        "cost_status": st.sampled_from(["priced", "unpriced", "partial", "estimated", None]),
        "input_tokens": st.one_of(st.none(), st.integers(0, 2**40)),
        "output_tokens": st.one_of(st.none(), st.integers(0, 2**40)),
        "sign": st.sampled_from([1, 1, 1, -1]),
    }
)
SCOPES = st.lists(
    st.tuples(
        st.sampled_from(["organization", "customer", "agent", "run", "provider", "model"]),
        st.sampled_from([None, None, "a", "default", "never"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(tuple)
WINDOWS = st.one_of(
    st.builds(
        Window,
        st.sampled_from([kind for kind in WindowKind if kind is not WindowKind.ROLLING]),
        time_zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Chatham", "America/New_York"]),
        billing_day=st.sampled_from([1, 15, 31]),
        week_start=st.integers(0, 6),
    ),
    st.sampled_from([Window(WindowKind.ROLLING, n * HOUR_NS) for n in (1, 5, 24, 7 * 24)]),
)
RULES = st.builds(
    rule,
    scope=SCOPES,
    window=WINDOWS,
    unpriced=st.sampled_from(Unpriced),
    from_ns=st.sampled_from([0, NOON_NS]),
    organization=st.sampled_from([None, None, "default"]),
)


@settings(deadline=None)
@given(st.lists(CALLS, max_size=30), RULES, st.booleans())
def test_a_batch_moves_what_its_calls_move_one_by_one(calls: list[dict[str, Any]], one: Rule, encoded: bool) -> None:
    table = moved(calls)
    if encoded:
        columns = [
            column.dictionary_encode() if pa.types.is_string(column.type) else column for column in table.columns
        ]
        table = pa.Table.from_arrays(columns, names=table.column_names)
    found = {key: spent for each in count([one], table, {one.name: WORST}) for key, spent in each.deltas().items()}
    assert found == counted([one], calls, WORST)


@settings(deadline=None)
@given(st.lists(CALLS, max_size=30), RULES)
def test_moves_come_back_from_their_rows_as_they_were(calls: list[dict[str, Any]], one: Rule) -> None:
    moves = count([one], moved(calls))
    rows = counter_rows(moves)
    assert rows.num_rows == sum(len(each.values) for each in moves)
    if moves:
        assert moves_of_rows(one, rows).deltas() == moves[0].deltas()
        twice = moves_of_rows(one, pa.concat_tables([rows, rows])).deltas()
        assert twice == {key: spent.plus(spent) for key, spent in moves[0].deltas().items()}


def test_sums_beyond_64_bits_are_exact() -> None:
    calls = [call(cost_pico_usd=10**18 - 1) for _ in range(40)]
    (moves,) = count([rule()], moved(calls))
    (spent,) = moves.deltas().values()
    assert spent == Spent(40 * (10**18 - 1), 600, 40, 0)
    assert amounts_of(counter_rows([moves]).column("cost_usd")).tolist() == [40 * (10**18 - 1)]


def test_a_call_without_a_value_of_the_scope_is_in_no_counter() -> None:
    assert count([rule()], moved([call(customer=None)])) == []
    assert count([rule(scope=(("customer", "acme"),))], moved([call(customer="other")])) == []


def test_a_window_of_a_run_counts_each_run_by_itself() -> None:
    each = rule(window=Window(WindowKind.RUN))
    assert dimensions_of(each) == ("customer", "run")
    (moves,) = count([each], moved([call(run="r1"), call(run="r2"), call(run="r1")]))
    assert {key.scope_value: spent.calls for key, spent in moves.deltas().items()} == {
        '["acme","r1"]': 2,
        '["acme","r2"]': 1,
    }
    assert dimensions_of(rule(scope=(("run", None),), window=Window(WindowKind.RUN))) == ("run",)


@pytest.mark.parametrize(
    ("unpriced", "expected"),
    [
        (Unpriced.ALLOW, Spent(USD, 45, 3, 2)),
        (Unpriced.REFUSE, Spent(USD, 45, 3, 2)),
        (Unpriced.WORST_CASE, Spent(USD + 2 * (10 * WORST.input_pico_usd + 5 * WORST.output_pico_usd), 45, 3, 2)),
    ],
)
def test_what_calls_without_a_price_count_as(unpriced: Unpriced, expected: Spent) -> None:
    calls = [call(), call(cost_pico_usd=None, cost_status="unpriced"), call(cost_pico_usd=7, cost_status="partial")]
    if unpriced is not Unpriced.WORST_CASE:
        expected = expected.plus(Spent(7))
    (moves,) = count([rule(unpriced=unpriced)], moved(calls), {"r": WORST})
    assert list(moves.deltas().values()) == [expected]


def test_only_the_columns_that_rules_name_are_asked_for() -> None:
    scope = (("organization", None), ("agent", "x"), ("model", None))
    assert columns_of([rule(), rule(scope=scope, window=Window(WindowKind.RUN))]) == {
        "customer",
        "agent",
        "model",
        "run",
    }
    needed = [name for name in MOVED_SCHEMA.names if name not in ("provider", "model", "run", "agent")]
    (moves,) = count([rule()], moved([call()]).select(needed))
    assert list(moves.deltas().values()) == [Spent(USD, 15, 1, 0)]


def test_the_key_of_a_call_that_starts_before_its_rule_is_none() -> None:
    each = rule(from_ns=NOON_NS, unit=Unit.CALLS)
    assert key_of(each, "default", call(), NOON_NS - 1) is None
    assert key_of(each, "default", call(), NOON_NS) == CounterKey("default", "r", "acme", NOON_NS - 12 * HOUR_NS)
