"""Vercel's AI SDK: `ai.*` names up to version 6 (and its legacy exporter), the conventions' names from version 7.

Outer spans (`ai.generateText`) repeat the sum of the calls below them (`.doGenerate`).
Source: vercel/ai packages/ai and packages/otel.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import GENERIC, USAGE
from otel_cost.normalise.rules import (
    Accounting,
    Input,
    Source,
    aggregate,
    counts,
    ends,
    inside,
    is_in,
    lacks,
    leaf,
    texts,
)

OUTER_TEXT = ("generatetext", "streamtext", "generateobject", "streamobject")
OUTER_EMBED = ("embed", "embedmany")
CACHE_METADATA = ("anthropic.cacheCreationInputTokens", "anthropic.usage.cache_creation_input_tokens")

VERCEL = replace(
    GENERIC,
    name="vercel",
    rank=3,
    scopes=("ai",),
    markers=(k.AI_OPERATION_ID,),
    rules=(
        leaf(ends(k.AI_OPERATION_ID, ".doGenerate", ".doStream"), operation="chat"),
        leaf(ends(k.AI_OPERATION_ID, ".doEmbed"), operation="embeddings"),
        leaf(ends(k.AI_OPERATION_ID, ".doRerank"), operation="rerank"),
        aggregate(is_in(k.AI_OPERATION_ID, *OUTER_TEXT, *(f"ai.{name}" for name in OUTER_TEXT)), operation="chat"),
        aggregate(
            is_in(k.AI_OPERATION_ID, *OUTER_EMBED, *(f"ai.{name}" for name in OUTER_EMBED)), operation="embeddings"
        ),
        aggregate(is_in(k.AI_OPERATION_ID, "ai.toolcall", "toolcall"), operation="execute_tool"),
    ),
    provider=texts(k.GEN_AI_PROVIDER_NAME, k.GEN_AI_SYSTEM, k.AI_MODEL_PROVIDER, transform="provider"),
    request_model=texts(k.GEN_AI_REQUEST_MODEL, k.AI_MODEL_ID, transform="model"),
    response_model=texts(k.GEN_AI_RESPONSE_MODEL, k.AI_RESPONSE_MODEL, transform="model"),
    response_id=texts(k.GEN_AI_RESPONSE_ID, k.AI_RESPONSE_ID),
    blobs={k.AI_RESPONSE_PROVIDER_METADATA: "json_object"},
    usage={
        **USAGE,
        "input_tokens": counts(
            *(k.AI_USAGE_INPUT_TOKENS, k.AI_USAGE_PROMPT_TOKENS, k.AI_USAGE_TOKENS),
            *(k.GEN_AI_USAGE_INPUT_TOKENS, k.GEN_AI_USAGE_PROMPT_TOKENS),
        ),
        "output_tokens": counts(
            *(k.AI_USAGE_OUTPUT_TOKENS, k.AI_USAGE_COMPLETION_TOKENS),
            *(k.GEN_AI_USAGE_OUTPUT_TOKENS, k.GEN_AI_USAGE_COMPLETION_TOKENS),
        ),
        "cache_read_tokens": counts(
            *(k.AI_USAGE_CACHE_READ_TOKENS, k.AI_USAGE_CACHED_INPUT_TOKENS),
            *inside(k.AI_RESPONSE_PROVIDER_METADATA, "anthropic.cacheReadInputTokens"),
            k.GEN_AI_USAGE_CACHE_READ,
        ),
        "cache_write_tokens": (
            Source(k.AI_USAGE_CACHE_WRITE_TOKENS, "positive"),  # 0 where the provider has no cache writes
            *counts(
                *inside(k.AI_RESPONSE_PROVIDER_METADATA, *CACHE_METADATA),
                *(k.GEN_AI_USAGE_CACHE_WRITE, k.GEN_AI_USAGE_CACHE_CREATION),
            ),
        ),
        "output_reasoning_tokens": counts(
            *(k.AI_USAGE_DETAILS_REASONING_TOKENS, k.AI_USAGE_REASONING_TOKENS, k.GEN_AI_USAGE_REASONING)
        ),
        "total_tokens": counts(k.AI_USAGE_TOTAL_TOKENS, k.GEN_AI_USAGE_TOTAL_TOKENS),
    },
    # Versions 4 and 5 pass Anthropic's counts on as they come; version 6 shows itself by its input details.
    accounting=(
        Accounting(
            Input.EXCLUSIVE,
            providers=frozenset({"anthropic", "aws.bedrock"}),
            when=(
                lacks(k.AI_USAGE_CACHE_READ_TOKENS),
                lacks(k.AI_USAGE_CACHE_WRITE_TOKENS),
                lacks(k.AI_USAGE_NO_CACHE_TOKENS),
            ),
        ),
    ),
)

VERCEL_7 = replace(
    GENERIC,
    name="vercel_7",
    rank=3,
    markers=(),
    scopes=("gen_ai", "@ai-sdk/otel"),
    usage={
        **USAGE,
        "output_reasoning_tokens": (
            *USAGE["output_reasoning_tokens"],
            *counts(k.AI_USAGE_DETAILS_REASONING_TOKENS, k.AI_USAGE_REASONING_TOKENS),
        ),
    },
)
