"""What calls under a lease tell: the reservation before, the cost after, once for all attempts, for whom."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

import otel_cost
from otel_cost import attributes as k
from otel_cost.guard import gate, held, owners
from otel_cost.instrument import stats
from otel_cost.pricing.money import pico_usd
from tests.otel_cost.guard.budget_server import Budget
from tests.otel_cost.guard.guarding import guard_on, guarded_app
from tests.otel_cost.instrument.observing import MESSAGES, MODEL, USAGE, Observed, answer, chat, events, refusal
from tests.otel_cost.instrument.scripted_server import Script


def _spans_cost(app: Observed) -> int:
    return sum(pico_usd(str((span.attributes or {})[k.OTEL_COST_COST_USD])) for span in app.spans())


def test_what_is_settled_is_what_the_spans_cost_and_each_names_its_call() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, answer()) as app:
        client = app.client()
        for _ in range(5):
            chat(client, max_tokens=100)
        leases = [(span.attributes or {})[k.OTEL_COST_LEASE] for span in app.spans()]
        cost = _spans_cost(app)
        gate.switch_off()
        assert budget.spent_pico_usd == cost
    assert len(set(leases)) == 5
    told = {f"{lease}/{number}" for lease, calls in budget.settled.items() for number in calls}
    assert told == set(leases)
    assert set(budget.leases.values()) == {0}


def test_an_end_waits_for_what_is_being_told() -> None:
    """The server takes its time for the first settlement, unless it hears of the end before that is over."""
    is_told, is_released = threading.Event(), threading.Event()
    heard: list[str] = []

    class Slow(Budget):
        def respond(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
            if what == "settle" and not is_told.is_set():
                is_told.set()
                is_released.wait(0.5)
            elif what == "release":
                is_released.set()
            heard.append(what)
            return super().respond(what, body)

    budget = Slow(limit_usd="1")
    with guarded_app(budget, answer()) as app:
        chat(app.client(), max_tokens=100)
        cost = _spans_cost(app)
        assert is_told.wait(60)
        gate.switch_off()
        assert (heard, budget.spent_pico_usd) == (["lease", "settle", "release"], cost)


def test_a_stream_and_an_async_call_are_settled_too() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, Script(events("Hello", usage=USAGE)), answer()) as app:
        assert list(chat(app.client(), stream=True))

        async def call() -> None:
            async with app.async_client() as client:
                await client.chat.completions.create(model=MODEL, messages=MESSAGES)

        asyncio.run(call())
        cost = _spans_cost(app)
    assert budget.spent_pico_usd == cost
    assert len(budget.calls()) == 2


def test_attempts_of_one_call_have_one_reservation() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, refusal(429), refusal(429), answer()) as app:
        chat(app.client(max_retries=3))
        assert len(app.server.bodies) == 3
        assert app.only()[k.OTEL_COST_LEASE] == "L1/0"
    assert len(budget.claims()) == 1
    assert [call["tokens"] for call in budget.calls()] == [120]


def test_a_call_that_failed_gives_its_reservation_back() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, refusal(400)) as app, pytest.raises(Exception, match="400"):
        chat(app.client(max_retries=0))
    assert [(call["usd"], call["calls"]) for call in budget.calls()] == [("0", 0)]


def test_without_a_hard_budget_nothing_is_counted_and_asked_once() -> None:
    budget = Budget(limit_usd=None)
    with guarded_app(budget, answer()) as app:
        for _ in range(3):
            chat(app.client())
        assert all(k.OTEL_COST_LEASE not in (span.attributes or {}) for span in app.spans())
    assert [what for what, _ in budget.asked] == ["lease"]


def test_a_call_outside_any_run_has_its_trace_for_one() -> None:
    """As the ledger has it: else no budget of a run would be asked about it."""
    budget = Budget(limit_usd="1", match_on=("run",))
    with guarded_app(budget, answer()) as app:
        client, tracer = app.client(), app.recorder.provider.get_tracer("app")
        for _ in range(2):
            with tracer.start_as_current_span("request"):
                chat(client)
                chat(client)
                with otel_cost.run("nightly"):
                    chat(client)
        traces = [trace.format_trace_id(span.context.trace_id) for span in app.spans()]
    assert [claim["owners"].get("run") for claim in budget.claims()] == [traces[0], "nightly", traces[-1]]


def test_a_lease_is_for_calls_with_the_same_values() -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, answer()) as app:
        client = app.client()
        for customer in ("acme", "acme", "other"):
            with otel_cost.tags(customer=customer):
                chat(client)
    assert [claim["owners"].get("customer") for claim in budget.claims()] == ["acme", "other"]


def test_owners_come_from_baggage_spans_and_the_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(limit_usd="1")
    with guarded_app(budget, answer()) as app:
        tracer = app.recorder.provider.get_tracer("app")
        with otel_cost.agent("triage"), tracer.start_as_current_span("work") as span:
            span.set_attribute("user.id", "u1")
            with otel_cost.tags(customer="acme"):
                chat(app.client())
    assert budget.claims()[0]["owners"].items() >= {"agent": "triage", "user": "u1", "customer": "acme"}.items()
    provider = TracerProvider(resource=Resource({"otel_cost.team": "search", "customer.id": "c"}))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    with otel_cost.tags(customer="acme"):
        assert owners.owners_of(otel_context.get_current()) == {"team": "search", "customer": "acme"}
    found = owners.attributes_of(otel_context.get_current(), ["attribute.customer.id", "attribute.other"])
    assert found == ({"attribute.customer.id": "c", "attribute.other": None}, {}), "spans need not repeat the resource"
    provider.shutdown()


def test_threads_never_spend_more_than_the_budget_has() -> None:
    budget = Budget(limit_usd="0.01")
    with guarded_app(budget, answer()) as app:
        made, refused = [], []

        def work() -> None:
            for _ in range(10):
                try:
                    made.append(chat(app.client(max_retries=0), max_tokens=40))
                except otel_cost.BudgetExceeded as error:
                    refused.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) + len(refused) == 80
    assert budget.spent_pico_usd <= pico_usd("0.01")
    assert made
    assert refused


def test_leases_that_are_done_with_are_not_in_the_way_of_the_next_call() -> None:
    """Near a limit each is for one call: what the last one did not need is given back with the next question."""
    budget = Budget(limit_usd="0.10", calls_per_lease=1)
    with guard_on(budget):
        for _ in range(3):
            with otel_cost.guard(estimate_usd="0.08", customer="acme") as guarded:
                guarded.settle(cost_usd="0.01")
        guard = otel_cost.guard(estimate_usd="0.04", customer="acme")
        with guard, pytest.raises(otel_cost.BudgetExceeded), guard:  # what is under way stays
            pass
    assert budget.spent_pico_usd == pico_usd("0.07")
    assert set(budget.leases.values()) == {0}


@pytest.mark.parametrize("change", [{"expires_in_seconds": 0.0}, {"revision": "2"}])
def test_what_is_heard_when_a_call_is_settled_ends_leases(change: dict[str, Any]) -> None:
    """Others have used the budget up, or its rule is another: the next call asks."""
    budget = Budget(limit_usd="1")
    with guard_on(budget):
        on = gate.gate()
        assert on is not None
        for _ in range(2):
            _spend()
        assert len(budget.claims()) == 1
        for name, value in change.items():
            setattr(budget, name, value)
        on.leases.tell()
        _spend()
    assert len(budget.claims()) == 2


def _spend() -> None:
    with otel_cost.guard(estimate_usd="0.01", customer="acme") as guarded:
        guarded.settle(cost_usd="0.01")


def test_a_lease_that_nothing_is_taken_from_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(limit_usd="1")
    monkeypatch.setattr(held, "IDLE_SECONDS", 0.0)
    with guard_on(budget):
        on = gate.gate()
        assert on is not None
        _spend()
        for _ in range(2):
            on.leases.tell()
        assert set(budget.leases.values()) == {0}
        assert budget.released


def test_a_lease_that_runs_low_is_renewed_before_a_call_has_to_wait() -> None:
    budget = Budget(limit_usd="1", calls_per_lease=4)
    with guard_on(budget):
        on = gate.gate()
        assert on is not None
        for _ in range(4):
            with otel_cost.guard(estimate_usd="0.01", customer="acme") as guarded:
                guarded.settle()
        on.leases.tell()
        assert len(budget.claims()) == 2
        with otel_cost.guard(estimate_usd="0.01", customer="acme"):
            assert len(budget.claims()) == 2


def test_a_lease_is_kept_alive_while_its_call_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(limit_usd="1")
    monkeypatch.setattr(held, "KEEP_SECONDS", 0.0)
    with guard_on(budget), otel_cost.guard(estimate_usd="0.01", customer="acme"):
        on = gate.gate()
        assert on is not None
        for _ in range(3):
            on.leases.tell()
        kept = [body for what, body in list(budget.asked) if what == "settle"]
        assert [body["calls"] for body in kept[:3]] == [[], [], []]


def test_a_closed_rule_refuses_and_an_open_one_lets_through_when_nobody_answers() -> None:
    for unreachable in ("open", "closed"):
        budget = Budget(limit_usd="1", unreachable=unreachable, expires_in_seconds=0.05)
        with guarded_app(budget, answer()) as app:
            chat(app.client())
            budget.status = 503
            before = stats().get("guard.unreachable", 0)
            on = gate.gate()
            assert on is not None
            on.leases._usable.clear()
            if unreachable == "closed":
                with pytest.raises(otel_cost.BudgetExceeded, match="nobody answers"):
                    chat(app.client(max_retries=0))
            else:
                chat(app.client())
                assert stats()["guard.unreachable"] == before + 1
                assert on.leases._client.is_paused


def test_a_model_that_costs_nothing_is_called_without_an_answer_if_only_budgets_of_money_are_closed() -> None:
    rules = (
        {"rule": "money", "unit": "USD", "calls": {"customer": None}},
        {"rule": "calls", "unit": "calls", "calls": {"customer": "some"}},
    )
    budget = Budget(limit_usd="1", unreachable="closed", closed=rules)
    with guard_on(budget):
        for customer in ("acme", "some"):
            with otel_cost.guard(estimate_usd="0.01", customer=customer):
                pass
        budget.status = 503
        on = gate.gate()
        assert on is not None
        on.leases._usable.clear()
        for customer in ("acme", "new"):
            with otel_cost.guard(estimate_usd="0", customer=customer):
                pass
            with pytest.raises(otel_cost.BudgetExceeded), otel_cost.guard(estimate_usd="0.01", customer=customer):
                pass
        with pytest.raises(otel_cost.BudgetExceeded) as refused, otel_cost.guard(estimate_usd="0", customer="some"):
            pass
        assert refused.value.rule == "calls"


@pytest.mark.parametrize("status", [503, 401])
def test_a_closed_rule_holds_for_calls_that_nobody_has_asked_for_yet(status: int) -> None:
    """A customer that comes while the collector is away, or does not take the guard's token any more."""
    rules = ({"rule": "each", "calls": {"customer": None}}, {"rule": "search", "calls": {"team": "search"}})
    budget = Budget(limit_usd="1", match_on=("customer", "team"), closed=rules)
    with guarded_app(budget, answer()) as app:
        chat(app.client())
        budget.status = status
        client = app.client(max_retries=0)
        for owners, rule in (({"customer": "new"}, "each"), ({"team": "search"}, "search")):
            with otel_cost.tags(**owners), pytest.raises(otel_cost.BudgetExceeded) as refused:
                chat(client)
            assert refused.value.rule == rule
        with otel_cost.tags(team="other"):
            chat(client)
