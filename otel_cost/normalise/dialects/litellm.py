"""LiteLLM's OpenTelemetry callbacks, v1 (often written onto the parent span) and v2. Source: litellm 1.109.1.

A v1 span may be anything, even the proxy's server span: usage beside a request type or LiteLLM's costs makes it a call.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import COST, GENERIC, RULES
from otel_cost.normalise.rules import ANY_USAGE, SPAN_NAME, Source, has, ignore, is_in, leaf, texts

LITELLM = replace(
    GENERIC,
    name="litellm",
    rank=3,
    scopes=("litellm",),
    scope_prefixes=("litellm.",),
    markers=(k.LITELLM_V1_COST_TOTAL, k.LITELLM_COST_TOTAL, k.LITELLM_PROVIDER_MODEL, k.LITELLM_CACHE_HIT),
    rules=(
        ignore(is_in(SPAN_NAME, "raw_gen_ai_request")),
        leaf(has(k.LLM_REQUEST_TYPE), has(ANY_USAGE)),
        leaf(has(k.LITELLM_V1_COST_TOTAL), has(ANY_USAGE)),
        *RULES,
    ),
    cost=(Source(k.LITELLM_COST_TOTAL, "usd"), Source(k.LITELLM_V1_COST_TOTAL, "usd"), *COST),
    cost_by_provider=True,
    cache_hit=texts(k.LITELLM_CACHE_HIT, transform="truth"),
)
