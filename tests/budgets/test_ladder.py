"""Every action of a budget from end to end: a collector process, spans over OTLP, real receivers, guards here."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

import otel_cost
from otel_cost.guard import gate
from otel_cost.instrument import stats
from tests.crash.sender import HttpTransport
from tests.support.calls import call_request
from tests.support.collector_process import CollectorProcess
from tests.support.http_receiver import HttpReceiver
from tests.support.smtp_receiver import SmtpReceiver

SECRET = "not-so-very-secret"
TELLING = ("notify", "webhook", "slack", "email")
UNPRICED = ("allow", "worst_case", "refuse")
LIMIT_USD, WARN_USD = 10, 5
FREE_MODEL = "meta-llama/llama-3.3-70b-instruct:free"
DOLLAR_TOKENS = 400_000
"""Input tokens of gpt-4o that cost a dollar."""
YESTERDAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


class Site(NamedTuple):
    """Everything that takes part. Customers are named by the action that their rule has."""

    collector: CollectorProcess
    otlp: HttpTransport
    webhook: HttpReceiver
    slack: HttpReceiver
    mail: SmtpReceiver

    def spend(self, customer: str, usd: int, at: datetime, number: int) -> None:
        """A call of somebody that cost so much, `number` telling it from his others."""
        request = call_request(f"{customer}-{number}", customer, usd * DOLLAR_TOKENS, int(at.timestamp()) * 10**9)
        assert self.otlp.send(request) == ""

    def spent(self, customer: str, usd: int) -> None:
        """Spend it now; returns when the budgets know."""
        self.spend(customer, usd, datetime.now(UTC), 0)
        eventually(lambda: [c["spent"] for c in self.counters(customer)] == [f"{usd}"])

    def counters(self, rule: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.collector.asked(f"budgets/{rule}")["counters"]
        return found

    def events(self, rule: str) -> list[tuple[str, str]]:
        """Kinds and windows of a rule's events, the oldest first."""
        found = [each for each in self.collector.asked("budgets/events")["events"] if each["rule"] == rule]
        return [(each["kind"], each["id"]) for each in reversed(found)]


def _rules() -> str:
    telling = (_rule(each, "day", f"on_warn: [{each}], on_exceed: [{each}]") for each in TELLING)
    total = {
        "block": "on_exceed: [block]",
        "approval": "on_exceed: [approval, webhook]",
        "cheaper_model": "on_warn: [cheaper_model], on_exceed: [block], cheaper: {gpt-4o-2024-08-06: gpt-4o-mini}",
        "throttle": "on_warn: [throttle], on_exceed: [block], throttle: 200ms",
    }
    deciding = (_rule(each, "total", actions) for each, actions in total.items())
    unpriced = (_rule(each, "total", f"unpriced: {each}, on_exceed: [block]") for each in UNPRICED)
    nothing = "{name: nothing, scope: {customer: nothing}, limit: 0 USD/total, on_exceed: [block]}"
    chain = "on_warn: [cheaper_model], cheaper: {gpt-4o: gpt-4o-mini, gpt-4o-mini: gpt-4.1-nano}"
    no_mini = "{name: no-mini, scope: {customer: chain, model: gpt-4o-mini}, limit: 0 USD/total, on_exceed: [block]}"
    return "[" + ", ".join((*telling, *deciding, *unpriced, nothing, _rule("chain", "total", chain), no_mini)) + "]"


def _rule(action: str, window: str, more: str) -> str:
    """Named by the action, for the customer of that name."""
    limit = f"limit: {LIMIT_USD} USD/{window}, warn_at: 50%"
    return f"{{name: {action}, scope: {{customer: {action}}}, {limit}, {more}}}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with HttpReceiver() as webhook, HttpReceiver() as slack, SmtpReceiver() as mail:
        config = f"""
  budget:
    channels:
      webhook: {{url: "{webhook.url}", secret: "{SECRET}"}}
      slack: {{url: "{slack.url}"}}
      email: {{host: 127.0.0.1, port: {mail.port}, tls: none, from: costs@example.com, to: [ops@example.com]}}
    rules: {_rules()}
"""
        folder = tmp_path_factory.mktemp("ladder")
        with CollectorProcess(folder, processors=config, has_api=True) as collector:
            gate.switch_on(collector.api_url)
            otlp = HttpTransport(collector.http_port)
            try:
                yield Site(collector, otlp, webhook, slack, mail)
            finally:
                otlp.close()
                gate.switch_off()


