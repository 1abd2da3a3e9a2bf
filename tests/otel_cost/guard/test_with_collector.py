"""The guard and a real collector: no more is spent than the budget has, and the ledger says the same in the end."""

from __future__ import annotations

import gc
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import otel_cost
from otel_cost.guard import gate
from otel_cost.instrument.instrumentor import OtelCostInstrumentor
from otel_cost.pricing.money import format_usd, pico_usd
from tests.otel_cost.instrument.observing import answer, chat, observed
from tests.otel_cost.instrument.scripted_server import Script
from tests.support.collector_process import CollectorProcess
from tests.support.ports import free_ports

RULES = """
  budget:
    rules:
      - {name: per-customer, scope: customer, limit: "0.002 USD/total", on_exceed: [block]}
      - {name: free-plan, scope: {attribute: {tenant.plan: free}}, limit: "100 calls/total", on_exceed: [block]}
      - {name: nobodys, scope: {attribute.tenant.plan: paid}, limit: "0 calls/total", on_exceed: [block]}
"""
COST_USD = "0.000138"  # of one call: `USAGE`
ROOM = 14
"""Calls that the budget has room for."""


class _Collector(CollectorProcess):
    """One with an API."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, processors=RULES)
        self.api_port = free_ports(1)[0]

    def _config(self) -> str:
        return super()._config() + f'  api: {{endpoint: "127.0.0.1:{self.api_port}"}}\n'

    def counter(self, rule: int = 0) -> dict[str, Any]:
        """What the customer has spent, or who else a rule is for."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}/api/v1/budgets", timeout=10) as said:
            (counter,) = json.load(said)["budgets"][rule]["counters"]
        found: dict[str, Any] = counter
        return found


def test_calls_are_made_until_the_budget_is_spent_and_the_ledger_agrees(tmp_path: Path) -> None:
    answers = [answer(f"chatcmpl-{number:08}") for number in range(ROOM + 1)]
    with _Collector(tmp_path) as collector, observed(*answers) as app:
        app.recorder.provider.add_span_processor(
            SimpleSpanProcessor(OTLPSpanExporter(f"{collector.http_url}/v1/traces"))
        )
        gate.switch_on(f"http://127.0.0.1:{collector.api_port}")
        try:
            tracer = app.recorder.provider.get_tracer("app")
            plan = tracer.start_as_current_span("request", attributes={"tenant.plan": "free"})
            with otel_cost.tags(customer="acme"), plan:
                for _ in range(ROOM):
                    chat(app.client(), max_tokens=40)
                with pytest.raises(otel_cost.BudgetExceeded) as raised:
                    chat(app.client(), max_tokens=40)
        finally:
            gate.switch_off()
        assert len(app.server.bodies) == ROOM
        assert (raised.value.rule, raised.value.scope_value, raised.value.limit) == ("per-customer", "acme", "0.002")
        ends_at = time.monotonic() + 20
        while collector.counter()["leased"] != "0" and time.monotonic() < ends_at:
            time.sleep(0.05)
        assert collector.counter()["spent"] == format_usd(pico_usd(COST_USD) * ROOM)
        assert (collector.counter(1)["spent"], collector.counter(1)["leased"]) == (ROOM, 0)


@pytest.mark.filterwarnings("ignore")
def test_a_batch_is_held_after_its_process_and_the_collector_were_gone(tmp_path: Path) -> None:
    """Two batches that fit alone do not fit together: the second is refused, by a collector that was killed since."""
    params = {"model": "claude-sonnet-4-20250514", "max_tokens": 150, "messages": [{"role": "user", "content": "why?"}]}
    batch = {"requests": [{"custom_id": "a", "params": params}]}  # of 0.00113 USD
    state = Script((b'{"id":"msgbatch_1","processing_status":"in_progress"}',), content_type="application/json")
    with _Collector(tmp_path) as collector, observed(state) as app:
        OtelCostInstrumentor().instrument(hosts={app.server.url.partition("://")[2]: "anthropic"})

        def hand_in() -> None:
            with otel_cost.tags(customer="acme"):
                httpx.post(f"{app.server.url}/v1/messages/batches", json=batch)

        gate.switch_on(f"http://127.0.0.1:{collector.api_port}")
        hand_in()
        gate.switch_off()
        held = collector.counter()["leased"]
        assert held.startswith("0.001")
        collector.kill()
        collector.spawn()
        collector.wait_until_ready()
        assert collector.counter()["leased"] == held
        gate.switch_on(f"http://127.0.0.1:{collector.api_port}")
        try:
            with pytest.raises(otel_cost.BudgetExceeded) as raised:
                hand_in()
        finally:
            gate.switch_off()
        assert raised.value.leased == held
        assert len(app.server.bodies) == 1
    del raised
    gc.collect()  # what a refused request leaves open ends with the test
