"""Provider, models, ids, tier, reported cost and owners, as each dialect writes them."""

from __future__ import annotations

import pytest

from otel_cost.normalise import own_dimensions, resource_owners
from tests.otel_cost.normalise.help import call, chat


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("Cohere", "cohere"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("gemini", "gcp.gemini"),
        ("google-gla", "gcp.gemini"),
        ("az.ai.openai", "azure.ai.openai"),
        ("azure", "azure.ai.openai"),
        ("xai", "x_ai"),
        ("mistralai", "mistral_ai"),
        ("AWS", "aws.bedrock"),
        ("anthropic.messages", "anthropic"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("My-LLM", "my-llm"),
        ("langchain", None),
        ("strands-agents", None),
        ("fallback:openai,anthropic", None),
    ],
)
def test_provider_names(written: str, kept: str | None) -> None:
    """Every spelling becomes the convention's name; frameworks are none; own names stay."""
    attributes = chat() | {"gen_ai.provider.name": written}
    assert call(attributes).provider == kept


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("my.openai.azure.com", "azure.ai.openai"),
        ("api.deepseek.com", "deepseek"),
        ("api.groq.com", "groq"),
        ("api.x.ai", "x_ai"),
        ("openrouter.ai", "openrouter"),
        ("api.mistral.ai", "mistral_ai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("localhost", "openai"),
    ],
)
def test_a_known_host_says_who_serves_an_openai_client(host: str, provider: str) -> None:
    """SDKs of one provider speak to many: the host decides."""
    assert call(chat() | {"server.address": host}).provider == provider


def test_a_host_does_not_overrule_a_provider_with_its_own_sdk() -> None:
    """Only wires that many hosts speak are resolved by host."""
    attributes = chat() | {"gen_ai.provider.name": "cohere", "server.address": "api.openai.com"}
    assert call(attributes).provider == "cohere"


def test_the_served_tier_wins_and_auto_says_nothing() -> None:
    """Response before request, in lower case."""
    assert call(chat() | {"openai.request.service_tier": "auto"}).service_tier is None
    both = chat() | {"openai.request.service_tier": "flex", "openai.response.service_tier": "Priority"}
    assert call(both).service_tier == "priority"
    assert call(chat() | {"gen_ai.openai.response.service_tier": "flex"}).service_tier == "flex"


@pytest.mark.parametrize(
    ("scope", "attributes", "pico_usd", "by_provider"),
    [
        ("pydantic-ai", {"operation.cost": 0.002225}, 2_225_000_000, False),
        ("openlit.x", {"gen_ai.usage.cost": 0.000151}, 151_000_000, False),
        ("openinference.instrumentation.x", {"llm.cost.total": "0.5"}, 500_000_000_000, False),
        ("litellm", {"gen_ai.cost.total_cost": 0.25}, 250_000_000_000, True),
        ("litellm", {"litellm.cost.total": 0.25}, 250_000_000_000, True),
        ("x", {"gen_ai.usage.cost.total": 1}, 10**12, False),
        ("x", {"gen_ai.usage.cost.amount": 0.1, "gen_ai.usage.cost.currency": "USD"}, 10**11, False),
        ("x", {"gen_ai.usage.cost.amount": 0.1, "gen_ai.usage.cost.source": "provider"}, 10**11, True),
        ("x", {"gen_ai.usage.cost.amount": 0.1, "gen_ai.usage.cost.currency": "EUR"}, None, False),
        ("x", {"otel_cost.cost_usd": "0.000000000001"}, 1, False),
        ("pydantic-ai", {"operation.cost": -1.0}, None, False),
        ("pydantic-ai", {"operation.cost": float("nan")}, None, False),
    ],
)
def test_reported_cost(scope: str, attributes: dict[str, object], pico_usd: int | None, by_provider: bool) -> None:
    """Whole pico-USD, and whether the provider's side said it."""
    found = call(chat(input_tokens=1, output_tokens=1) | attributes, scope)
    assert (found.reported_cost_pico_usd, found.reported_by_provider) == (pico_usd, by_provider)


