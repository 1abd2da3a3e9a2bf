"""The columns that most dialects share: OpenTelemetry's GenAI conventions, today's names first, deprecated ones after.

Source: open-telemetry/semantic-conventions-genai (client-inference, migration) and the published instrumentations.
`GENERIC` is the dialect of spans that use these names under a scope that we do not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_cost import attributes as k
from otel_cost.normalise.rules import (
    ANY_USAGE,
    SPAN_KIND,
    SPAN_NAME,
    Dialect,
    Source,
    Sources,
    aggregate,
    counts,
    has,
    ignore,
    is_in,
    lacks,
    leaf,
    texts,
)
from otel_cost.normalise.vocabulary import AGGREGATE_OPERATIONS, IGNORED_OPERATIONS, LEAF_OPERATIONS

OPERATION = texts(k.GEN_AI_OPERATION_NAME, k.LLM_REQUEST_TYPE, transform="operation")
PROVIDER = texts(k.GEN_AI_PROVIDER_NAME, k.GEN_AI_SYSTEM, transform="provider")
REQUEST_MODEL = texts(k.GEN_AI_REQUEST_MODEL, transform="model")
RESPONSE_MODEL = texts(k.GEN_AI_RESPONSE_MODEL, transform="model")
RESPONSE_ID = texts(k.GEN_AI_RESPONSE_ID)
SERVICE_TIER = texts(
    k.OTEL_COST_SERVICE,
    k.ANTHROPIC_RESPONSE_SERVICE_TIER,
    k.OPENAI_RESPONSE_SERVICE_TIER,
    k.GEN_AI_RESPONSE_SERVICE_TIER,
    k.GEN_AI_OPENAI_RESPONSE_SERVICE_TIER,
    k.ANTHROPIC_REQUEST_SERVICE_TIER,
    k.OPENAI_REQUEST_SERVICE_TIER,
    k.GEN_AI_OPENAI_REQUEST_SERVICE_TIER,
    transform="tier",
)
HOST = texts(k.SERVER_ADDRESS, k.GEN_AI_OPENAI_API_BASE, transform="host")
COST = (
    Source(k.GEN_AI_USAGE_COST_AMOUNT, "usd"),
    Source(k.OTEL_COST_COST_USD, "usd"),
)

OWN_COUNTS = (
    *("web_searches", "web_searches_low", "web_searches_medium", "web_searches_high", "map_searches"),
    *("storage_searches", "social_searches", "rerank_searches", "code_executions", "code_interpreter_sessions"),
    *("input_characters", "output_characters", "input_text_messages", "requests"),
    *("input_images", "output_images", "input_pixels", "input_annotated_document_pages"),
    *("cache_write_12h_tokens", "output_citation_tokens", "input_video_tokens", "output_video_tokens"),
)
OWN_SECONDS = (
    *("audio_seconds", "input_audio_seconds", "output_audio_seconds", "output_video_seconds"),
    *("gpu_seconds", "vector_store_gb_days"),
)
"""Quantities without a name in any convention travel under our own; these may have decimals."""

USAGE: Mapping[str, Sources] = {
    "input_tokens": counts(k.GEN_AI_USAGE_INPUT_TOKENS, k.GEN_AI_USAGE_PROMPT_TOKENS),
    "output_tokens": counts(k.GEN_AI_USAGE_OUTPUT_TOKENS, k.GEN_AI_USAGE_COMPLETION_TOKENS),
    "cache_read_tokens": counts(k.GEN_AI_USAGE_CACHE_READ, k.GEN_AI_USAGE_CACHE_READ_FLAT),
    "cache_write_tokens": counts(
        k.GEN_AI_USAGE_CACHE_WRITE,
        k.GEN_AI_USAGE_CACHE_CREATION,
        k.GEN_AI_USAGE_CACHE_CREATION_FLAT,
        k.GEN_AI_USAGE_CACHE_WRITE_FLAT,
    ),
    "cache_write_5m_tokens": counts(k.ANTHROPIC_USAGE_CACHE_5M),
    "cache_write_1h_tokens": counts(k.ANTHROPIC_USAGE_CACHE_1H),
    "output_reasoning_tokens": counts(k.GEN_AI_USAGE_REASONING, k.GEN_AI_USAGE_REASONING_FLAT),
    "input_audio_tokens": counts(k.GEN_AI_USAGE_AUDIO_INPUT),
    "output_audio_tokens": counts(k.GEN_AI_USAGE_AUDIO_OUTPUT),
    "cache_audio_read_tokens": counts(k.GEN_AI_USAGE_AUDIO_CACHE_READ),
    "input_image_tokens": counts(k.GEN_AI_USAGE_IMAGE_INPUT),
    "output_image_tokens": counts(k.GEN_AI_USAGE_IMAGE_OUTPUT),
    "cache_image_read_tokens": counts(k.GEN_AI_USAGE_IMAGE_CACHE_READ),
    **{unit: counts(k.OTEL_COST_USAGE_PREFIX + unit) for unit in OWN_COUNTS},
    **{unit: (Source(k.OTEL_COST_USAGE_PREFIX + unit, "micros"),) for unit in OWN_SECONDS},
    "input_document_pages": counts(k.OTEL_COST_USAGE_PREFIX + "input_document_pages", k.MISTRAL_OCR_PAGES),
    "total_tokens": counts(k.GEN_AI_USAGE_TOTAL_TOKENS, k.LLM_USAGE_TOTAL_TOKENS),
}

RULES = (
    ignore(is_in(k.GEN_AI_OPERATION_NAME, *IGNORED_OPERATIONS)),
    leaf(is_in(k.GEN_AI_OPERATION_NAME, *LEAF_OPERATIONS)),
    leaf(is_in(k.GEN_AI_OPERATION_NAME, "completion", "embedding", "embed", "chat_completion", "image", "audio")),
    aggregate(
        is_in(k.GEN_AI_OPERATION_NAME, "invoke_agent", "create_agent"),
        agent=(k.GEN_AI_AGENT_NAME,),
    ),
    aggregate(is_in(k.GEN_AI_OPERATION_NAME, *AGGREGATE_OPERATIONS)),
    ignore(is_in(SPAN_NAME, "raw_gen_ai_request")),
    # A custom operation is a call when a client span names a model and its usage (else a step of some framework).
    leaf(has(k.GEN_AI_REQUEST_MODEL), has(ANY_USAGE), is_in(SPAN_KIND, "client")),
    # Spans of older conventions have no operation: the request type, or model and usage, mark the call.
    leaf(lacks(k.GEN_AI_OPERATION_NAME), has(k.LLM_REQUEST_TYPE)),
    leaf(lacks(k.GEN_AI_OPERATION_NAME), has(k.GEN_AI_RESPONSE_MODEL), has(ANY_USAGE)),
    leaf(lacks(k.GEN_AI_OPERATION_NAME), has(k.GEN_AI_REQUEST_MODEL), has(ANY_USAGE), lacks(k.GEN_AI_AGENT_NAME)),
    leaf(lacks(k.GEN_AI_OPERATION_NAME), has(k.GEN_AI_RESPONSE_MODEL), is_in(SPAN_KIND, "client")),
)

GENERIC = Dialect(
    name="gen_ai",
    rank=7,
    markers=(
        k.GEN_AI_OPERATION_NAME,
        k.GEN_AI_PROVIDER_NAME,
        k.GEN_AI_SYSTEM,
        k.GEN_AI_REQUEST_MODEL,
        k.GEN_AI_RESPONSE_MODEL,
        k.GEN_AI_USAGE_INPUT_TOKENS,
        k.GEN_AI_USAGE_OUTPUT_TOKENS,
        k.GEN_AI_USAGE_PROMPT_TOKENS,
        k.GEN_AI_USAGE_COMPLETION_TOKENS,
        k.LLM_REQUEST_TYPE,
    ),
    rules=RULES,
    usage=USAGE,
    operation=OPERATION,
    provider=PROVIDER,
    request_model=REQUEST_MODEL,
    response_model=RESPONSE_MODEL,
    response_id=RESPONSE_ID,
    service_tier=SERVICE_TIER,
    host=HOST,
    cost=COST,
)
