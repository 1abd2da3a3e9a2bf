"""A refused app, a person in a browser, and the app again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, expect

import otel_cost
from otel_cost.guard import gate
from tests.browser.chromium import grave_issues, opened
from tests.support.collector_process import CollectorProcess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
HOSTILE = "<img src=x onerror=\"document.title='run'\">"
RULES = """
  budget:
    rules:
      - {name: each, scope: customer, limit: "1 USD/day", on_exceed: [approval], max_raise: 20 USD}
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector with a budget that asks, and this process under its guard."""
    with CollectorProcess(tmp_path, processors=RULES, has_api=True) as collector:
        gate.switch_on(collector.api_url)
        yield collector
        gate.switch_off()


Refusal = otel_cost.ApprovalRequired | otel_cost.BudgetExceeded


def call(customer: str, usd: str = "3") -> Refusal | None:
    """A call of somebody; why it may not be made. On a thread: playwright runs a loop on this one."""
    refusals: list[Refusal | None] = []

    def make() -> None:
        try:
            with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd=usd, customer=customer) as made:
                made.settle(cost_usd="0")
            refusals.append(None)
        except (otel_cost.ApprovalRequired, otel_cost.BudgetExceeded) as refused:
            refusals.append(refused)

    thread = Thread(target=make)
    thread.start()
    thread.join()
    return refusals[0]


def ticket_of(refused: Refusal | None) -> str:
    """Of a call that needs approval."""
    assert isinstance(refused, otel_cost.ApprovalRequired)
    return str(refused.ticket)


def test_a_person_approves_one_request_and_denies_another_in_the_browser(
    browser: Browser, guarded: CollectorProcess
) -> None:
    """The approved app may call at once, and no more than was raised; the denied one may not. Names stay text."""
    tickets = [ticket_of(call("acme")), ticket_of(call(HOSTILE))]
    with opened(browser, guarded.api_url, refused="400") as page:
        page.goto("/approvals")
        requests = page.locator("#open > li")
        expect(requests).to_have_count(2)
        assert grave_issues(page) == []
        acme, hostile = (requests.filter(has_text=f"customer {name}") for name in ("acme", HOSTILE))
        acme.get_by_label("Raise by (USD)").fill("999")
        acme.get_by_label("Your name").fill("Jane")
        acme.get_by_role("button", name="Approve").click()
        expect(acme.get_by_role("alert")).to_contain_text("bound of the rule")
        acme.get_by_label("Raise by (USD)").fill("5")
        acme.get_by_role("button", name="Approve").click()
        expect(requests).to_have_count(1)
        hostile.get_by_role("button", name="Deny").click()
        expect(requests).to_have_count(0)
        expect(page.locator("#decided")).to_contain_text("each, customer acme: approved")
        assert page.title() == "Approvals - otel-cost"
    assert call("acme") is None
    assert ticket_of(call("acme", "6.5")) != tickets[0]
    denied = call(HOSTILE)
    assert isinstance(denied, otel_cost.BudgetExceeded)
    assert denied.ticket == tickets[1]
    states = {found["ticket"]: found["state"] for found in guarded.asked("approvals?state=all")["approvals"]}
    assert (states[tickets[0]], states[tickets[1]]) == ("approved", "denied")


def test_a_budget_that_has_counted_no_call_is_a_budget(browser: Browser, guarded: CollectorProcess) -> None:
    """Somebody may ask for more of it all the same."""
    with opened(browser, guarded.api_url) as page:
        page.goto("/?view=budgets")
        expect(page.locator("[data-key=gauges]")).to_contain_text("1 budget; none has counted a call yet.")
        expect(page.get_by_text("There are no budgets")).to_have_count(0)