def eventually(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns as soon as it is so."""
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at, "it never was so"
        time.sleep(0.02)


def _webhook_texts(site: Site) -> list[str]:
    found = []
    for message in list(site.webhook.received):
        signed = message.headers["x-otel-cost-timestamp"].encode() + b"." + message.payload
        expected = "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert message.headers["x-otel-cost-signature"] == expected
        assert message.headers["idempotency-key"] == message.body["id"]
        found.append(message.body["text"])
    return found


def _told(site: Site, action: str) -> list[str]:
    """What was told of the rule named by an action, on its own channel."""
    texts: list[str]
    if action == "notify":
        texts = site.collector.log.splitlines()
    elif action == "webhook":
        texts = _webhook_texts(site)
    elif action == "slack":
        texts = [message.body["text"] for message in list(site.slack.received)]
    else:
        texts = [str(mail.message.get_content()) for mail in list(site.mail.mails)]
    return [text for text in texts if f"Budget {action}," in text]


@pytest.mark.parametrize("action", TELLING)
def test_people_are_told_once_for_each_threshold_and_window_also_of_late_spans(site: Site, action: str) -> None:
    """Yesterday half, then all of it is used up; then the day before, by one late span that crosses both thresholds."""
    site.spend(action, WARN_USD + 1, YESTERDAY, 1)
    eventually(lambda: len(_told(site, action)) == 1)
    assert "60%" in _told(site, action)[0] or "50%" in _told(site, action)[0]
    site.spend(action, WARN_USD, YESTERDAY, 2)
    eventually(lambda: len(_told(site, action)) == 2)
    assert "used up" in _told(site, action)[1]
    site.spend(action, WARN_USD, YESTERDAY, 3)
    site.spend(action, WARN_USD, YESTERDAY, 2)
    site.spend(action, LIMIT_USD + 1, YESTERDAY - timedelta(days=1), 4)
    eventually(lambda: len(_told(site, action)) == 4)
    kinds = [kind for kind, _ in site.events(action)]
    assert sorted(kinds) == ["exceed", "exceed", "warn", "warn"]
    assert len({event_id for _, event_id in site.events(action)}) == 4


def test_a_call_that_does_not_fit_is_blocked_and_one_that_fits_is_made(site: Site) -> None:
    site.spent("block", LIMIT_USD - 1)
    with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="0.5", customer="block") as guarded:
        guarded.settle(cost_usd="0")
    with pytest.raises(otel_cost.BudgetExceeded) as raised:
        otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="1.5", customer="block").__enter__()
    refused = raised.value
    assert (refused.rule, refused.scope_value, refused.limit, refused.spent) == ("block", "block", "10", "9")
    with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="1.5", customer="somebody else"):
        pass


def test_a_budget_of_nothing_blocks_but_never_a_model_that_costs_nothing(site: Site) -> None:
    """Also once more than nothing was spent, by somebody without a guard."""

    def call(model: str, provider: str) -> str | None:
        with otel_cost.guard(model=model, provider=provider, customer="nothing") as guarded:
            return guarded.model

    for _ in range(2):
        assert call(FREE_MODEL, "openrouter") == FREE_MODEL
        with pytest.raises(otel_cost.BudgetExceeded) as raised:
            call("gpt-4o", "openai")
        assert raised.value.limit == "0"
        if not site.counters("nothing"):
            site.spent("nothing", 1)


@pytest.mark.parametrize("unpriced", UNPRICED)
def test_a_model_without_a_price_counts_as_its_rule_says(site: Site, unpriced: str) -> None:
    """As nothing; as the dearest there is, of which ten dollars are enough for some and not for very many tokens; not
    at all."""

    def is_made(tokens: int) -> bool:
        try:
            with otel_cost.guard(
                model="model-of-nobody", provider="openai", input_tokens=tokens, output_tokens=0, customer=unpriced
            ) as guarded:
                guarded.settle(cost_usd="0")
        except otel_cost.BudgetExceeded:
            return False
        return True

    expected = {"allow": (True, True), "worst_case": (True, False), "refuse": (False, False)}
    assert (is_made(10), is_made(50_000_000)) == expected[unpriced]
    with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="1", customer=unpriced) as guarded:
        guarded.settle(cost_usd="0")


@pytest.mark.parametrize(("customer", "cheaper"), [("cheaper_model", "gpt-4o-mini"), ("chain", "gpt-4.1-nano")])
def test_above_the_warning_calls_are_made_with_a_cheaper_model(site: Site, customer: str, cheaper: str) -> None:
    """Of a chain of them with the next one where the first does not fit."""

    def model() -> str | None:
        with otel_cost.guard(
            model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=100, customer=customer
        ) as guarded:
            guarded.settle(cost_usd="0")
            return guarded.model

    assert model() == "gpt-4o"
    site.spent(customer, WARN_USD + 1)
    eventually(lambda: model() == cheaper)


def test_above_the_warning_calls_of_a_process_are_slowed_down(site: Site) -> None:
    site.spent("throttle", WARN_USD + 1)
    before = stats().get("guard.throttled", 0)
    for _ in range(3):
        with otel_cost.guard(estimate_usd="0.001", customer="throttle") as guarded:
            guarded.settle(cost_usd="0")
    assert stats()["guard.throttled"] - before >= 2


def test_a_call_that_needs_approval_passes_once_somebody_approves_on_the_command_line(site: Site) -> None:
    def call() -> None:
        with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="2", customer="approval") as guarded:
            guarded.settle(cost_usd="0")

    site.spent("approval", LIMIT_USD - 1)
    with pytest.raises(otel_cost.ApprovalRequired) as raised:
        call()
    ticket = str(raised.value.ticket)
    eventually(lambda: any(ticket == m.body.get("ticket", {}).get("ticket") for m in list(site.webhook.received)))
    with pytest.raises(otel_cost.ApprovalRequired, match=ticket):
        call()
    options = ("--config", str(site.collector.config_file))
    done = site.collector.command("budgets", "approve", ticket, "--raise", "5USD", "--note", "month end", *options)
    assert done.returncode == 0, done.stderr
    call()
    eventually(lambda: [kind for kind, _ in site.events("approval")] == ["warn", "approval_requested", "approved"])
    actions = [row["action"] for row in site.collector.asked("budgets/audit")["audit"] if row["subject"] == ticket]
    assert actions == ["approval approved", "approval requested"]
