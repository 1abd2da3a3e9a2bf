"""Our own spans and the spans that we enriched, as both readers take them."""

from __future__ import annotations

from typing import Any

import pytest

from otel_cost import attributes as k
from otel_cost.call import Call, CallKind, Flag
from otel_cost.normalise import normalise
from otel_cost.normalise.dialects.wire import OWN, WIRE_SCOPE
from otel_cost.pricing.units import MICRO, UNITS

CLIENT = 3
OFFICIAL = "opentelemetry.instrumentation.genai.openai"


def read(attributes: dict[str, Any], scope: str = WIRE_SCOPE, name: str = "chat gpt-5.4") -> Call:
    call = normalise(scope_name=scope, span_name=name, span_kind=CLIENT, status_code=0, attributes=attributes)
    assert call is not None
    return call


def test_every_billable_unit_has_a_key_of_ours() -> None:
    assert set(OWN) == set(UNITS)
    assert {unit for unit, (source,) in OWN.items() if source.transform == "micros"} == {
        key for key, unit in UNITS.items() if unit.quantum == MICRO
    }


@pytest.mark.parametrize("unit", ["input_image_tokens", "cache_write_12h_tokens", "web_searches", "output_images"])
def test_units_without_a_conventional_name_are_read_from_our_spans(unit: str) -> None:
    call = read({k.GEN_AI_OPERATION_NAME: "chat", k.OTEL_COST_USAGE_PREFIX + unit: 7})
    assert call.usage[unit] == 7


def test_seconds_are_written_as_seconds() -> None:
    call = read({k.GEN_AI_OPERATION_NAME: "transcription", k.OTEL_COST_USAGE_PREFIX + "input_audio_seconds": 12.5})
    assert call.usage["input_audio_seconds"] == 12_500_000


def test_our_input_is_inclusive_however_large_its_parts_are() -> None:
    call = read({k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_USAGE_INPUT_TOKENS: 10, k.GEN_AI_USAGE_CACHE_READ: 10})
    assert call.usage["input_tokens"] == 10
    assert not call.flags & Flag.CACHE_EXCLUSIVE


@pytest.mark.parametrize(("operation", "kind"), [("chat", "leaf"), ("anything", "leaf"), ("batch", "aggregate")])
def test_all_but_a_batch_of_ours_is_a_call(operation: str, kind: str) -> None:
    assert read({k.GEN_AI_OPERATION_NAME: operation}).kind is CallKind(kind)


def test_what_was_estimated_is_flagged_and_goes_before_a_placeholder() -> None:
    call = read(
        {
            k.GEN_AI_OPERATION_NAME: "chat",
            k.GEN_AI_USAGE_INPUT_TOKENS: 20,
            k.GEN_AI_USAGE_OUTPUT_TOKENS: 1,
            k.OTEL_COST_ESTIMATED_OUTPUT: 40,
        }
    )
    assert dict(call.usage) == {"input_tokens": 20, "output_tokens": 40}
    assert call.flags & Flag.ESTIMATED


def test_of_an_enriched_span_only_our_keys_are_read() -> None:
    call = read(
        {
            k.GEN_AI_OPERATION_NAME: "chat",
            k.GEN_AI_PROVIDER_NAME: "openai",
            k.GEN_AI_REQUEST_MODEL: "theirs",
            k.GEN_AI_RESPONSE_ID: "theirs",
            k.GEN_AI_USAGE_INPUT_TOKENS: 1,
            k.GEN_AI_USAGE_OUTPUT_TOKENS: 2,
            k.GEN_AI_USAGE_REASONING: 2,
            k.OTEL_COST_WIRE: 1,
            k.OTEL_COST_OPERATION: "chat",
            k.OTEL_COST_PROVIDER: "deepseek",
            k.OTEL_COST_REQUEST_MODEL: "deepseek-chat",
            k.OTEL_COST_RESPONSE_ID: "ours",
            k.OTEL_COST_USAGE_PREFIX + "input_tokens": 100,
            k.OTEL_COST_USAGE_PREFIX + "output_tokens": 50,
        },
        scope=OFFICIAL,
    )
    assert call.kind is CallKind.LEAF
    assert (call.provider, call.request_model, call.response_id) == ("deepseek", "deepseek-chat", "ours")
    assert dict(call.usage) == {"input_tokens": 100, "output_tokens": 50}


def test_the_reported_cost_is_exact_and_the_providers() -> None:
    call = read({k.OTEL_COST_WIRE: 1, k.OTEL_COST_REPORTED_COST_USD: "0.000000000123"}, scope=OFFICIAL)
    assert call.reported_cost_pico_usd == 123
    assert call.reported_by_provider
