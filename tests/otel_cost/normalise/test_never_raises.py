"""Whatever an app writes into attributes, reading them never raises, and what comes out is well formed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost.call import DIMENSIONS, Flag
from otel_cost.normalise import own_dimensions
from tests.strategies import ALL_KEYS, Span, normalised, spans

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DEEP = "[" * 100_000
WHOLES = {
    "cache_read_tokens": "input_tokens",
    "cache_write_tokens": "input_tokens",
    "output_reasoning_tokens": "output_tokens",
    "output_audio_tokens": "output_tokens",
    "input_audio_tokens": "input_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
    "cache_write_5m_tokens": "cache_write_tokens",
    "cache_audio_read_tokens": "cache_read_tokens",
}


def check(span: Span) -> None:
    """The reading of a span is well formed."""
    call = normalised(span)
    if call is None:
        return
    assert set(call.owners) <= set(DIMENSIONS)
    assert all(type(value) is str and value for value in call.owners.values())
    assert all(type(value) is int and value >= 0 for value in call.usage.values())
    for part, whole in WHOLES.items():
        if whole in call.usage:
            assert call.usage.get(part, 0) <= call.usage[whole]
    assert isinstance(call.flags, Flag)
    assert call.reported_cost_pico_usd is None or type(call.reported_cost_pico_usd) is int


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(ALL_KEYS), VALUES, max_size=12),
    st.sampled_from([None, "", "logfire", "ai", "langfuse-sdk", "com.anthropic.sdk.python", "x"]),
    st.text(max_size=20),
    st.integers(-2, 9),
)
def test_any_value_of_any_key(attributes: dict[str, Any], scope: str | None, name: str, kind: int) -> None:
    """Wrong types, nesting, huge numbers, any text."""
    check(Span(scope, name, kind, 0, attributes))
    own_dimensions(attributes)


@pytest.mark.parametrize("seed", range(4))
def test_spans_made_from_the_tables(seed: int) -> None:
    """20,000 spans: parts never exceed their wholes, everything has its type."""
    for span in spans(1000 + seed, 5_000):
        check(span)


HOSTILE: dict[str, object] = {
    "deep list": DEEP,
    "deep object": "{" * 100_000,
    "deep values": '{"input":' * 5_000,
    "digits": "9" * 100_000,
    "surrogate": "\ud800",
    "object": {"a": [1]},
    "huge": 1 << 20_000,
    "nul": "\0",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values(value: object) -> None:
    """Deep nesting, endless digits, lone surrogates."""
    keys = ("usage", "gen_ai.usage.raw", "mlflow.chat.tokenUsage", "gen_ai.usage.input_token_details")
    for scope in ("logfire", "mlflow", "langsmith", "langfuse-sdk", None):
        for key in (*keys, "gen_ai.usage.input_tokens", "operation.cost", "gen_ai.request.model", "user.id"):
            attributes: dict[str, object] = {"gen_ai.operation.name": "chat", "langsmith.span.kind": "llm", key: value}
            check(Span(scope, "chat", 3, 0, attributes))


def test_emitters_that_invent_keys_do_not_grow_memory_for_ever() -> None:
    """Plans are kept per shape, and shapes are bounded."""
    from otel_cost.normalise import MAX_PLANS, _plans

    for index in range(MAX_PLANS + 100):
        check(Span("x", "chat", 3, 0, {"gen_ai.operation.name": "chat", f"key{index}": 1}))
    assert len(_plans) <= MAX_PLANS