def test_models_and_ids() -> None:
    """Both model names and the id, blanks around models removed."""
    found = call(chat() | {"gen_ai.response.model": " gpt-4o-2024 ", "gen_ai.response.id": "chatcmpl-1"})
    assert (found.request_model, found.response_model, found.response_id) == ("gpt-4o", "gpt-4o-2024", "chatcmpl-1")


def test_openinference_prefers_its_own_vocabulary() -> None:
    """With both vocabularies on one span nothing is added."""
    found = call(
        chat(input_tokens=80, output_tokens=18)
        | {"openinference.span.kind": "LLM", "llm.token_count.prompt": 80, "llm.token_count.completion": 18},
        "openinference.instrumentation.litellm",
    )
    assert dict(found.usage) == {"input_tokens": 80, "output_tokens": 18}


@pytest.mark.parametrize(
    ("key", "dimension"),
    [
        ("customer.id", "customer"),
        ("tenant.id", "customer"),
        ("traceloop.association.properties.customer_id", "customer"),
        ("user.id", "user"),
        ("gen_ai.user", "user"),
        ("ai.telemetry.metadata.userId", "user"),
        ("gen_ai.conversation.id", "conversation"),
        ("session.id", "conversation"),
        ("gen_ai.agent.name", "agent"),
        ("litellm.team.alias", "team"),
        ("deployment.environment.name", "environment"),
        ("deployment.environment", "environment"),
        ("run_id", "run"),
    ],
)
def test_owner_aliases(key: str, dimension: str) -> None:
    """On any span and on resources; our own key comes first."""
    assert own_dimensions({key: "v"}) == resource_owners({key: "v"}) == {dimension: "v"}
    assert own_dimensions({key: "v", f"otel_cost.{dimension}": "ours"}) == {dimension: "ours"}
    assert call(chat() | {key: "v"}).owners == {dimension: "v"}


def test_a_resources_agent_name_is_the_monitoring_agent() -> None:
    """Some vendors' SDKs name themselves there; a span's is the app's own word."""
    assert resource_owners({"agent.name": "python"}) == {}
    assert own_dimensions({"agent.name": "planner"}) == {"agent": "planner"}


def test_the_service_name_owns_nothing() -> None:
    """A service is not who pays."""
    assert resource_owners({"service.name": "api", "host.name": "h"}) == {}


def test_owner_values_are_texts() -> None:
    """Whole numbers become digits; empty and other values are passed over."""
    assert own_dimensions({"customer.id": 7}) == {"customer": "7"}
    assert own_dimensions({"customer.id": "", "tenant.id": "t"}) == {"customer": "t"}
    assert own_dimensions({"customer.id": ["a"], "user.id": 1.5, "run.id": True}) == {}


@pytest.mark.parametrize(
    ("scope", "attributes", "agent"),
    [
        ("langfuse-sdk", {"langfuse.observation.type": "agent"}, "Planner"),
        ("mlflow", {"mlflow.spanType": '"AGENT"'}, "Planner"),
        ("openinference.instrumentation.x", {"openinference.span.kind": "AGENT"}, "Planner"),
        ("x", {"traceloop.span.kind": "agent", "traceloop.entity.name": "p2"}, "p2"),
        (
            "logfire.openai_agents",
            {"gen_ai.system": "openai", "logfire.msg_template": "Agent run: {name!r}", "name": "p3"},
            "p3",
        ),
        ("langfuse-sdk", {"langfuse.observation.type": "agent", "otel_cost.agent": "ours"}, "ours"),
        ("langfuse-sdk", {"langfuse.observation.type": "tool"}, None),
    ],
)
def test_agent_spans_bear_the_agents_name(scope: str, attributes: dict[str, object], agent: str | None) -> None:
    """Where a dialect keeps an agent's name in the span itself."""
    assert call(attributes, scope, "Planner", 1).owners.get("agent") == agent
