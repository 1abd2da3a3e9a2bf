"""What a span is: a call of its own, a wrapper that may repeat its children, or nothing that bills."""

from __future__ import annotations

import pytest

from otel_cost.call import Flag
from tests.otel_cost.normalise.help import CLIENT, INTERNAL, SERVER, call, chat, read

Attributes = dict[str, object]
MODEL: Attributes = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 1}


def operation(name: str, **more: object) -> Attributes:
    """Usage, model and an operation."""
    return MODEL | {"gen_ai.operation.name": name} | more


LEAVES: list[tuple[str, str, str, int, Attributes, str]] = [
    ("official chat", "opentelemetry.instrumentation.genai.openai", "chat m", CLIENT, operation("chat"), "chat"),
    ("in-process model", "x", "chat m", INTERNAL, operation("chat"), "chat"),
    ("embeddings", "x", "embeddings m", CLIENT, operation("embeddings"), "embeddings"),
    ("old spelling", "x", "c", CLIENT, operation("completion"), "text_completion"),
    ("custom client operation", "x", "c", CLIENT, operation("summarise"), "summarise"),
    ("litellm on a server span", "fastapi", "POST /chat", SERVER, MODEL | {"gen_ai.cost.total_cost": 0.1}, ""),
    ("request type only", "x", "openai.chat", CLIENT, MODEL | {"llm.request.type": "completion"}, "text_completion"),
    ("openinference", "openinference.instrumentation.x", "C", INTERNAL, {"openinference.span.kind": "LLM"}, "chat"),
    ("openinference reranker", "x", "C", INTERNAL, {"openinference.span.kind": "RERANKER"}, "rerank"),
    ("langfuse", "langfuse-sdk", "g", INTERNAL, {"langfuse.observation.type": "generation"}, "chat"),
    ("mlflow", "x", "g", INTERNAL, {"mlflow.spanType": '"LLM"'}, "chat"),
    ("langsmith", "langsmith", "g", INTERNAL, operation("chat") | {"langsmith.span.kind": "llm"}, "chat"),
    ("vercel", "ai", "x", INTERNAL, {"ai.operationId": "ai.streamObject.doStream"}, "chat"),
    ("vercel embeddings", "ai", "x", INTERNAL, {"ai.operationId": "ai.embed.doEmbed"}, "embeddings"),
    ("vercel 7", "gen_ai", "chat m", CLIENT, operation("chat"), "chat"),
    ("claude code", "x", "claude_code.llm_request", INTERNAL, {}, "chat"),
    ("adk", "gcp.vertex.agent", "generate_content m", INTERNAL, operation("generate_content"), "generate_content"),
    ("strands", "strands.telemetry.tracer", "chat", INTERNAL, operation("chat"), "chat"),
    ("openlit image", "openlit.x", "i", CLIENT, operation("image"), "image_generation"),
    ("mistral ocr", "mistralai_sdk_tracer", "ocr", CLIENT, operation("generate_content"), "generate_content"),
    ("semantic kernel", "Microsoft.SemanticKernel", "chat_completion", CLIENT, {"gen_ai.response.model": "m"}, "chat"),
]
AGGREGATES: list[tuple[str, str, str, int, Attributes]] = [
    ("local agent", "opentelemetry.instrumentation.genai.langchain", "a", INTERNAL, operation("invoke_agent")),
    ("remote agent", "opentelemetry.instrumentation.google_genai", "a", CLIENT, operation("invoke_agent")),
    ("workflow", "x", "w", INTERNAL, operation("invoke_workflow")),
    ("tool", "x", "t", INTERNAL, operation("execute_tool")),
    ("retrieval", "x", "r", CLIENT, operation("retrieval")),
    ("custom step", "x", "s", INTERNAL, operation("summarise")),
    (
        "traceloop workflow",
        "opentelemetry.instrumentation.langchain",
        "w",
        INTERNAL,
        {"traceloop.span.kind": "workflow"},
    ),
    ("openinference chain", "x", "c", INTERNAL, {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5}),
    ("openinference agent", "x", "a", INTERNAL, {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 5}),
    ("langsmith chain", "langsmith", "c", INTERNAL, operation("chain") | {"langsmith.span.kind": "chain"}),
    ("langfuse span", "langfuse-sdk", "s", INTERNAL, {"langfuse.observation.type": "span"}),
    ("mlflow chain", "x", "c", INTERNAL, {"mlflow.spanType": '"CHAIN"'}),
    (
        "vercel outer",
        "ai",
        "ai.generateText",
        INTERNAL,
        {"ai.operationId": "ai.generateText", "ai.usage.inputTokens": 5},
    ),
    ("vercel tool", "ai", "ai.toolCall", INTERNAL, {"ai.operationId": "ai.toolCall"}),
    ("vercel 7 root", "gen_ai", "invoke_agent", INTERNAL, operation("invoke_agent")),
    ("vercel 7 step", "gen_ai", "agent_step", INTERNAL, operation("agent_step")),
    ("adk v1 call_llm", "gcp.vertex.agent", "call_llm", INTERNAL, MODEL | {"gen_ai.system": "gcp.vertex.agent"}),
    ("strands cycle", "strands.telemetry.tracer", "c", INTERNAL, operation("execute_event_loop_cycle")),
    ("pydantic agent", "pydantic-ai", "agent run", INTERNAL, operation("invoke_agent")),
    ("claude code turn", "x", "claude_code.interaction", INTERNAL, {}),
    (
        "logfire turn",
        "logfire.openai_agents",
        "Turn",
        INTERNAL,
        {"gen_ai.system": "openai", "usage": '{"input_tokens": 5}'},
    ),
]
IGNORED: list[tuple[str, str, str, int, Attributes]] = [
    ("pending copy", "pydantic-ai", "chat m", INTERNAL, operation("chat") | {"logfire.span_type": "pending_span"}),
    ("poll of a response", "opentelemetry.instrumentation.genai.openai", "f", CLIENT, operation("fetch_response")),
    ("litellm raw request", "litellm", "raw_gen_ai_request", INTERNAL, {"gen_ai.system": "openai"}),
    (
        "anthropic api",
        "com.anthropic.sdk.python",
        "anthropic.messages.count_tokens",
        CLIENT,
        {"gen_ai.provider.name": "a"},
    ),
    (
        "claude agent sdk chat",
        "logfire",
        "chat",
        INTERNAL,
        operation("chat") | {"gen_ai.usage.partial.input_tokens": 5},
    ),
    ("langsmith prompt", "langsmith", "p", INTERNAL, operation("chat") | {"langsmith.span.kind": "prompt"}),
    ("langsmith retriever", "langsmith", "r", INTERNAL, operation("embeddings") | {"langsmith.span.kind": "retriever"}),
]
NOT_GEN_AI: list[tuple[str, str, Attributes]] = [
    (
        "opentelemetry.instrumentation.httpx",
        "POST",
        {"server.address": "api.openai.com", "http.request.method": "POST"},
    ),
    ("app", "GET /", {"otel_cost.run": "r1", "gen_ai.agent.name": "planner", "user.id": "u"}),
    ("logfire", "hello", {"logfire.span_type": "span", "name": "x", "usage": "5"}),
    ("app", "job", {"telemetry.sdk.name": "opentelemetry", "model": "x", "input_tokens": 5}),
]


