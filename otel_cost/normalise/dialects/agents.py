"""Agent frameworks that write the conventions' names themselves: Google ADK, strands, Claude Code.

Source: google-adk 2.13.0, strands-agents 1.62.0 `telemetry/tracer.py`, mlflow's reading of Claude Code's spans.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import COST, GENERIC, RULES
from otel_cost.normalise.rules import (
    SPAN_NAME,
    Accounting,
    Dialect,
    Input,
    aggregate,
    counts,
    is_in,
    lacks,
    leaf,
    starts,
    texts,
)

ADK = replace(
    GENERIC,
    name="adk",
    rank=7,
    scopes=("gcp.vertex.agent",),
    markers=(k.ADK_LLM_REQUEST,),
    # Version 1: call_llm repeats the usage of the generate_content span below it.
    rules=(aggregate(lacks(k.GEN_AI_OPERATION_NAME), starts(SPAN_NAME, "call_llm")), *RULES),
)

STRANDS = replace(GENERIC, name="strands", rank=7, markers=(), scope_prefixes=("strands",))

CLAUDE_CODE = Dialect(
    name="claude_code",
    rank=7,
    name_prefixes=("claude_code.",),
    rules=(
        leaf(is_in(SPAN_NAME, "claude_code.llm_request"), operation="chat"),
        leaf(is_in(k.CLAUDE_CODE_SPAN_TYPE, "llm_request"), operation="chat"),
        aggregate(starts(SPAN_NAME, "claude_code.tool"), operation="execute_tool"),
    ),
    default_provider="anthropic",
    request_model=texts(k.CLAUDE_CODE_MODEL, k.GEN_AI_REQUEST_MODEL, transform="model"),
    response_model=texts(k.GEN_AI_RESPONSE_MODEL, transform="model"),
    response_id=texts(k.GEN_AI_RESPONSE_ID),
    usage={
        "input_tokens": counts(k.CLAUDE_CODE_INPUT_TOKENS),
        "output_tokens": counts(k.CLAUDE_CODE_OUTPUT_TOKENS),
        "cache_read_tokens": counts(k.CLAUDE_CODE_CACHE_READ),
        "cache_write_tokens": counts(k.CLAUDE_CODE_CACHE_CREATION),
    },
    cost=COST,
    accounting=(Accounting(Input.EXCLUSIVE),),
)
