"""`otel_cost.guard(...)`: blocks, functions and coroutines that budgets decide on."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

import otel_cost
from otel_cost import attributes as k
from otel_cost.errors import MoneyError
from otel_cost.guard import gate
from tests.otel_cost.guard.budget_server import Budget
from tests.otel_cost.guard.guarding import guard_on, guarded_app
from tests.otel_cost.instrument.observing import answer, chat


def test_a_block_is_decided_on_and_settled_by_what_the_app_says() -> None:
    budget = Budget(limit_usd="0.10")
    with guard_on(budget):
        with otel_cost.guard(model="m", provider="p", estimate_usd="0.05", customer="acme") as guarded:
            assert guarded.model == "m"
            assert guarded.attributes == {k.OTEL_COST_LEASE: "L1/0", k.OTEL_COST_CUSTOMER: "acme"}
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
        with pytest.raises(asyncio.CancelledError), otel_cost.guard(estimate_usd="0.05"):
            raise asyncio.CancelledError  # the provider may have answered: the cost is not known
    assert [call["usd"] for call in budget.calls()] == [None, "0", None]
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
        assert k.OTEL_COST_CUSTOMER not in app.only()
        cost = app.only()[k.OTEL_COST_COST_USD]
    assert len(budget.claims()) == 1
    assert [call["usd"] for call in budget.calls()] == [cost]


def test_a_call_inside_a_block_is_its_customers_who_else_no_budget_would_count_it_for() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, answer()) as app, otel_cost.tags(customer="other", user="jane"):
        with otel_cost.guard(estimate_usd="0.05", customer="acme", team="search"):
            chat(app.client())
        said = app.only()
    assert budget.claims()[0]["owners"] == {"customer": "acme", "team": "search", "user": "jane"}
    named = [said[key] for key in (k.OTEL_COST_CUSTOMER, k.OTEL_COST_TEAM, k.OTEL_COST_USER)]
    assert named == ["acme", "search", "jane"]


def _under_way() -> int:
    """Calls that the guard takes for being under way."""
    on = gate.gate()
    assert on is not None
    return sum(len(held.in_flight) for held in on.leases._all.values())


def test_a_block_in_a_generator_ends_whichever_context_continues_it() -> None:
    """Web frameworks take each step of a generator in a copy of the context, on some thread."""
    budget = Budget(limit_usd="1")

    def steps(cost_usd: str | None) -> Generator[int, None, None]:
        with otel_cost.guard(estimate_usd="0.05") as guarded:
            yield 1
            if cost_usd is not None:
                guarded.settle(cost_usd=cost_usd)

    with guard_on(budget):
        for each in (steps("0.01"), steps(None)):
            assert contextvars.copy_context().run(next, each) == 1
            assert _under_way() == 1
            assert contextvars.copy_context().run(next, each, None) is None
            assert _under_way() == 0
        abandoned = steps("0.01")
        contextvars.copy_context().run(next, abandoned)
        abandoned.close()
        assert _under_way() == 0
    assert [call["usd"] for call in budget.calls()] == ["0.01", None, None]


def test_a_block_of_an_async_generator_ends_in_whichever_task_closes_it() -> None:
    """Also in one that was made inside of it, whose context cannot reset the generator's."""
    budget = Budget(limit_usd="1")

    async def steps() -> AsyncIterator[int]:
        async with otel_cost.guard(estimate_usd="0.05"):
            yield 1
            yield 2

    async def run() -> None:
        elsewhere, here = aiter(steps()), aiter(steps())
        for each in (asyncio.create_task(_first(elsewhere)), _first(here)):
            assert await each == 1
        for started in (elsewhere, here):
            await asyncio.create_task(_close(started))
        assert _under_way() == 0

    with guard_on(budget):
        asyncio.run(run())
    assert len(budget.calls()) == 2


