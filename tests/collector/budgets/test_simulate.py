"""A simulation finds what rules applied call by call would have done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budgets.counting import MOVED_SCHEMA, Ints, WorstRates
from collector.budgets.model import Action, Decision, Event, EventKind, Rule, Unit, Unpriced, Window, WindowKind
from collector.budgets.simulate import Simulated, Simulation
from tests.collector.budgets.moved_calls import HOUR_NS, NOON_NS, USD, call, rule
from tests.collector.budgets.simulated_calls import Plain, price

_SCHEMA = pa.schema([field for field in MOVED_SCHEMA if field.name != "sign"])
_BLOCK = (Action.NOTIFY, Action.BLOCK)
_MODELS = ["gpt-4o", "gpt-4o-mini", "claude-haiku", None]

_WINDOWS = st.sampled_from(
    [
        Window(WindowKind.DAY),
        Window(WindowKind.HOUR),
        Window(WindowKind.TOTAL),
        Window(WindowKind.RUN),
        Window(WindowKind.ROLLING, HOUR_NS),
        Window(WindowKind.ROLLING, 24 * HOUR_NS),
    ]
)
_SCOPES = st.sampled_from(
    [
        (("organization", None),),
        (("customer", None),),
        (("model", None),),
        (("model", "gpt-4o-mini"),),
        (("customer", "acme"), ("model", None)),
    ]
)
_ACTIONS = st.sampled_from(
    [
        (Action.NOTIFY,),
        _BLOCK,
        (Action.APPROVAL,),
        (Action.THROTTLE,),
        (Action.CHEAPER_MODEL,),
        (Action.CHEAPER_MODEL, Action.BLOCK),
        (Action.CHEAPER_MODEL, Action.THROTTLE),
    ]
)
_CHEAPER = st.sampled_from(
    [
        MappingProxyType({"gpt-4o": "gpt-4o-mini"}),
        MappingProxyType({"gpt-4o": "claude-haiku", "claude-haiku": "gpt-4o-mini"}),
        MappingProxyType({"gpt-4o": "unknown"}),
        MappingProxyType({"claude-haiku": "gpt-4o"}),
    ]
)


@st.composite
def _rules(draw: st.DrawFn) -> list[Rule]:
    return [
        Rule(
            name=f"r{number}",
            scope=draw(_SCOPES),
            limit=draw(st.sampled_from([0, 1, 5, 60, 400, 2_000])),
            unit=draw(st.sampled_from([Unit.USD, Unit.USD, Unit.TOKENS, Unit.CALLS])),
            window=draw(_WINDOWS),
            warn_at_ppm=draw(st.sampled_from([(800_000,), (), (500_000, 1_000_000)])),
            on_warn=draw(st.one_of(st.just((Action.NOTIFY,)), _ACTIONS)),
            on_exceed=draw(_ACTIONS),
            unpriced=draw(st.sampled_from(list(Unpriced))),
            from_ns=draw(st.sampled_from([0, NOON_NS + HOUR_NS])),
            cheaper=draw(_CHEAPER),
        )
        for number in range(draw(st.integers(1, 3)))
    ]


@st.composite
def _calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    found, at_ns = [], NOON_NS
    for _ in range(draw(st.integers(1, 40))):
        at_ns += draw(st.sampled_from([0, 1, 7 * 60 * 10**9, HOUR_NS, 13 * HOUR_NS]))
        status = draw(st.sampled_from(["priced", "priced", "priced", "partial", "unpriced"]))
        found.append(
            call(
                start_time_ns=at_ns,
                customer=draw(st.sampled_from(["acme", "globex", None])),
                run=draw(st.sampled_from(["a", "b"])),
                model=draw(st.sampled_from(_MODELS)),
                cost_pico_usd=None if status == "unpriced" else draw(st.integers(0, 120)),
                cost_status=status,
                input_tokens=draw(st.sampled_from([None, 0, 3, 10])),
                output_tokens=draw(st.sampled_from([None, 0, 5])),
            )
        )
    return found


def _table(calls: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(each) for each in calls], schema=_SCHEMA)


def _prices(rows: pa.Table, model: str) -> Ints:
    costs = [price(row, model) for row in rows.to_pylist()]
    return np.array([-1 if cost is None else cost for cost in costs], np.int64)


def _simulated(
    rules: Sequence[Rule], calls: Sequence[Mapping[str, Any]], size: int = 1_000, from_ns: int = 0
) -> Simulated:
    simulation = Simulation(rules, _prices, from_ns, WorstRates(7, 11))
    for start in range(0, len(calls), size):
        simulation.feed(_table(calls[start : start + size]))
    return simulation.result()


def _events(found: Simulated) -> list[Event]:
    return [event for each in found.rules for event in each.events]


REPLAYED = given(_rules(), _calls(), st.sampled_from([1, 3, 1_000]))


@settings(max_examples=60, deadline=None)
@REPLAYED
def test_a_simulation_in_batches_is_what_rules_do_call_by_call(
    rules: list[Rule], calls: list[dict[str, Any]], size: int
) -> None:
    is_as_call_by_call(rules, calls, size)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=1500, deadline=None)
@REPLAYED
def test_many_simulations_in_batches_are_what_rules_do_call_by_call(
    rules: list[Rule], calls: list[dict[str, Any]], size: int
) -> None:
    is_as_call_by_call(rules, calls, size)


def is_as_call_by_call(rules: list[Rule], calls: list[dict[str, Any]], size: int) -> None:
    plain = Plain(rules)
    for each in calls:
        plain.feed(each)
    found = _simulated(rules, calls, size)
    assert sorted(_events(found)) == sorted(plain.events)
    became = list(zip(plain.became, calls, strict=True))
    refused = [(each, c) for each, c in became if each.decision in (Decision.BLOCK, Decision.APPROVAL)]
    replaced = [(each, c) for each, c in became if each.decision is Decision.CHEAPER_MODEL]
    total = found.total
    assert total.refused_calls == len(refused)
    assert total.refused_pico_usd == sum(c["cost_pico_usd"] or 0 for _, c in refused)
    assert total.approval_calls == sum(each.decision is Decision.APPROVAL for each, _ in became)
    assert total.throttled_calls == sum(each.was_throttled for each, _ in became)
    assert total.replaced_calls == len(replaced)
    costs = [(c["cost_pico_usd"] or 0, price(c, each.model or "")) for each, c in replaced]
    assert total.replaced_saved_pico_usd == sum(0 if now is None else was - now for was, now in costs)


def _hours(*hours: float, **values: Any) -> list[dict[str, Any]]:
    return [call(start_time_ns=NOON_NS + int(hour * HOUR_NS), **values) for hour in hours]


def test_a_block_refuses_what_does_not_fit_and_lets_smaller_calls_through() -> None:
    small = call(start_time_ns=NOON_NS + 3 * HOUR_NS, cost_pico_usd=USD // 2)
    calls = [*_hours(0, 1, cost_pico_usd=USD), *_hours(2, cost_pico_usd=2 * USD), small]
    found = _simulated([rule(limit=3 * USD, on_exceed=_BLOCK)], calls)
    assert (found.total.refused_calls, found.total.refused_pico_usd) == (1, 2 * USD)
    (tally,) = found.rules[0].tallies.values()
    assert tally.peak == 2 * USD + USD // 2
    exceeded = [event for event in found.rules[0].events if event.kind is EventKind.EXCEED]
    assert [(event.happened_at_ns, event.spent) for event in exceeded] == [(NOON_NS + 2 * HOUR_NS, 4 * USD)]


def test_a_refused_call_counts_in_no_other_rule() -> None:
    hard, soft = rule("hard", limit=USD, on_exceed=_BLOCK), rule("soft", limit=2 * USD)
    found = _simulated([hard, soft], _hours(0, 1, 2))
    assert [event for event in found.rules[1].events if event.kind is EventKind.EXCEED] == []
    assert found.total.refused_calls == 2


def test_a_cheaper_model_costs_less_from_the_warning_on() -> None:
    cheaper = rule(
        limit=2 * USD,
        warn_at_ppm=(500_000,),
        on_warn=(Action.CHEAPER_MODEL,),
        cheaper=MappingProxyType({"gpt-4o": "gpt-4o-mini"}),
    )
    found = _simulated([cheaper], _hours(0, 1, 2))
    assert found.total.replaced_calls == 2
    assert found.total.replaced_saved_pico_usd == 2 * (USD - 45)  # 15 tokens at 3
    assert found.total.refused_calls == 0


def test_a_chain_of_cheaper_models_is_gone_down_as_far_as_the_budget_asks() -> None:
    """From the warning on each model of it is replaced; of what does not fit, the next."""
    chain = MappingProxyType({"gpt-4o": "claude-haiku", "claude-haiku": "gpt-4o-mini"})
    warned = rule(limit=2 * USD, warn_at_ppm=(500_000,), on_warn=(Action.CHEAPER_MODEL,), cheaper=chain)
    refused = rule("no-haiku", scope=(("model", "claude-haiku"),), limit=0, on_exceed=_BLOCK)
    for rules in ([warned], [warned, refused]):
        found = _simulated(rules, _hours(0, 1, 2))
        assert found.total.replaced_saved_pico_usd == 2 * (USD - 45)  # 15 tokens at 3


def test_what_came_before_counts_and_is_not_told() -> None:
    found = _simulated([rule(limit=2 * USD, on_exceed=_BLOCK)], _hours(0, 1, 2, 3), from_ns=NOON_NS + 3 * HOUR_NS)
    assert _events(found) == []
    assert (found.total.calls, found.total.refused_calls) == (1, 1)


def test_a_warning_is_needless_if_its_window_ended_below_the_limit_and_late_in_its_last_hour() -> None:
    late = _hours(*[11.5] * 9)  # of 10 USD, at 23:30
    early = _hours(*[24] * 9)
    over = _hours(*[48] * 10)
    still_open = _hours(*[72] * 9)
    (found,) = _simulated([rule()], [*late, *early, *over, *still_open]).rules
    (tally,) = found.tallies.values()
    assert (tally.windows, tally.warned, tally.exceeded, tally.needless, tally.late) == (4, 4, 1, 2, 1)


def test_sums_may_exceed_64_bits() -> None:
    dear = [call(start_time_ns=NOON_NS + n, cost_pico_usd=10**18 - 1) for n in range(30)]
    (found,) = _simulated([rule(limit=10**18, on_exceed=_BLOCK)], dear, 7).rules
    assert next(iter(found.tallies.values())).refused_calls == 29
    (found,) = _simulated([rule(limit=10**18)], dear, 7).rules
    assert next(iter(found.tallies.values())).peak == 30 * (10**18 - 1)


def test_calls_must_come_in_order() -> None:
    with pytest.raises(ValueError, match="order"):
        _simulated([rule()], _hours(1, 0))


def test_nothing_to_replay_is_nothing_found() -> None:
    found = _simulated([rule()], [])
    assert (found.total.calls, found.first_ns, found.last_ns) == (0, None, None)
    assert replace(found.total, calls=1).calls == 1
