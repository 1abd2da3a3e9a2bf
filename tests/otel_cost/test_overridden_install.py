"""Overrides inside the app: in code, by an environment variable, and wrong ones."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_cost import install
from otel_cost.distro import OVERRIDES_VARIABLE

HALF: dict[str, Any] = {"discounts": [{"name": "deal", "provider": "openai", "multiplier": 0.5}]}
CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 500,
}
LIST_PRICE, HALF_PRICE = "0.00045", "0.000225"


def _spans(overrides: dict[str, Any] | None, calls: int = 1) -> list[dict[str, Any]]:
    """Attributes of calls that end under a processor with the overrides."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    install(provider, overrides=overrides)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for _ in range(calls):
        provider.get_tracer("app").start_span("chat gpt-4o-mini", attributes=CALL).end()
    return [dict(span.attributes or {}) for span in exporter.get_finished_spans()]


def test_overrides_in_code_price_every_span_and_name_themselves_in_the_receipt() -> None:
    """The second and third call go the short way that the first one taught."""
    for attributes in _spans(HALF, calls=3):
        assert attributes["otel_cost.cost_usd"] == HALF_PRICE
        assert "override: deal" in attributes["otel_cost.receipt"]


def test_a_json_file_named_by_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said in code counts before it."""
    file = tmp_path / "overrides.json"
    file.write_text(json.dumps(HALF))
    monkeypatch.setenv(OVERRIDES_VARIABLE, str(file))
    assert _spans(None)[0]["otel_cost.cost_usd"] == HALF_PRICE
    assert _spans({})[0]["otel_cost.cost_usd"] == LIST_PRICE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"discounts": [{"provider": "opnai", "percent": "5%"}]}',
            "discounts[0].provider: unknown provider (got opnai)",
        ),
        ('{"discount": []}', "discount: unknown key"),
        ("[1", "Expecting"),
        (None, "No such file"),
    ],
)
def test_wrong_overrides_are_logged_and_spans_have_the_list_price(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing raises into the app; the message names the file, the place and what was meant."""
    file = tmp_path / "overrides.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv(OVERRIDES_VARIABLE, str(file))
    with caplog.at_level(logging.ERROR, logger="otel_cost"):
        assert _spans(None)[0]["otel_cost.cost_usd"] == LIST_PRICE
    assert f"{file}: " in caplog.text
    assert said in caplog.text


def test_entries_with_conditions_are_left_to_the_collector() -> None:
    """It knows the organisation and the resource; the app does not."""
    conditional = {"discounts": [{**HALF["discounts"][0], "when": {"customer": "acme"}}]}
    assert _spans(conditional)[0]["otel_cost.cost_usd"] == LIST_PRICE
