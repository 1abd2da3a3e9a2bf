"""pydantic-ai and logfire. Counts follow the conventions; details and raw provider usage stand beside them.

`gen_ai.aggregated_usage.*` and `gen_ai.usage.partial.*` are never read. Source: pydantic-ai-slim 2.68.0, logfire 5.4.0.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import COST, GENERIC, RESPONSE_ID, RULES, USAGE
from otel_cost.normalise.rules import (
    ANY_USAGE,
    SPAN_NAME,
    Source,
    aggregate,
    counts,
    has,
    ignore,
    inside,
    is_in,
    lacks,
    leaf,
    starts,
    texts,
)

DETAILS = {
    **USAGE,
    "cache_read_tokens": (*USAGE["cache_read_tokens"], *counts(k.DETAILS_CACHE_READ_TOKENS)),
    "cache_write_tokens": (*USAGE["cache_write_tokens"], *counts(k.DETAILS_CACHE_WRITE_TOKENS)),
    "cache_write_5m_tokens": (*USAGE["cache_write_5m_tokens"], *counts(k.DETAILS_CACHE_5M_TOKENS)),
    "cache_write_1h_tokens": (*USAGE["cache_write_1h_tokens"], *counts(k.DETAILS_CACHE_1H_TOKENS)),
    "output_reasoning_tokens": (*USAGE["output_reasoning_tokens"], *counts(k.DETAILS_REASONING_TOKENS)),
    "input_audio_tokens": (*USAGE["input_audio_tokens"], *counts(k.DETAILS_INPUT_AUDIO_TOKENS)),
    "output_audio_tokens": (*USAGE["output_audio_tokens"], *counts(k.DETAILS_OUTPUT_AUDIO_TOKENS)),
    "cache_audio_read_tokens": (*USAGE["cache_audio_read_tokens"], *counts(k.DETAILS_CACHE_AUDIO_READ_TOKENS)),
    "web_searches": (*USAGE["web_searches"], *counts(k.DETAILS_WEB_SEARCH_REQUESTS)),
}

PYDANTIC_AI = replace(
    GENERIC,
    name="pydantic_ai",
    rank=3,
    markers=(),
    scopes=("pydantic-ai",),
    rules=(
        *RULES,
        aggregate(starts(SPAN_NAME, "agent run"), operation="invoke_agent", agent=(k.AGENT_NAME_FLAT,)),
        aggregate(starts(SPAN_NAME, "running tool"), operation="execute_tool"),
    ),
    usage=DETAILS,
    cost=(Source(k.OPERATION_COST, "usd"), *COST),
)

LOGFIRE = replace(
    PYDANTIC_AI,
    name="logfire",
    scopes=("logfire",),
    scope_prefixes=("logfire.",),
    rules=(
        # Chat spans of the Claude Agent SDK count in parts that do not add up; the root has the final usage.
        ignore(has(k.GEN_AI_USAGE_PARTIAL_INPUT)),
        ignore(has(k.GEN_AI_USAGE_PARTIAL_OUTPUT)),
        # A stream's request span ends before the answer; the answer's usage is on a log span of its own, in whatever
        # trace is current by then. A request that failed has a level and stays a call.
        ignore(
            has(k.LOGFIRE_REQUEST_DATA),
            is_in(k.LOGFIRE_SPAN_TYPE, "span"),
            lacks(k.LOGFIRE_RESPONSE_DATA),
            lacks(ANY_USAGE),
            lacks(k.LOGFIRE_LEVEL),
        ),
        *RULES,
        aggregate(
            is_in(k.LOGFIRE_MSG_TEMPLATE, "agent run: {name!r}"), operation="invoke_agent", agent=(k.LOGFIRE_NAME,)
        ),
        aggregate(is_in(k.LOGFIRE_MSG_TEMPLATE, "function: {name}"), operation="execute_tool"),
        leaf(
            lacks(k.GEN_AI_OPERATION_NAME),
            has(k.GEN_AI_REQUEST_MODEL),
            starts(k.LOGFIRE_MSG_TEMPLATE, "Speech → Text"),
            operation="transcription",
        ),
        leaf(
            lacks(k.GEN_AI_OPERATION_NAME),
            has(k.GEN_AI_REQUEST_MODEL),
            starts(k.LOGFIRE_MSG_TEMPLATE, "Text → Speech"),
            operation="speech",
        ),
        leaf(lacks(k.GEN_AI_OPERATION_NAME), has(k.GEN_AI_REQUEST_MODEL), has(ANY_USAGE)),
    ),
    response_id=(*RESPONSE_ID, *texts(k.LOGFIRE_RESPONSE_ID)),
    # `usage`: OpenAI Agents, on calls and on the turns above them; `gen_ai.usage.raw`: what the provider answered.
    blobs={k.LOGFIRE_USAGE: "json_object", k.LOGFIRE_USAGE_RAW: "json_object"},
    usage={
        **DETAILS,
        "input_tokens": (*DETAILS["input_tokens"], *counts(*inside(k.LOGFIRE_USAGE, "input_tokens"))),
        "output_tokens": (*DETAILS["output_tokens"], *counts(*inside(k.LOGFIRE_USAGE, "output_tokens"))),
        "cache_read_tokens": (
            *DETAILS["cache_read_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE, "input_tokens_details.cached_tokens", "cached_input_tokens")),
            *counts(
                *inside(
                    k.LOGFIRE_USAGE_RAW,
                    "prompt_tokens_details.cached_tokens",
                    "input_tokens_details.cached_tokens",
                    "cache_read_input_tokens",
                )
            ),
        ),
        # The Agents SDK fills in 0 where the provider says nothing.
        "cache_write_tokens": (
            *DETAILS["cache_write_tokens"],
            *(
                Source(key, "positive")
                for key in (
                    *inside(k.LOGFIRE_USAGE, "input_tokens_details.cache_write_tokens", "cache_write_input_tokens"),
                    *inside(
                        k.LOGFIRE_USAGE_RAW,
                        "prompt_tokens_details.cache_write_tokens",
                        "input_tokens_details.cache_write_tokens",
                        "cache_creation_input_tokens",
                    ),
                )
            ),
        ),
        "cache_write_5m_tokens": (
            *DETAILS["cache_write_5m_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE_RAW, "cache_creation.ephemeral_5m_input_tokens")),
        ),
        "cache_write_1h_tokens": (
            *DETAILS["cache_write_1h_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE_RAW, "cache_creation.ephemeral_1h_input_tokens")),
        ),
        "output_reasoning_tokens": (
            *DETAILS["output_reasoning_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE, "output_tokens_details.reasoning_tokens")),
            *counts(
                *inside(
                    k.LOGFIRE_USAGE_RAW,
                    "completion_tokens_details.reasoning_tokens",
                    "output_tokens_details.reasoning_tokens",
                    "output_tokens_details.thinking_tokens",
                )
            ),
        ),
        "input_audio_tokens": (
            *DETAILS["input_audio_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE_RAW, "prompt_tokens_details.audio_tokens")),
        ),
        "output_audio_tokens": (
            *DETAILS["output_audio_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE_RAW, "completion_tokens_details.audio_tokens")),
        ),
        "input_image_tokens": (
            *DETAILS["input_image_tokens"],
            *counts(*inside(k.LOGFIRE_USAGE_RAW, "prompt_tokens_details.image_tokens")),
        ),
        "web_searches": (
            *DETAILS["web_searches"],
            *counts(*inside(k.LOGFIRE_USAGE_RAW, "server_tool_use.web_search_requests")),
        ),
    },
)
