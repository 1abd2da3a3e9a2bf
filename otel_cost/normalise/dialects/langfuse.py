"""langfuse SDK: usage and cost as JSON objects in attributes.

Its LangChain handler takes every detail out of `input` and `output` (disjoint parts); its OpenAI wrapper passes
OpenAI's object on (inclusive). Source: langfuse 5.0.4.
"""

from __future__ import annotations

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import COST, PROVIDER, RESPONSE_ID, SERVICE_TIER
from otel_cost.normalise.rules import (
    SPAN_NAME,
    Accounting,
    Dialect,
    Input,
    Source,
    aggregate,
    counts,
    has,
    inside,
    is_in,
    leaf,
    texts,
)

USAGE_KEY = k.LANGFUSE_USAGE_DETAILS
PROMPT_TOKENS = inside(USAGE_KEY, "prompt_tokens")

LANGFUSE = Dialect(
    name="langfuse",
    rank=7,
    scopes=("langfuse-sdk",),
    scope_prefixes=("langfuse",),
    markers=(k.LANGFUSE_OBSERVATION_TYPE,),
    rules=(
        leaf(is_in(k.LANGFUSE_OBSERVATION_TYPE, "generation"), operation="chat"),
        leaf(is_in(k.LANGFUSE_OBSERVATION_TYPE, "embedding"), operation="embeddings"),
        aggregate(
            is_in(k.LANGFUSE_OBSERVATION_TYPE, "agent"),
            operation="invoke_agent",
            agent=(k.GEN_AI_AGENT_NAME, SPAN_NAME),
        ),
        aggregate(is_in(k.LANGFUSE_OBSERVATION_TYPE, "tool"), operation="execute_tool"),
    ),
    provider=PROVIDER,
    request_model=texts(k.LANGFUSE_MODEL_NAME, k.GEN_AI_REQUEST_MODEL, transform="model"),
    response_model=texts(k.GEN_AI_RESPONSE_MODEL, transform="model"),
    response_id=RESPONSE_ID,
    service_tier=SERVICE_TIER,
    blobs={USAGE_KEY: "json_object", k.LANGFUSE_COST_DETAILS: "json_object"},
    usage={
        "input_tokens": counts(
            *inside(USAGE_KEY, "prompt_tokens", "input", "input_tokens"), k.GEN_AI_USAGE_INPUT_TOKENS
        ),
        "output_tokens": counts(
            *inside(USAGE_KEY, "completion_tokens", "output", "output_tokens"), k.GEN_AI_USAGE_OUTPUT_TOKENS
        ),
        "cache_read_tokens": counts(
            *inside(
                USAGE_KEY,
                "input_cache_read",
                "input_cached_tokens",
                "prompt_tokens_details.cached_tokens",
                "input_tokens_details.cached_tokens",
                "cache_read_input_tokens",
            )
        ),
        "cache_write_tokens": counts(
            *inside(
                USAGE_KEY,
                "input_cache_creation",
                "input_cache_write",
                "prompt_tokens_details.cache_write_tokens",
                "input_tokens_details.cache_write_tokens",
                "cache_creation_input_tokens",
            )
        ),
        "cache_write_5m_tokens": counts(
            *inside(USAGE_KEY, "input_cache_creation_5m", "input_ephemeral_5m_input_tokens")
        ),
        "cache_write_1h_tokens": counts(
            *inside(USAGE_KEY, "input_cache_creation_1h", "input_ephemeral_1h_input_tokens")
        ),
        "output_reasoning_tokens": counts(
            *inside(
                USAGE_KEY,
                "output_reasoning",
                "output_reasoning_tokens",
                "completion_tokens_details.reasoning_tokens",
                "output_tokens_details.reasoning_tokens",
            )
        ),
        "input_audio_tokens": counts(
            *inside(USAGE_KEY, "input_audio", "input_audio_tokens", "prompt_tokens_details.audio_tokens")
        ),
        "output_audio_tokens": counts(
            *inside(USAGE_KEY, "output_audio", "output_audio_tokens", "completion_tokens_details.audio_tokens")
        ),
        "total_tokens": counts(*inside(USAGE_KEY, "total", "total_tokens")),
    },
    cost=(*(Source(key, "usd") for key in inside(k.LANGFUSE_COST_DETAILS, "total")), *COST),
    accounting=(
        *(Accounting(Input.UNKNOWN, when=(has(key),)) for key in PROMPT_TOKENS),
        *(Accounting(Input.EXCLUSIVE, when=(has(key),)) for key in inside(USAGE_KEY, "cache_read_input_tokens")),
        *(Accounting(Input.DISJOINT, when=(has(key),)) for key in inside(USAGE_KEY, "input")),
    ),
)
