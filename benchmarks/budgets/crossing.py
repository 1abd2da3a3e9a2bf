"""From the span that uses a budget up to whoever hears of it: the event, the webhook, and the guard of another app.

Each round has a customer of its own, whose app makes calls under the guard one after the other, until it is refused;
meanwhile another app without a guard sends one span that costs more than the budget has. All times are from when that
request was sent, as a user sees them: over HTTP, on the same machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from threading import Thread

import otel_cost
from otel_cost.guard import gate
from tests.budgets.budgeted import hard_budget
from tests.crash.sender import HttpTransport
from tests.support.calls import call_request
from tests.support.collector_process import CollectorProcess
from tests.support.http_receiver import HttpReceiver

ROUNDS = 25
TWO_DOLLARS = 800_000
"""Input tokens."""
EVENT_SECONDS, WEBHOOK_SECONDS, GUARD_SECONDS = 1.0, 2.0, 1.0
_LOOK_SECONDS = 0.005
_CHANNELS = 'channels: {{webhook: {{url: "{}", secret: "not-so-very-secret"}}}}'


def holds() -> bool:
    """Print the times; whether the slowest of each is within its target."""
    events, webhooks, guards = [], [], []
    with HttpReceiver() as receiver, tempfile.TemporaryDirectory() as folder:
        config = hard_budget("1", "on_warn: [webhook]", _CHANNELS.format(receiver.url))
        with CollectorProcess(Path(folder), processors=config, has_api=True) as collector:
            gate.switch_on(collector.api_url)
            sender = HttpTransport(collector.http_port)
            for number in range(ROUNDS):
                customer = f"customer-{number}"
                app = _App(customer)
                app.start()
                time.sleep(0.7 + 0.013 * number)  # at any moment of what happens each second or half
                seen, sent_at = len(receiver.received), time.monotonic()
                sender.send(call_request(customer, customer, TWO_DOLLARS, time.time_ns() - 10**9))
                while not any(
                    event["scope_value"] == customer for event in collector.asked("budgets/events")["events"]
                ):
                    time.sleep(_LOOK_SECONDS)
                events.append(time.monotonic() - sent_at)
                webhooks.append(_first(receiver, seen, customer) - sent_at)
                app.join()
                guards.append(app.refused_at - sent_at)
            sender.close()
            gate.switch_off()
    print(f"crossing, {ROUNDS} rounds, from the request with the span (s):     median    p90    max  target")
    shown = (
        _shown("event visible at the API", events, EVENT_SECONDS),
        _shown("webhook received", webhooks, WEBHOOK_SECONDS),
        _shown("another app's guard refuses", guards, GUARD_SECONDS),
    )
    return all(shown)


class _App(Thread):
    """Cheap calls under the guard until one is refused."""

    def __init__(self, customer: str) -> None:
        super().__init__(daemon=True)
        self._customer = customer
        self.refused_at = 0.0

    def run(self) -> None:
        while True:
            try:
                with otel_cost.guard(
                    model="gpt-4o", provider="openai", estimate_usd="0.000001", customer=self._customer
                ):
                    time.sleep(_LOOK_SECONDS)
            except otel_cost.BudgetExceeded:
                self.refused_at = time.monotonic()
                return


def _first(receiver: HttpReceiver, seen: int, customer: str) -> float:
    """When the first message about a customer was there."""
    while True:
        found = receiver.wait_for(seen + 1)
        if any(message.body["scope_value"] == customer for message in found[seen:]):
            return time.monotonic()
        seen = len(found)


def _shown(name: str, times: Sequence[float], target: float) -> bool:
    ordered = sorted(times)
    p90 = ordered[int(0.9 * len(ordered))]
    print(f"  {name:54} {median(ordered):6.3f} {p90:6.3f} {ordered[-1]:6.3f}  {target:.0f} s")
    return ordered[-1] <= target
