"""Instrumentations around one Anthropic call: 1,300 tokens in (100, 1,000 from and 200 into the cache), 50 out."""

from __future__ import annotations

from typing import Any

import pytest

from collector.attribute.identity import dialect_rank, model_family
from otel_cost.normalise.dialects import DIALECTS
from tests.collector.attribute.building import Row, aggregate, counted, leaf, verdicts

NATIVE = "com.anthropic.sdk.python"
CACHE = {"cache_read_tokens": 1000, "cache_write_tokens": 200}


def call(name: str, parent: str | None, scope: str, dialect: str, output: int = 50, **values: Any) -> Row:
    """One record of the call."""
    facts: Row = CACHE | {"provider": "anthropic", "request_model": "claude-sonnet-4-5", "until": 10}
    return leaf(name, parent, (1300, output), scope_name=scope, dialect=dialect, **(facts | values))


def native(parent: str | None, **values: Any) -> Row:
    """What the SDK itself records."""
    facts: Row = {"response_id": "msg_0123456789", "at": 1, "until": 9, "response_model": "claude-sonnet-4-5-20250929"}
    return call("native", parent, NATIVE, "anthropic_native", **(facts | values))


def official(**values: Any) -> Row:
    """The official instrumentation."""
    return call("other", None, "opentelemetry.instrumentation.genai.anthropic", "official", **values)


def traceloop(parent: str | None = None, output: int = 50) -> Row:
    """OpenLLMetry; its streams add the first event's placeholder."""
    scope = "opentelemetry.instrumentation.anthropic"
    return call("other", parent, scope, "traceloop", output, response_id="msg_0123456789")


def openinference(parent: str | None) -> Row:
    """OpenInference has no response id."""
    return call("other", parent, "openinference.instrumentation.anthropic", "openinference", provider=None)


PAIRS = {
    "official around native": (official(response_id="msg_0123456789"), native("other")),
    "official around native, stream": (official(response_id="msg_0123456789"), native("other", until=12)),
    "traceloop beside native, two traces": (traceloop(), native(None, trace_id="t2")),
    "traceloop beside native, stream": (traceloop("p", 51), native("p")),
    "openinference around native": (openinference(None), native("other")),
    "openinference beside native, stream": (openinference("p"), native("p")),
    "openinference beside native, stream, two traces": (openinference(None), native(None, trace_id="t2", at=0.1)),
    "abandoned stream": (official(output=1, response_id="msg_0123456789"), native("other", output=0)),
    "abandoned stream without ids": (official(output=1), native("other", output_tokens=None, response_id=None)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_call_recorded_by_the_sdk_and_an_instrumentation_is_one_call(name: str) -> None:
    """The SDK's own record is kept: it alone has the tier and the lifetime of cache writes."""
    assert counted(*PAIRS[name]) == ["native"]


def test_three_instrumentations_at_once() -> None:
    """Everything installed: outer official, inner native, OpenInference beside them."""
    rows = (
        official(parent_span_id="p", response_id="msg_0123456789"),
        native("other"),
        openinference("p") | {"span_id": "oi"},
    )
    assert counted(*rows) == ["native"]


AGENTS = {
    "pydantic-ai with usage on the agent": [
        aggregate("a", None, (30, 3), dialect="pydantic_ai"),
        leaf("x", "a", (30, 3)),
    ],
    "OpenLIT agent with a cost": [
        aggregate("a", None, (30, 3), dialect="openlit", reported_cost_pico_usd=9),
        leaf("x", "a", (30, 3)),
    ],
    "strands": [
        aggregate("a", None, (30, 3)),
        aggregate("c", "a", (30, 3)),
        leaf("x", "c", (10, 1)),
        leaf("y", "c", (20, 2)),
    ],
    "AI SDK 6": [
        aggregate("a", None, (6, 20), dialect="vercel"),
        leaf("x", "a", (3, 10), dialect="vercel"),
        leaf("y", "a", (3, 10), dialect="vercel", at=3),
    ],
    "AI SDK 7 embeddings": [
        leaf("a", None, (30, 0), operation="embeddings"),
        leaf("x", "a", (30, 0), operation="embeddings"),
    ],
    "ADK call_llm": [
        aggregate("a", None, (30, 3), operation="call_llm"),
        leaf("x", "a", (30, 3), operation="generate_content"),
    ],
    "a langsmith chain": [
        aggregate("a", None, (30, 3), dialect="langsmith"),
        leaf("x", "a", (30, 3), dialect="langsmith"),
    ],
}


@pytest.mark.parametrize("name", AGENTS)
def test_frameworks_whose_agents_repeat_their_calls(name: str) -> None:
    """Only the calls count."""
    assert counted(*AGENTS[name]) == [row["span_id"] for row in AGENTS[name] if row["span_id"] in "xy"]


def test_a_mistral_conversation_counts_the_agent() -> None:
    """The agent has the usage, its chat children have none."""
    rows = (
        aggregate("a", None, (30, 3), provider="mistral_ai", request_model="mistral-large", dialect="mistral_native"),
        leaf("x", "a", provider="mistral_ai", request_model=None, dialect="mistral_native"),
    )
    assert counted(*rows) == ["a"]


def test_a_remote_google_agent_counts() -> None:
    """The only span of the call."""
    assert counted(aggregate("a", None, (30, 3), provider="gcp.gen_ai", kind=3)) == ["a"]


def test_a_claude_agent_sdk_root_counts() -> None:
    """Its chat spans count in parts that do not add up; reading them is refused, the root stands."""
    rows = (
        aggregate("a", None, (30, 3), dialect="logfire", reported_cost_pico_usd=9),
        leaf("x", "a", call_kind="ignore"),
    )
    assert counted(*rows) == ["a"]


def test_a_gateway_and_its_client_are_one_call_across_services() -> None:
    """The proxy's server span and its own client span lie below the app's call."""
    rows = (
        call("app", None, "a", "official", service_name="app", request_model="anthropic/claude-sonnet-4.5"),
        call("proxy", "app", "litellm", "litellm", service_name="proxy", response_id="chatcmpl-9999999999"),
        native("proxy", service_name="proxy"),
    )
    assert counted(*rows) == ["native"]
    assert verdicts(*rows)["app"]["duplicate_of"] == "native"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
        ("claude-sonnet-4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("claude-sonnet-4@20250514", "anthropic/claude-sonnet-4"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_names_of_one_model(one: str, other: str) -> None:
    """Vendor, date and revision do not make another model."""
    assert model_family(one) == model_family(other)


@pytest.mark.parametrize(("one", "other"), [("gpt-4o", "gpt-4o-mini"), ("gpt-4", "gpt-4o"), ("o3", "o3-pro")])
def test_names_of_two_models(one: str, other: str) -> None:
    """A longer name is another model."""
    assert model_family(one) != model_family(other)


def test_the_dialect_tables_say_whose_record_is_kept() -> None:
    """The SDK's own instrumentation before the official ones, those before third parties, a stranger last of all."""
    assert all(dialect_rank(dialect.name) == dialect.rank for dialect in DIALECTS)
    ordered = [dialect_rank(name) for name in ("anthropic_native", "official", "pydantic_ai", "traceloop", "openlit")]
    assert ordered == sorted(set(ordered))
    assert dialect_rank("unheard of") == dialect_rank(None) == max(dialect.rank for dialect in DIALECTS)