def test_a_replacement_is_claimed_at_its_own_price() -> None:
    budget = Budget(limit_usd="1")

    def cheaper(claim: dict[str, Any]) -> dict[str, Any] | None:
        refusal = budget.refusal("cheaper_model", model="gpt-4o-mini")
        return {"decision": "cheaper_model", "refusal": refusal} if claim["model"] == "gpt-4o" else None

    budget.answer = cheaper
    with (
        guard_on(budget),
        otel_cost.guard(model="gpt-4o", provider="openai", input_tokens=1_000_000, output_tokens=0) as guarded,
    ):
        assert guarded.model == "gpt-4o-mini"
    assert [claim["estimate"]["usd"] for claim in budget.claims()] == ["2.5", "0.15"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("models", "asked"),
    [(["a", "b", "a"], ["a", "b"]), ([f"m{number}" for number in range(40)], [f"m{number}" for number in range(17)])],
    ids=["a circle", "a long chain"],
)
def test_replacements_without_end_end_in_a_refusal(models: list[str], asked: list[str]) -> None:
    """None is asked with twice, and at most sixteen others."""
    following = dict(pairwise(models))
    budget = Budget(limit_usd="1")

    def other(claim: dict[str, Any]) -> dict[str, Any]:
        refusal = budget.refusal("cheaper_model", model=following[claim["model"]])
        return {"decision": "cheaper_model", "refusal": refusal}

    budget.answer = other
    with guard_on(budget), pytest.raises(otel_cost.BudgetExceeded):
        otel_cost.guard(model=models[0], provider="openai", estimate_usd="0.05").__enter__()
    assert [claim["model"] for claim in budget.claims()] == asked
    budget.answer = lambda _: None
    gc.collect()  # the refusal holds on to the connection that it came by


def test_a_task_that_is_cancelled_while_it_asks_holds_nothing() -> None:
    budget, is_asked, may_answer = Budget(limit_usd="1"), threading.Event(), threading.Event()

    def slowly(_: object) -> None:
        is_asked.set()
        may_answer.wait(5)

    budget.answer = slowly

    async def run() -> None:
        entering = asyncio.create_task(otel_cost.guard(estimate_usd="0.05").__aenter__())
        await asyncio.to_thread(is_asked.wait, 5)
        entering.cancel()
        await asyncio.wait([entering])
        assert entering.cancelled()
        may_answer.set()
        ends_at = time.monotonic() + 5
        while not budget.calls():
            assert time.monotonic() < ends_at, "it is under way for ever"
            await asyncio.sleep(0.01)

    with guard_on(budget):
        asyncio.run(run())
    assert [(call["usd"], call["calls"]) for call in budget.calls()] == [("0", 0)]


async def _first(steps: AsyncIterator[int]) -> int:
    return await anext(steps)


async def _close(steps: Any) -> None:
    await steps.aclose()


def test_blocks_that_are_left_in_another_order_than_entered_are_each_settled_by_what_they_say() -> None:
    budget = Budget(limit_usd="1")

    def steps() -> Iterator[int]:
        with otel_cost.guard(estimate_usd="0.05") as guarded:
            yield 1
            guarded.settle(cost_usd="0.01")

    with guard_on(budget):
        generator = steps()
        next(generator)
        with otel_cost.guard(estimate_usd="0.07") as guarded:
            assert list(generator) == []
            assert gate.AROUND.get() is guarded
            guarded.settle(cost_usd="0.02")
        assert gate.AROUND.get() is None
    assert [call["usd"] for call in budget.calls()] == ["0.01", "0.02"]


def test_one_guard_may_be_entered_by_many_threads_and_tasks_at_once() -> None:
    budget = Budget(limit_usd="9", calls_per_lease=100)
    guard = otel_cost.guard(estimate_usd="0.05")

    async def call(number: int) -> None:
        async with guard as guarded:
            await asyncio.sleep(0.001 * (number % 3))
            guarded.settle(cost_usd=f"0.0{number}")

    async def run() -> None:
        await asyncio.gather(*(call(number) for number in range(1, 10)))

    with guard_on(budget):
        threads = [threading.Thread(target=asyncio.run, args=(run(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert _under_way() == 0
    assert sorted(call["usd"] for call in budget.calls()) == sorted(3 * [f"0.0{number}" for number in range(1, 10)])


def test_without_a_collector_everything_is_let_through() -> None:
    with otel_cost.guard(estimate_usd="5", team="search") as guarded:
        guarded.settle(cost_usd="6")
    assert guarded.attributes == {k.OTEL_COST_TEAM: "search"}


def test_wrong_arguments_are_told_at_once() -> None:
    with pytest.raises(TypeError, match="custmer"):
        otel_cost.guard(custmer="acme")
    with pytest.raises(MoneyError):
        otel_cost.guard(estimate_usd=0.05)  # type: ignore[arg-type]
