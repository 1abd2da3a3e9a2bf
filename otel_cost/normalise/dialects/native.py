"""Provider SDKs that write their own spans: anthropic (on by default) and mistralai (opt-in).

Source: anthropic 2.12.0 `_tracing.py`, mistralai 3.7.0 `extra/observability/otel.py`.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import GENERIC, RULES
from otel_cost.normalise.rules import SPAN_NAME, ignore, lacks, starts

ANTHROPIC_NATIVE = replace(
    GENERIC,
    name="anthropic_native",
    rank=1,  # alone in saying the time to live of cache writes, and the tier
    markers=(),
    scope_prefixes=("com.anthropic.sdk.python",),
    # count_tokens, batches, files, sessions: spans of the API that bill nothing, without an operation.
    rules=(ignore(lacks(k.GEN_AI_OPERATION_NAME), starts(SPAN_NAME, "anthropic.")), *RULES),
    default_provider="anthropic",
)

MISTRAL_NATIVE = replace(
    GENERIC,
    name="mistral_native",
    rank=2,
    markers=(),
    scopes=("mistralai_sdk_tracer",),
    default_provider="mistral_ai",
)
