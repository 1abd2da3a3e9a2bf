"""`otel_cost.guard(...)`: blocks, functions and coroutines that budgets decide on."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from decimal import Decimal

import pytest

import otel_cost
from otel_cost import attributes as k
from otel_cost.errors import MoneyError
from tests.otel_cost.guard.budget_server import Budget
from tests.otel_cost.guard.guarding import guard_on, guarded_app
from tests.otel_cost.instrument.observing import answer, chat


def test_a_block_is_decided_on_and_settled_by_what_the_app_says() -> None:
    budget = Budget(limit_usd="0.10")
    with guard_on(budget):
        with otel_cost.guard(model="m", provider="p", estimate_usd="0.05", customer="acme") as guarded:
            assert guarded.model == "m"
            assert guarded.attributes == {k.OTEL_COST_LEASE: "L1/0"}
            guarded.settle(cost_usd=Decimal("0.04"), tokens=7)
            guarded.settle(cost_usd="0.09")
        with pytest.raises(otel_cost.BudgetExceeded), otel_cost.guard(estimate_usd="0.07", customer="acme"):
            pytest.fail("it was let through")
    assert [(call["usd"], call["tokens"]) for call in budget.calls()] == [("0.04", 7)]
    assert budget.claims()[0]["owners"] == {"customer": "acme"}


def test_a_block_that_says_nothing_costs_its_estimate_and_one_that_fails_nothing() -> None:
    budget = Budget(limit_usd="1")
    with guard_on(budget):
        with otel_cost.guard(estimate_usd="0.05"):
            pass
        with pytest.raises(KeyError), otel_cost.guard(estimate_usd="0.05"):
            raise KeyError
    assert [call["usd"] for call in budget.calls()] == [None, "0"]
    assert budget.calls()[1]["calls"] == 0


def test_the_estimate_is_priced_by_the_card_where_none_is_given() -> None:
    budget = Budget(limit_usd="1")
    with guard_on(budget), otel_cost.guard(model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=1000):
        pass
    assert budget.claims()[0]["estimate"] == {"usd": "0.0125", "tokens": 2000, "calls": 1}


def test_a_claim_is_made_anew_with_the_attributes_that_budgets_count_by() -> None:
    """The first claim cannot know them; its lease is given back, and later claims say them at once."""
    budget = Budget(limit_usd="1", match_on=("attribute.plan", "attribute.zone"))
    with guard_on(budget):
        for _ in range(2):
            with otel_cost.guard(estimate_usd="0.01", attributes={"plan": "free"}) as guarded:
                assert guarded.attributes["plan"] == "free"
        with otel_cost.guard(estimate_usd="0.01", attributes={"plan": "paid"}), otel_cost.tags(zone="b"):
            pass
        with otel_cost.tags(zone="b"), otel_cost.guard(estimate_usd="0.01", attributes={"plan": "paid"}):
            pass
    assert [claim.get("attributes") for claim in budget.claims()] == [
        None,
        {"plan": "free", "zone": None},
        {"plan": "paid", "zone": None},
        {"plan": "paid", "zone": "b"},
    ]
    assert {f"L{number + 1}" for number, (what, _) in enumerate(budget.asked) if what == "lease"} <= budget.released
    assert len(budget.calls()) == 4


def test_functions_and_coroutines_are_decorated_and_generators_are_not() -> None:
    budget = Budget(limit_usd="0.10")
    guard = otel_cost.guard(estimate_usd="0.04")

    @guard
    def plain(value: int) -> int:
        return value + 1

    @guard
    async def coroutine(value: int) -> int:
        return value + 2

    def generator() -> Iterator[int]:
        yield 1

    with guard_on(budget):
        assert plain(1) == 2
        assert inspect.iscoroutinefunction(coroutine)
        assert asyncio.run(coroutine(1)) == 3
        with pytest.raises(otel_cost.BudgetExceeded):
            asyncio.run(coroutine(1))
    with pytest.raises(TypeError, match="generator"):
        guard(generator)


def test_a_call_inside_a_block_is_not_decided_on_again_and_settles_it() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, answer()) as app, otel_cost.guard(estimate_usd="0.05"):
        chat(app.client())
        assert app.only()[k.OTEL_COST_LEASE] == "L1/0"
        cost = app.only()[k.OTEL_COST_COST_USD]
    assert len(budget.claims()) == 1
    assert [call["usd"] for call in budget.calls()] == [cost]


def test_without_a_collector_everything_is_let_through() -> None:
    with otel_cost.guard(estimate_usd="5", team="search") as guarded:
        guarded.settle(cost_usd="6")
    assert guarded.attributes == {}


def test_wrong_arguments_are_told_at_once() -> None:
    with pytest.raises(TypeError, match="custmer"):
        otel_cost.guard(custmer="acme")
    with pytest.raises(MoneyError):
        otel_cost.guard(estimate_usd=0.05)  # type: ignore[arg-type]
