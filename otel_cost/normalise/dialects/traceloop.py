"""Traceloop / OpenLLMetry, Python and JavaScript, today's names and those of its older versions.

Source: opentelemetry-instrumentation-* 0.62.4 of Traceloop, semantic-conventions-ai 0.5.1.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import GENERIC, RULES, USAGE
from otel_cost.normalise.rules import Accounting, Input, aggregate, counts, is_in

TRACELOOP = replace(
    GENERIC,
    name="traceloop",
    rank=4,
    scope_prefixes=(
        *("opentelemetry.instrumentation.openai.", "opentelemetry.instrumentation.anthropic"),
        *("opentelemetry.instrumentation.langchain", "opentelemetry.instrumentation.cohere"),
        *("opentelemetry.instrumentation.mistralai", "opentelemetry.instrumentation.groq"),
        *("opentelemetry.instrumentation.openai_agents", "opentelemetry.instrumentation.llamaindex"),
        *("opentelemetry.instrumentation.ollama", "opentelemetry.instrumentation.together"),
        *("opentelemetry.instrumentation.replicate", "opentelemetry.instrumentation.watsonx"),
        *("opentelemetry.instrumentation.sagemaker", "opentelemetry.instrumentation.crewai"),
        *("opentelemetry.instrumentation.alephalpha", "opentelemetry.instrumentation.writer"),
        *("opentelemetry.instrumentation.haystack", "traceloop.", "@traceloop/"),
    ),
    markers=(k.TRACELOOP_SPAN_KIND,),
    rules=(
        aggregate(is_in(k.TRACELOOP_SPAN_KIND, "agent"), agent=(k.GEN_AI_AGENT_NAME, k.TRACELOOP_ENTITY_NAME)),
        aggregate(is_in(k.TRACELOOP_SPAN_KIND, "workflow", "task", "tool")),
        *RULES,
    ),
    usage={
        **USAGE,
        "input_tokens": (*USAGE["input_tokens"], *counts(k.LLM_USAGE_PROMPT_TOKENS)),
        "output_tokens": (*USAGE["output_tokens"], *counts(k.LLM_USAGE_COMPLETION_TOKENS)),
        "output_reasoning_tokens": (*USAGE["output_reasoning_tokens"], *counts(k.LLM_USAGE_REASONING_TOKENS)),
    },
)

TRACELOOP_BEDROCK = replace(
    TRACELOOP,
    name="traceloop_bedrock",
    scope_prefixes=("opentelemetry.instrumentation.bedrock",),
    markers=(),
    accounting=(Accounting(Input.EXCLUSIVE),),
    default_provider="aws.bedrock",
)

# The output is Gemini's candidates alone; thoughts are only in the total.
TRACELOOP_GOOGLE = replace(
    TRACELOOP,
    name="traceloop_google",
    scope_prefixes=(
        "opentelemetry.instrumentation.google_generativeai",
        "opentelemetry.instrumentation.vertexai",
    ),
    markers=(),
    output_is_total_minus_input=True,
)
