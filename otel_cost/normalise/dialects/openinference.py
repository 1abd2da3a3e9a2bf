"""OpenInference (Arize): `llm.*` names, one span kind per span; may repeat `gen_ai.*` beside its own.

Source: openinference-semantic-conventions 0.1.42 and the instrumentations that use it.
"""

from __future__ import annotations

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import (
    COST,
    HOST,
    PROVIDER,
    REQUEST_MODEL,
    RESPONSE_ID,
    RESPONSE_MODEL,
    SERVICE_TIER,
    USAGE,
)
from otel_cost.normalise.rules import (
    ANY_USAGE,
    SPAN_NAME,
    Dialect,
    Source,
    aggregate,
    counts,
    has,
    is_in,
    lacks,
    leaf,
    texts,
)

OPENINFERENCE = Dialect(
    name="openinference",
    rank=5,
    scope_prefixes=("openinference.", "@arizeai/openinference"),
    markers=(k.OPENINFERENCE_SPAN_KIND, k.LLM_TOKEN_COUNT_PROMPT, k.LLM_TOKEN_COUNT_COMPLETION, k.LLM_MODEL_NAME),
    rules=(
        leaf(
            is_in(k.OPENINFERENCE_SPAN_KIND, "llm"),
            is_in(SPAN_NAME, "imagesresponse", "createimage", "images.generate", "image_generation"),
            operation="image_generation",
        ),
        leaf(is_in(k.OPENINFERENCE_SPAN_KIND, "llm"), is_in(SPAN_NAME, "completion"), operation="chat"),
        leaf(is_in(k.OPENINFERENCE_SPAN_KIND, "llm"), operation="chat"),
        leaf(is_in(k.OPENINFERENCE_SPAN_KIND, "embedding"), operation="embeddings"),
        leaf(is_in(k.OPENINFERENCE_SPAN_KIND, "reranker"), operation="rerank"),
        leaf(is_in(k.OPENINFERENCE_SPAN_KIND, "decision"), operation="decision"),
        aggregate(
            is_in(k.OPENINFERENCE_SPAN_KIND, "agent"),
            operation="invoke_agent",
            agent=(k.GEN_AI_AGENT_NAME, k.AGENT_NAME, SPAN_NAME),
        ),
        aggregate(is_in(k.OPENINFERENCE_SPAN_KIND, "tool"), operation="execute_tool"),
        aggregate(is_in(k.OPENINFERENCE_SPAN_KIND, "retriever"), operation="retrieval"),
        leaf(lacks(k.OPENINFERENCE_SPAN_KIND), has(ANY_USAGE), operation="chat"),
    ),
    operation=texts(k.GEN_AI_OPERATION_NAME, transform="operation"),
    provider=(*texts(k.LLM_PROVIDER, k.LLM_SYSTEM, k.DECISION_PROVIDER, transform="provider"), *PROVIDER),
    request_model=(
        *texts(k.LLM_REQUEST_MODEL_NAME, transform="model"),
        *REQUEST_MODEL,
        *texts(
            k.LLM_MODEL_NAME,
            k.EMBEDDING_MODEL_NAME,
            k.RERANKER_MODEL_NAME,
            k.DECISION_REQUEST_MODEL_NAME,
            transform="model",
        ),
    ),
    response_model=(*texts(k.LLM_RESPONSE_MODEL_NAME, transform="model"), *RESPONSE_MODEL),
    response_id=RESPONSE_ID,
    service_tier=SERVICE_TIER,
    host=HOST,
    usage={
        **USAGE,
        "input_tokens": (
            *counts(k.LLM_TOKEN_COUNT_PROMPT, k.DECISION_TOKEN_COUNT_INPUT),
            *USAGE["input_tokens"],
        ),
        "output_tokens": (
            *counts(k.LLM_TOKEN_COUNT_COMPLETION, k.DECISION_TOKEN_COUNT_OUTPUT),
            *USAGE["output_tokens"],
        ),
        "cache_read_tokens": (
            *counts(k.LLM_TOKEN_COUNT_CACHE_READ, k.LLM_TOKEN_COUNT_CACHE_INPUT),
            *USAGE["cache_read_tokens"],
        ),
        "cache_write_tokens": (*counts(k.LLM_TOKEN_COUNT_CACHE_WRITE), *USAGE["cache_write_tokens"]),
        "output_reasoning_tokens": (*counts(k.LLM_TOKEN_COUNT_REASONING), *USAGE["output_reasoning_tokens"]),
        "input_audio_tokens": (*counts(k.LLM_TOKEN_COUNT_PROMPT_AUDIO), *USAGE["input_audio_tokens"]),
        "output_audio_tokens": (*counts(k.LLM_TOKEN_COUNT_COMPLETION_AUDIO), *USAGE["output_audio_tokens"]),
        "total_tokens": (*counts(k.LLM_TOKEN_COUNT_TOTAL), *USAGE["total_tokens"]),
    },
    cost=(Source(k.LLM_COST_TOTAL, "usd"), *COST),
)
