"""All dialects, in order of precedence: among scope prefixes the longest wins, among markers the first dialect."""

from __future__ import annotations

from otel_cost.normalise.dialects.agents import ADK, CLAUDE_CODE, STRANDS
from otel_cost.normalise.dialects.generic import GENERIC
from otel_cost.normalise.dialects.langfuse import LANGFUSE
from otel_cost.normalise.dialects.langsmith import LANGSMITH
from otel_cost.normalise.dialects.litellm import LITELLM
from otel_cost.normalise.dialects.mlflow import MLFLOW
from otel_cost.normalise.dialects.native import ANTHROPIC_NATIVE, MISTRAL_NATIVE
from otel_cost.normalise.dialects.official import BOTOCORE, OFFICIAL, OFFICIAL_BEDROCK
from otel_cost.normalise.dialects.openinference import OPENINFERENCE
from otel_cost.normalise.dialects.openlit import GENAI_OTEL, OPENLIT
from otel_cost.normalise.dialects.pydantic_ai import LOGFIRE, PYDANTIC_AI
from otel_cost.normalise.dialects.semantic_kernel import SEMANTIC_KERNEL
from otel_cost.normalise.dialects.traceloop import TRACELOOP, TRACELOOP_BEDROCK, TRACELOOP_GOOGLE
from otel_cost.normalise.dialects.vercel import VERCEL, VERCEL_7
from otel_cost.normalise.dialects.wire import WIRE, WIRE_ENRICHED

DIALECTS = (
    WIRE_ENRICHED,
    WIRE,
    ANTHROPIC_NATIVE,
    OFFICIAL,
    OFFICIAL_BEDROCK,
    BOTOCORE,
    MISTRAL_NATIVE,
    PYDANTIC_AI,
    LOGFIRE,
    STRANDS,
    SEMANTIC_KERNEL,
    OPENINFERENCE,
    LANGFUSE,
    MLFLOW,
    LANGSMITH,
    VERCEL,
    VERCEL_7,
    ADK,
    OPENLIT,
    GENAI_OTEL,
    LITELLM,
    TRACELOOP,
    TRACELOOP_BEDROCK,
    TRACELOOP_GOOGLE,
    CLAUDE_CODE,
    GENERIC,
)