@pytest.mark.parametrize(
    ("scope", "name", "kind", "attributes", "said"), [row[1:] for row in LEAVES], ids=[r[0] for r in LEAVES]
)
def test_calls(scope: str, name: str, kind: int, attributes: Attributes, said: str) -> None:
    """Each dialect's mark of a model call, and the operation in today's words."""
    found = call(attributes, scope, name, kind)
    assert (found.kind, found.operation or "") == ("leaf", said)


@pytest.mark.parametrize(
    ("scope", "name", "kind", "attributes"), [row[1:] for row in AGGREGATES], ids=[r[0] for r in AGGREGATES]
)
def test_wrappers(scope: str, name: str, kind: int, attributes: Attributes) -> None:
    """Spans that may repeat what their children used."""
    assert call(attributes, scope, name, kind).kind == "aggregate"


@pytest.mark.parametrize(
    ("scope", "name", "kind", "attributes"), [row[1:] for row in IGNORED], ids=[r[0] for r in IGNORED]
)
def test_ignored(scope: str, name: str, kind: int, attributes: Attributes) -> None:
    """Spans that look like calls carry neither usage nor cost on."""
    found = call(attributes | {"gen_ai.usage.cost": 1.0, "operation.cost": 1.0}, scope, name, kind)
    assert (found.kind, dict(found.usage), found.reported_cost_pico_usd) == ("ignore", {}, None)


@pytest.mark.parametrize(("scope", "name", "attributes"), NOT_GEN_AI)
def test_other_spans(scope: str, name: str, attributes: Attributes) -> None:
    """HTTP spans of a call, and spans that only bear owners, are no GenAI spans."""
    assert read(attributes, scope, name) is None


def test_a_failed_call_without_usage_is_a_failed_leaf() -> None:
    """Nothing to bill, and nothing missing."""
    found = call(chat(), status=2)
    assert (found.kind, found.failed, dict(found.usage), found.flags) == ("leaf", True, {}, Flag.NONE)
    assert call(chat() | {"error.type": "timeout"}).failed


def test_a_failed_call_with_usage_keeps_it() -> None:
    """What was reported is billed."""
    assert call(chat(input_tokens=5, output_tokens=1), status=2).usage["input_tokens"] == 5


def test_a_call_that_succeeded_without_usage_is_flagged() -> None:
    """A stream whose usage was not asked for; all zeros say no more than that."""
    for attributes in (chat(), chat(input_tokens=0, output_tokens=0)):
        found = call(attributes)
        assert (dict(found.usage), found.flags) == ({}, Flag.USAGE_MISSING)


def test_embeddings_have_input_alone() -> None:
    """No output is not an output of 0."""
    found = call({"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 5})
    assert dict(found.usage) == {"input_tokens": 5}


def test_a_gateways_cache_hit_is_flagged_and_keeps_its_tokens() -> None:
    """The provider billed nothing; the tokens are what was saved."""
    found = call(chat(input_tokens=5, output_tokens=1) | {"litellm.cache_hit": True}, "litellm")
    assert found.flags == Flag.CACHE_HIT
    assert found.usage["input_tokens"] == 5


def test_aggregated_usage_is_never_read() -> None:
    """pydantic-ai's agent spans repeat the sum of their children under names of their own."""
    found = call(
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.aggregated_usage.input_tokens": 500},
        "pydantic-ai",
        "agent",
        1,
    )
    assert dict(found.usage) == {}
