"""Approvals by the API and what guards do without a collector, from end to end: a collector process, guards here."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import otel_cost
from otel_cost.guard import gate
from otel_cost.instrument import stats
from tests.crash.sender import HttpTransport
from tests.support.calls import call_request
from tests.support.collector_process import CollectorProcess

DOLLAR_TOKENS = 400_000
"""Input tokens of gpt-4o that cost a dollar."""
ASKING = "limit: 10 USD/total, on_exceed: [approval], ask_again: 1h"
RULES = f"""
  budget:
    rules:
      - {{name: approved, scope: {{customer: approved}}, {ASKING}}}
      - {{name: denied, scope: {{customer: denied}}, {ASKING}}}
      - {{name: briefly, scope: {{customer: briefly}}, {ASKING}}}
      - {{name: open, scope: {{customer: open}}, limit: 1 USD/total, on_exceed: [block]}}
      - {{name: closed, scope: {{customer: closed}}, limit: 99 USD/total, on_exceed: [block], when_unreachable: closed}}
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    with CollectorProcess(tmp_path, processors=RULES, has_api=True) as running:
        gate.switch_on(running.api_url)
        try:
            yield running
        finally:
            gate.switch_off()


def call(customer: str, usd: str = "2") -> None:
    """A call that may be made and costs nothing in the end. Raises what the guard raises."""
    with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd=usd, customer=customer) as guarded:
        guarded.settle(cost_usd="0")


def spent(collector: CollectorProcess, customer: str, usd: int) -> None:
    """Somebody spends it now; returns when the budgets know."""
    otlp = HttpTransport(collector.http_port)
    now_ns = int(datetime.now(UTC).timestamp()) * 10**9
    assert otlp.send(call_request(customer, customer, usd * DOLLAR_TOKENS, now_ns)) == ""
    otlp.close()
    ends_at = time.monotonic() + 20
    while [each["spent"] for each in collector.asked(f"budgets/{customer}")["counters"]] != [f"{usd}"]:
        assert time.monotonic() < ends_at, "the budget never knew"
        time.sleep(0.02)


def asked_for(customer: str) -> str:
    """The ticket of a call that needs approval."""
    with pytest.raises(otel_cost.ApprovalRequired) as raised:
        call(customer)
    return str(raised.value.ticket)


def decided(collector: CollectorProcess, ticket: str, verb: str, **body: str) -> tuple[int, Any]:
    """Status and answer of `POST /api/v1/approvals/{ticket}/{verb}`."""
    request = urllib.request.Request(
        f"{collector.api_url}/api/v1/approvals/{ticket}/{verb}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as said:
            return said.status, json.load(said)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_raise_by_the_api_lets_as_much_through_as_it_says_and_a_denial_nothing(collector: CollectorProcess) -> None:
    for customer in ("approved", "denied"):
        spent(collector, customer, 9)
    ticket, other = asked_for("approved"), asked_for("denied")

    assert decided(collector, ticket, "approve", raise_="5")[0] == 400  # `raise` is a word of Python's
    assert decided(collector, ticket, "approve", **{"raise": "5", "by": "jane"})[0] == 200
    call("approved", "5.5")  # 9 of 15 are spent
    assert asked_for_more("approved", "6.5") != ticket
    assert decided(collector, ticket, "deny")[0] == 409

    assert decided(collector, other, "deny", by="jane", note="no")[0] == 200
    with pytest.raises(otel_cost.BudgetExceeded, match=f"{other} was denied"):
        call("denied")
    audit = collector.asked("budgets/audit")["audit"]
    assert [row["action"] for row in audit if row["subject"] == other] == ["approval denied", "approval requested"]
    assert {row["actor"] for row in audit if row["subject"] == other} >= {"jane"}


def asked_for_more(customer: str, usd: str) -> str:
    """The ticket of a call that a raise has no room for."""
    with pytest.raises(otel_cost.ApprovalRequired) as raised:
        call(customer, usd)
    return str(raised.value.ticket)


def test_without_a_collector_open_rules_let_calls_through_and_closed_rules_do_not(collector: CollectorProcess) -> None:
    """Also what an open rule would refuse; once the collector is there again, both decide as before it was gone."""
    spent(collector, "open", 2)
    with pytest.raises(otel_cost.BudgetExceeded):
        call("open")
    call("closed")
    collector.kill()
    gate.switch_off()  # leases that are held would be spent first
    gate.switch_on(collector.api_url)
    before = stats().get("guard.unreachable", 0)
    call("open")
    assert stats()["guard.unreachable"] > before

    collector.spawn()
    collector.wait_until_ready()
    heard(collector)
    with pytest.raises(otel_cost.BudgetExceeded):
        call("open")
    call("closed", "0.01")
    collector.kill()
    with pytest.raises(otel_cost.BudgetExceeded, match="closed"):
        call("closed", "50")
    collector.spawn()
    collector.wait_until_ready()


def heard(collector: CollectorProcess) -> None:
    """Returns when the guard asks the collector again, which it does not at once after a failure."""
    ends_at = time.monotonic() + 20
    while True:
        try:
            call("open")
        except otel_cost.BudgetExceeded:
            return
        assert time.monotonic() < ends_at, f"the guard never asked again:\n{collector.log}"
        time.sleep(0.05)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_raise_ends_by_itself_and_can_be_asked_for_again(collector: CollectorProcess) -> None:
    spent(collector, "briefly", 9)
    ticket = asked_for("briefly")
    assert decided(collector, ticket, "approve", **{"raise": "5", "expires_in": "1m"})[0] == 200
    ends_at = time.monotonic() + 60
    again = None
    while again is None:
        again = ticket_of("briefly")
        assert time.monotonic() < ends_at + 30, "the raise never ended"
        time.sleep(0.2)
    assert time.monotonic() > ends_at - 1
    assert again != ticket


def ticket_of(customer: str) -> str | None:
    """None if the call is made."""
    try:
        call(customer)
    except otel_cost.ApprovalRequired as refused:
        return str(refused.ticket)
    return None
