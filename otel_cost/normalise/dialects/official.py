"""OpenTelemetry's own instrumentations: genai-*, google-genai, openai-v2, and two that count Bedrock as is.

Source: opentelemetry-instrumentation-genai-* 1.3b0, openai-v2 2.4b0, botocore 0.66b2.
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost.normalise.dialects.generic import GENERIC
from otel_cost.normalise.rules import Accounting, Input

OFFICIAL = replace(
    GENERIC,
    name="official",
    rank=2,
    markers=(),
    scopes=("opentelemetry.instrumentation.google_genai", "opentelemetry.util.genai.handler"),
    scope_prefixes=("opentelemetry.instrumentation.genai.", "opentelemetry.instrumentation.openai_v2"),
)

# Converse's inputTokens as they are: against the convention, they leave out cache reads and writes.
EXCLUSIVE = (Accounting(Input.EXCLUSIVE),)

OFFICIAL_BEDROCK = replace(
    OFFICIAL,
    name="official_bedrock",
    scopes=(),
    scope_prefixes=("opentelemetry.instrumentation.genai.bedrock",),
    accounting=EXCLUSIVE,
    default_provider="aws.bedrock",
)

BOTOCORE = replace(
    OFFICIAL_BEDROCK,
    name="botocore",
    rank=2,
    scope_prefixes=("opentelemetry.instrumentation.botocore",),
)
