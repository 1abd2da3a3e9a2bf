"""What budgets say to a claim, stage by stage."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budgets.counting import WorstRates, key_of
from collector.budgets.deciding import HardRule, Standing, decide, hard_rules, match_on
from collector.budgets.held import Amounts
from collector.budgets.leases import LeaseBook
from collector.budgets.model import (
    Action,
    Claim,
    CounterKey,
    Decision,
    Lease,
    Refusal,
    Rule,
    Unit,
    Unpriced,
    Window,
    WindowKind,
)
from collector.budgets.windows import DAY_NS
from otel_cost.call import DIMENSIONS
from tests.collector.budgets.leasing import NOON_NS, Clocks, Spending, claim_of, rule_of


def said(spent: int, claim: Claim, *rules: Rule, worst: int = 0) -> Refusal | None:
    """The answer when the counters of each rule that the claim counts in hold an amount."""
    spending = Spending(rules, worst={rule.name: WorstRates(worst, 0) for rule in rules})
    book = LeaseBook(spending, steady_ns=Clocks().steady)
    book.set_rules(rules, "1")
    spending.count(claim, NOON_NS, Amounts(spent, spent, spent))
    return book.check(claim, NOON_NS)


def decision(spent: int, claim: Claim, *rules: Rule, worst: int = 0) -> Decision:
    found = said(spent, claim, *rules, worst=worst)
    return Decision.ALLOW if found is None else found.decision


@pytest.mark.parametrize("unit", list(Unit))
def test_a_limit_may_be_reached_and_not_passed(unit: Unit) -> None:
    rule = rule_of("r", 100, unit)
    need = {Unit.USD: 10, Unit.TOKENS: 10, Unit.CALLS: 1}[unit]
    assert decision(100 - need, claim_of(10, 10), rule) is Decision.ALLOW
    assert decision(101 - need, claim_of(10, 10), rule) is Decision.BLOCK


def test_a_budget_of_nothing_lets_through_what_is_free() -> None:
    rule = rule_of("r", 0)
    assert decision(0, claim_of(1), rule) is Decision.BLOCK
    assert decision(0, claim_of(0), rule) is Decision.ALLOW
    assert decision(0, claim_of(0), rule_of("t", 0, Unit.TOKENS)) is Decision.BLOCK


def test_what_is_free_passes_a_budget_of_money_that_is_spent_and_no_other() -> None:
    """Whatever it was overspent by."""
    assert decision(500, claim_of(0), rule_of("r", 100)) is Decision.ALLOW
    assert decision(500, claim_of(0), rule_of("r", 100, Unit.TOKENS)) is Decision.BLOCK
    assert decision(500, claim_of(0, tokens=0), rule_of("r", 100, Unit.CALLS)) is Decision.BLOCK


def test_of_several_rules_that_slow_down_the_slowest_is_told() -> None:
    some = [
        rule_of(f"r{seconds}", 100, on_exceed=(Action.THROTTLE,), throttle_seconds=seconds)
        for seconds in (1.0, 7.0, 2.0)
    ]
    found = said(500, claim_of(10), *some)
    assert found is not None
    assert (found.rule, found.retry_after_seconds) == ("r7.0", 7.0)


def test_each_stage_has_its_actions_and_the_limit_is_never_milder_than_the_warning() -> None:
    rule = rule_of("r", 100, on_exceed=(Action.BLOCK,), on_warn=(Action.NOTIFY, Action.THROTTLE))
    assert [decision(spent, claim_of(10), rule) for spent in (70, 71, 90, 91)] == [
        Decision.ALLOW,
        Decision.THROTTLE,
        Decision.THROTTLE,
        Decision.BLOCK,
    ]
    mild = replace(rule, on_exceed=(Action.NOTIFY,))
    assert decision(500, claim_of(10), mild) is Decision.THROTTLE


@pytest.mark.parametrize(
    ("on_warn", "on_exceed", "most"),
    [
        ((Action.BLOCK,), (Action.THROTTLE,), 80),
        ((Action.APPROVAL,), (Action.BLOCK,), 80),
        ((Action.THROTTLE,), (Action.NOTIFY,), 80),
        ((Action.THROTTLE,), (Action.BLOCK,), 100),
        ((Action.NOTIFY,), (Action.BLOCK,), 100),
    ],
)
def test_a_refusal_resets_when_nothing_refuses_any_more(
    on_warn: tuple[Action, ...], on_exceed: tuple[Action, ...], most: int
) -> None:
    """In a rolling window: when so much counts that the call fits below what refuses it."""
    rule = rule_of("r", 100, on_warn=on_warn, on_exceed=on_exceed)
    rolling = replace(rule, window=Window(WindowKind.ROLLING, 7 * DAY_NS))
    standing = Standing(HardRule(rolling), CounterKey("default", "r", "default", 0), 10, 500, 0, 100, 0)
    asked: list[int] = []
    decide([standing], None, NOON_NS, lambda _: False, lambda _, amount: asked.append(amount))
    assert asked == [most - 10]


@pytest.mark.parametrize("refusing", [Action.BLOCK, Action.APPROVAL])
def test_a_call_that_alone_is_above_what_the_warning_refuses_never_resets(refusing: Action) -> None:
    rule = rule_of("r", 100, on_warn=(refusing,))
    one_that_fits, too_large = said(75, claim_of(10), rule), said(0, claim_of(85), rule)
    assert one_that_fits is not None
    assert one_that_fits.resets_at_ns is not None
    assert too_large is not None
    assert too_large.resets_at_ns is None


@pytest.mark.parametrize("refusing", [Action.BLOCK, Action.APPROVAL])
@pytest.mark.parametrize("mild", [Action.NOTIFY, Action.THROTTLE, Action.CHEAPER_MODEL])
def test_what_the_warning_refuses_is_still_refused_above_the_limit(refusing: Action, mild: Action) -> None:
    rule = rule_of("r", 100, on_warn=(refusing,), on_exceed=(mild,), cheaper={"dear": "cheap"})
    assert decision(75, claim_of(10), rule) is Decision(refusing.value)
    assert decision(500, claim_of(10), rule) is Decision(refusing.value)


def test_calls_wait_above_the_limit_as_below_it_where_no_cheaper_model_passes() -> None:
    rule = rule_of("r", 100, on_warn=(Action.THROTTLE,), on_exceed=(Action.CHEAPER_MODEL,), cheaper={"dear": "cheap"})
    assert decision(500, claim_of(10), rule) is Decision.THROTTLE


def test_a_rule_that_blocks_and_asks_for_approval_asks_and_another_that_only_blocks_blocks() -> None:
    rule = rule_of("r", 100, on_exceed=(Action.BLOCK, Action.THROTTLE, Action.APPROVAL))
    assert decision(100, claim_of(1), rule) is Decision.APPROVAL
    assert decision(100, claim_of(1), rule, rule_of("other", 100)) is Decision.BLOCK
    assert decision(100, claim_of(1), replace(rule, on_exceed=(Action.THROTTLE, Action.BLOCK))) is Decision.BLOCK


def test_rules_that_only_tell_people_never_refuse() -> None:
    assert decision(500, claim_of(10), rule_of("r", 100, on_exceed=(Action.NOTIFY, Action.WEBHOOK))) is Decision.ALLOW


def test_the_strongest_of_several_refusals_is_told_and_the_latest_reset_of_those() -> None:
    throttle = rule_of("throttle", 0, on_exceed=(Action.THROTTLE,), kind=WindowKind.TOTAL)
    day, month = rule_of("day", 0), rule_of("month", 5, kind=WindowKind.MONTH)
    found = said(0, claim_of(5), throttle, replace(day, limit=5), month)
    assert found is not None
    assert found.decision is Decision.THROTTLE
    found = said(5, claim_of(5), throttle, replace(day, limit=5), month)
    assert found is not None
    assert (found.decision, found.rule) == (Decision.BLOCK, "month")
    assert found.resets_at_ns is not None
    assert found.resets_at_ns > NOON_NS + DAY_NS


def test_what_never_fits_has_no_reset() -> None:
    found = said(0, claim_of(11), rule_of("r", 10))
    assert found is not None
    assert found.resets_at_ns is None


@pytest.mark.parametrize(
    ("unpriced", "worst", "spent", "expected"),
    [
        (Unpriced.ALLOW, 0, 100, Decision.ALLOW),
        (Unpriced.REFUSE, 0, 0, Decision.BLOCK),
        (Unpriced.WORST_CASE, 3, 70, Decision.ALLOW),
        (Unpriced.WORST_CASE, 3, 71, Decision.BLOCK),
    ],
)
def test_a_claim_without_a_price(unpriced: Unpriced, worst: int, spent: int, expected: Decision) -> None:
    """Ten tokens at the dearest price of 3 are 30."""
    assert decision(spent, claim_of(None, 10), rule_of("r", 100, unpriced=unpriced), worst=worst) is expected


def test_a_worst_case_that_the_claim_brings_is_taken() -> None:
    rule = rule_of("r", 100, unpriced=Unpriced.WORST_CASE)
    claim = claim_of(None, 10)._replace(worst_case_pico_usd=20)
    assert [decision(spent, claim, rule, worst=3) for spent in (80, 81)] == [Decision.ALLOW, Decision.BLOCK]


def test_a_cheaper_model_is_named_where_it_passes_all_rules() -> None:
    cheaper = {"gpt-4o": "gpt-4o-mini"}
    rule = rule_of("r", 100, on_exceed=(Action.CHEAPER_MODEL, Action.BLOCK), cheaper=cheaper)
    spending = Spending((rule,))
    book = LeaseBook(spending, price=lambda claim, model: 2, steady_ns=Clocks().steady)
    book.set_rules([rule], "1")
    assert book.check(claim_of(100), NOON_NS) is None
    found = book.check(claim_of(101), NOON_NS)
    assert found is not None
    assert (found.decision, found.model) == (Decision.CHEAPER_MODEL, "gpt-4o-mini")
    spending.count(claim_of(), NOON_NS, Amounts(99, 99, 99))
    found = book.check(claim_of(101), NOON_NS)
    assert found is not None
    assert found.decision is Decision.BLOCK
    other = book.check(claim_of(101, model="o1"), NOON_NS)
    assert other is not None
    assert other.decision is Decision.BLOCK


def test_of_a_chain_of_cheaper_models_the_first_that_passes_is_named() -> None:
    """Whichever of them it is: those that do not fit are passed over. A circle ends."""
    chain = {"gpt-4o": "mini", "mini": "nano", "nano": "gpt-4o"}
    rule = rule_of("r", 100, on_exceed=(Action.CHEAPER_MODEL, Action.BLOCK), cheaper=chain)
    prices = {"mini": 40, "nano": 2}
    spending = Spending((rule,))
    book = LeaseBook(spending, price=lambda claim, model: prices.get(model), steady_ns=Clocks().steady)
    book.set_rules([rule], "1")
    named = []
    for spent in (50, 30, 19):  # 50, 80 and 99 in all
        spending.count(claim_of(), NOON_NS, Amounts(spent, spent, spent))
        found = book.check(claim_of(101), NOON_NS)
        assert found is not None
        named.append((str(found.decision), found.model))
    assert named == [("cheaper_model", "mini"), ("cheaper_model", "nano"), ("block", None)]


def test_a_throttled_process_gets_one_call_at_a_time() -> None:
    rule = rule_of("r", 0, on_exceed=(Action.THROTTLE,), throttle_seconds=2.5)
    clocks = Clocks()
    book = LeaseBook(Spending((rule,)), steady_ns=clocks.steady)
    book.set_rules([rule], "1")
    first = book.lease(claim_of(10), "p", NOON_NS)
    assert isinstance(first, Lease)
    assert [grant.amount for grant in first.grants] == [10]
    clocks.advance(1)
    again = book.lease(claim_of(10), "p", NOON_NS)
    assert isinstance(again, Refusal)
    assert (again.decision, again.retry_after_seconds) == (Decision.THROTTLE, 1.5)
    assert isinstance(book.lease(claim_of(10), "another", NOON_NS), Lease)
    clocks.advance(1.5)
    assert isinstance(book.lease(claim_of(10), "p", NOON_NS), Lease)


def test_a_throttled_process_gets_no_larger_leases_though_there_is_room_up_to_the_limit() -> None:
    rule = rule_of("r", 1_000, on_warn=(Action.THROTTLE,), warn_at_ppm=(100_000,), throttle_seconds=2.5)
    clocks, spending = Clocks(), Spending((rule,))
    spending.count(claim_of(10), NOON_NS, Amounts(105, 10, 1))
    book = LeaseBook(spending, steady_ns=clocks.steady)
    book.set_rules([rule], "1")
    for _ in range(3):
        found = book.lease(claim_of(10), "p", NOON_NS)
        assert isinstance(found, Lease)
        assert [grant.amount for grant in found.grants] == [10]
        clocks.advance(2.5)


def test_who_is_slowed_down_for_long_is_not_forgotten_meanwhile() -> None:
    rule = rule_of("r", 0, on_exceed=(Action.THROTTLE,), throttle_seconds=600.0)
    clocks = Clocks()
    book = LeaseBook(Spending((rule,)), steady_ns=clocks.steady)
    book.set_rules([rule], "1")
    found = book.lease(claim_of(10), "p", NOON_NS)
    assert isinstance(found, Lease)
    book.release(found.lease_id)
    for _ in range(3):
        clocks.advance(100)
        book.expire()
    again = book.lease(claim_of(10), "p", NOON_NS)
    assert isinstance(again, Refusal)
    assert again.retry_after_seconds == 300.0


def test_a_check_says_when_to_ask_again_as_the_rule_does_also_where_leases_are_in_the_way() -> None:
    rule = rule_of("r", 1_000, on_warn=(Action.THROTTLE,), throttle_seconds=7.0)
    book = LeaseBook(Spending((rule,)), steady_ns=Clocks().steady)
    book.set_rules([rule], "1")
    book.lease(claim_of(800), "p", NOON_NS)
    found = book.check(claim_of(10), NOON_NS)
    assert found is not None
    assert (found.decision, found.retry_after_seconds) == (Decision.THROTTLE, 7.0)


def test_a_cheaper_model_is_taken_though_another_rule_slows_calls_down() -> None:
    """First that, then this: neither refuses."""
    cheap = rule_of("c", 100, on_exceed=(Action.CHEAPER_MODEL, Action.BLOCK), cheaper={"gpt-4o": "mini"})
    cheap = replace(cheap, scope=(("model", "gpt-4o"),))
    slow = rule_of("s", 50, on_exceed=(Action.THROTTLE,))
    assert decision(500, claim_of(10), cheap, slow) is Decision.THROTTLE


def test_what_leases_depend_on() -> None:
    each = rule_of("a", 1, scope=(("customer", None),))
    run = rule_of("b", 1, scope=(("agent", "x"),), kind=WindowKind.RUN)
    assert match_on(hard_rules([each, run])) == ("agent", "customer", "run")
    assert match_on(hard_rules([replace(each, unpriced=Unpriced.REFUSE)])) == ("customer", "model", "provider")
    assert match_on(hard_rules([replace(each, on_exceed=(Action.NOTIFY,))])) == ()


NAMES = ("organization", *DIMENSIONS, "provider", "model")
VALUE = st.sampled_from(["a", "b", None])
WINDOW = st.one_of(
    st.builds(Window, st.sampled_from([kind for kind in WindowKind if kind is not WindowKind.ROLLING])),
    st.builds(Window, st.just(WindowKind.MONTH), time_zone=st.just("Pacific/Auckland"), billing_day=st.just(31)),
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), VALUE), min_size=1, max_size=3, unique_by=lambda pair: pair[0]),
    WINDOW,
    st.dictionaries(st.sampled_from([*DIMENSIONS, "provider", "model"]), st.sampled_from(["a", "b"])),
    st.sampled_from([None, "o", "a"]),
    st.lists(st.integers(NOON_NS - 400 * DAY_NS, NOON_NS + 400 * DAY_NS), min_size=1, max_size=3),
    st.sampled_from([0, NOON_NS]),
)
def test_a_claim_moves_the_counter_that_its_span_will_move(
    scope: list[tuple[str, str | None]],
    window: Window,
    values: dict[str, str],
    organization: str | None,
    times: list[int],
    from_ns: int,
) -> None:
    """The same key as counting gives, at any time, in any order of times."""
    rule = Rule("r", tuple(scope), 1, Unit.USD, window, organization=organization, from_ns=from_ns)
    hard = HardRule(rule)
    owners = {name: value for name, value in values.items() if name in DIMENSIONS}
    claim = Claim("o", owners, values.get("provider"), values.get("model"), 1, 1)
    for at_ns in times:
        assert hard.key(claim, at_ns) == key_of(rule, "o", values, at_ns)
