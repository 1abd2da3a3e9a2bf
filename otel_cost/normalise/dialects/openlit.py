"""OpenLIT and genai-otel-instrument: the conventions' names with totals and costs of their own.

Source: openlit 1.45.0, genai-otel-instrument 1.42.0.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import COST, GENERIC, USAGE
from otel_cost.normalise.rules import Accounting, Input, Source, counts

OPENLIT = replace(
    GENERIC,
    name="openlit",
    rank=6,
    scope_prefixes=("openlit",),
    markers=(),
    marker_values=((k.TELEMETRY_SDK_NAME, "openlit"),),
    usage={
        **USAGE,
        "output_audio_tokens": (*USAGE["output_audio_tokens"], *counts(k.OPENLIT_AUDIO_TOKENS)),
        "total_tokens": (*USAGE["total_tokens"], *counts(k.OPENLIT_TOKEN_USAGE)),
    },
    cost=(Source(k.GEN_AI_USAGE_COST, "usd"), *COST),
    # Anthropic's and Bedrock's input counts as they come; all other wrappers include the cache.
    accounting=(Accounting(Input.EXCLUSIVE, providers=frozenset({"anthropic", "aws.bedrock"})),),
)

GENAI_OTEL = replace(
    GENERIC,
    name="genai_otel",
    rank=7,
    scope_prefixes=("genai_otel",),
    markers=(k.GENAI_OTEL_RECORDED_BY, k.GENAI_OTEL_COST_TOTAL),
    cost=(Source(k.GENAI_OTEL_COST_TOTAL, "usd"), *COST),
)
