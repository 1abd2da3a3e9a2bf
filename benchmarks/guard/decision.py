"""CPU time of a decision from a held lease: `python -m benchmarks.guard.decision`.

The decision: look up the lease by the values of its dimensions, reserve, give the span its attribute. Around it: who
pays, the estimate, the settlement.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from statistics import median
from time import process_time_ns, thread_time_ns

from opentelemetry import context as otel_context

import otel_cost
from otel_cost.guard import gate
from otel_cost.guard.estimate import Learned, estimate
from otel_cost.guard.held import Claim
from otel_cost.instrument import wire
from otel_cost.instrument.wire.types import Request
from tests.otel_cost.guard.budget_server import Budget, budget_server

ROUNDS, CALLS = 200, 100
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello world " * 20}], "max_tokens": 100}
URL = "https://api.openai.com/v1/chat/completions"


def microseconds(function: Callable[[], object]) -> float:
    """Median CPU time of one call on this thread."""
    rounds = []
    for _ in range(ROUNDS):
        began = thread_time_ns()
        for _ in range(CALLS):
            function()
        rounds.append((thread_time_ns() - began) / CALLS / 1000)
    return median(rounds)


def main() -> None:
    """Print the medians."""
    asked = wire.asked(Request("POST", URL, {"content-type": "application/json"}, json.dumps(BODY).encode()))
    assert asked is not None
    budget = Budget(limit_usd="1000000", calls_per_lease=10**7, match_on=("customer", "agent", "model"))
    with budget_server(budget):
        gate.switch_on(budget.url)
        on = gate.gate()
        assert on is not None
        values = {"customer": "acme", "agent": "triage", "provider": "openai", "model": "gpt-4o"}
        claim = Claim(values, 2_000_000_000, 200)
        on.leases.ask(claim).settle(0, 0, calls=0)

        def decide() -> None:
            assert on.leases.take(claim) is not None

        def decide_and_settle() -> None:
            admission = on.leases.take(claim)
            assert admission is not None
            admission.settle(1_000_000_000, 100)

        learned = Learned()
        print(f"decision from a held lease      {microseconds(decide):6.2f} us CPU (median)")
        print(f"  and its settlement            {microseconds(decide_and_settle):6.2f}")
        print(f"estimate of a short chat        {microseconds(lambda: estimate(asked, 'gpt-4o', learned)):6.2f}")
        with otel_cost.tags(customer="acme"), otel_cost.agent("triage"):
            context = otel_context.get_current()

            def admit() -> None:
                assert on.admit(asked, context, "httpx") is not None

            print(f"whole gate, owners and estimate {microseconds(admit):6.2f}")
        print(f"process CPU {process_time_ns() / 1e9:.1f} s")
        gate.switch_off()


if __name__ == "__main__":
    main()
