"""LLM spans as instrumentations write them: what the in-app benchmark starts and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import SpanKind


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of span: attributes known at its start, those of the response, and the same usage for genai-prices."""

    scope: str
    name: str
    start: dict[str, Any]
    end: dict[str, Any]
    response_id_key: str | None
    provider: str
    model: str
    usage: dict[str, int]
    kind: SpanKind = SpanKind.CLIENT


CHAT = Shape(
    scope="opentelemetry.instrumentation.genai.openai",
    name="chat gpt-4o-mini",
    start={
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 1024,
        "gen_ai.request.top_p": 1.0,
        "openai.api.type": "chat_completions",
        "gen_ai.output.type": "text",
    },
    end={
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ("stop",),
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_0123456789",
        "gen_ai.usage.input_tokens": 1423,
        "gen_ai.usage.output_tokens": 391,
        "gen_ai.usage.cache_read.input_tokens": 1024,
        "gen_ai.usage.reasoning.output_tokens": 128,
        "gen_ai.conversation.id": "conv-0123456789",
    },
    response_id_key="gen_ai.response.id",
    provider="openai",
    model="gpt-4o-mini-2024-07-18",
    usage={
        "input_tokens": 1423,
        "output_tokens": 391,
        "cache_read_tokens": 1024,
        "output_reasoning_tokens": 128,
    },
)
"""A chat call with cached and reasoning tokens: OpenTelemetry's instrumentation, 20 attributes."""

CACHE_WRITE = Shape(
    scope="opentelemetry.instrumentation.genai.anthropic",
    name="chat claude-sonnet-4-5",
    start={
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "server.address": "api.anthropic.com",
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.request.temperature": 0.2,
    },
    end={
        "gen_ai.response.model": "claude-sonnet-4-5-20250929",
        "gen_ai.response.finish_reasons": ("end_turn",),
        "gen_ai.usage.input_tokens": 9200,
        "gen_ai.usage.output_tokens": 540,
        "gen_ai.usage.cache_read.input_tokens": 6000,
        "gen_ai.usage.cache_creation.input_tokens": 2048,
    },
    response_id_key="gen_ai.response.id",
    provider="anthropic",
    model="claude-sonnet-4-5-20250929",
    usage={
        "input_tokens": 9200,
        "output_tokens": 540,
        "cache_read_tokens": 6000,
        "cache_write_tokens": 2048,
    },
)
"""An Anthropic call that reads and writes the prompt cache: OpenTelemetry's instrumentation."""

CACHE_WRITE_TTL = Shape(
    scope="com.anthropic.sdk.python",
    name="chat claude-sonnet-4-5",
    start=CACHE_WRITE.start,
    end={
        **CACHE_WRITE.end,
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 1024,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 1024,
        "anthropic.response.service_tier": "standard",
    },
    response_id_key="gen_ai.response.id",
    provider="anthropic",
    model="claude-sonnet-4-5-20250929",
    usage={**CACHE_WRITE.usage, "cache_write_1h_tokens": 1024},
)
"""The same as the Anthropic SDK writes it itself: with the time to live of the writes."""

FIRST_GENERATION = Shape(
    scope="opentelemetry.instrumentation.openai.v1",
    name="openai.chat",
    start={
        "llm.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.openai.api_base": "https://api.openai.com/v1/",
        "llm.headers": "None",
        "llm.is_streaming": False,
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Tell me a joke about OpenTelemetry.",
    },
    end={
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "llm.usage.total_tokens": 1814,
        "gen_ai.usage.prompt_tokens": 1423,
        "gen_ai.usage.completion_tokens": 391,
        "gen_ai.completion.0.finish_reason": "stop",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "Why did the span cross the road? To get to the other trace.",
    },
    response_id_key="gen_ai.response.id",
    provider="openai",
    model="gpt-4o-mini-2024-07-18",
    usage={"input_tokens": 1423, "output_tokens": 391},
)
"""OpenLLMetry's first vocabulary: prompt and completion tokens, a total."""

OPENINFERENCE = Shape(
    scope="openinference.instrumentation.openai",
    name="ChatCompletion",
    start={
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.system": "openai",
        "input.value": '{"messages": [{"role": "user", "content": "Tell me a joke."}], "model": "gpt-4o-mini"}',
        "input.mime_type": "application/json",
        "llm.invocation_parameters": '{"model": "gpt-4o-mini", "temperature": 0.2}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Tell me a joke.",
    },
    end={
        "output.value": '{"id": "chatcmpl-1", "choices": [{"finish_reason": "stop"}]}',
        "output.mime_type": "application/json",
        "llm.model_name": "gpt-4o-mini-2024-07-18",
        "llm.token_count.total": 1814,
        "llm.token_count.prompt": 1423,
        "llm.token_count.completion": 391,
        "llm.token_count.prompt_details.cache_read": 1024,
        "llm.token_count.prompt_details.audio": 0,
        "llm.token_count.completion_details.reasoning": 128,
        "llm.token_count.completion_details.audio": 0,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "Why did the span cross the road?",
    },
    response_id_key=None,
    provider="openai",
    model="gpt-4o-mini-2024-07-18",
    usage=CHAT.usage,
    kind=SpanKind.INTERNAL,
)
"""OpenInference: its own names, a total, and zeros for the modalities that were not used."""

OPENLIT = Shape(
    scope="openlit.otel.tracing",
    name="chat gpt-4o-mini",
    start={
        "telemetry.sdk.name": "openlit",
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.request.max_tokens": -1,
        "gen_ai.environment": "default",
        "gen_ai.application_name": "app",
    },
    end={
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1423,
        "gen_ai.usage.output_tokens": 391,
        "gen_ai.usage.total_tokens": 1814,
        "gen_ai.usage.cost": 0.000448,
    },
    response_id_key="gen_ai.response.id",
    provider="openai",
    model="gpt-4o-mini-2024-07-18",
    usage={"input_tokens": 1423, "output_tokens": 391},
)
"""OpenLIT: a total, and a cost that it computed itself."""

SHAPES = {
    "chat": CHAT,
    "anthropic_cache_write": CACHE_WRITE,
    "anthropic_cache_write_ttl": CACHE_WRITE_TTL,
    "first_generation": FIRST_GENERATION,
    "openinference": OPENINFERENCE,
    "openlit": OPENLIT,
}
"""Every kind of span that is measured, by its name in the report."""
