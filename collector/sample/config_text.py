"""A collector's config that fits the history: the price of the house model, budgets of every kind, page and API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from decimal import Decimal
from pathlib import Path

from collector.sample.history import ORGANIZATION, Plan
from collector.sample.seasons import Happenings
from collector.sample.workloads import CUSTOMERS

MARK = "# Made by `otel-cost demo`."
"""How a file begins that may be replaced."""

_TEXT = """{mark} Start a collector on the ledger that it filled:
#   otel-cost collect --config {name}

processors:
  cost:
    prices:                                    # what the house model costs; its provider raised the price
      - name: house-llm
        {house}
        rates: {{input_tokens: 0.80, output_tokens: 2.40}}
        valid_to: {price_changed}
      - name: house-llm-raised
        {house}
        rates: {{input_tokens: 1.20, output_tokens: 3.60}}
        valid_from: {price_changed}
  budget:
    rules:
      - {{name: everything, scope: organization, limit: {month} USD/month, warn_at: [50%, 80%]}}
      - {{name: everyone-daily, scope: organization, limit: {day} USD/day}}
      - {{name: support, scope: {{team: customer-success}}, limit: {support} USD/month}}
      - {{name: each-customer, scope: customer, limit: {customer} USD/month}}
      - {{name: code-review, scope: {{agent: code_reviewer}}, limit: {agent} USD/day}}
      - {{name: each-run, scope: run, limit: {run} USD/run}}
      - {{name: search-tokens, scope: {{feature: search}}, limit: {tokens} tokens/week}}
      - {{name: team-week, scope: team, limit: {team} USD/7d}}

exporters:
  duckdb:
    path: {path}

extensions:
  health_check: {{}}
  api:
    endpoint: 127.0.0.1:8321
    revenue:                                   # what customers pay, by their plan; those not listed are on trial
{revenue}

service:
  extensions: [health_check, api]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [cost, budget]
      exporters: [duckdb]

receivers:
  otlp:
    protocols: {{grpc: {{}}, http: {{}}}}
"""
_USD_PER_DAILY_CALL = {
    "month": Decimal("0.165"),
    "day": Decimal("0.0085"),
    "support": Decimal("0.02"),
    "customer": Decimal("0.012"),
    "agent": Decimal("0.006"),
    "run": Decimal("0.003"),
    "team": Decimal("0.02"),
}
"""Limits as they grow with the calls of a day: some of them just held, some exceeded."""


_PLANS: tuple[tuple[Decimal, Sequence[str]], ...] = (
    (Decimal("0.012"), CUSTOMERS[:4]),
    (Decimal("0.003"), CUSTOMERS[4:11]),
    (Decimal("0.0014"), CUSTOMERS[11:-2]),
)
"""What customers pay, as it grows with the calls of a day: the busiest ones of a plan cost more than they pay."""


def config_text(plan: Plan, ledger: Path, config: Path) -> str:
    """The file's content."""
    calls = plan.calls_per_day * Decimal(plan.share(0))  # of the largest organisation
    limits = {key: _round(calls * each) for key, each in _USD_PER_DAILY_CALL.items()}
    changed = Happenings.before(plan.end.astimezone(UTC)).price_changed
    return _TEXT.format(
        mark=MARK,
        name=config,
        house="provider: vllm\n        model: house-llm",
        price_changed=f"{changed:%Y-%m-%d}",
        path=ledger,
        tokens=plan.calls_per_day * 2_000,
        revenue="\n".join(_revenue(plan)),
        **limits,
    )


def _revenue(plan: Plan) -> Iterator[str]:
    """A line of each organisation and plan of its customers."""
    for place, organization in enumerate(plan.organizations):
        calls = plan.calls_per_day * Decimal(plan.share(place))
        whose = "" if organization == ORGANIZATION else f"organization: {json.dumps(organization)}, "
        for price, customers in _PLANS:
            listed = ", ".join(f"{customer}: {_round(calls * price)} USD/month" for customer in customers)
            yield f"      - {{{whose}customers: {{{listed}}}}}"


def _round(amount: Decimal) -> str:
    """Two digits, as people choose limits."""
    return f"{max(amount, Decimal('0.01')):.2g}" if amount < 10 else f"{round(amount, -(amount.adjusted() - 1)):f}"
