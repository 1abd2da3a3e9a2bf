"""Microsoft Semantic Kernel: event-based spans, often without operation or usage.

Source: recorded spans (Microsoft.SemanticKernel).
"""

from __future__ import annotations

from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import GENERIC, RULES
from otel_cost.normalise.rules import SPAN_NAME, leaf, starts, texts

SEMANTIC_KERNEL = replace(
    GENERIC,
    name="semantic_kernel",
    rank=7,
    markers=(),
    scope_prefixes=("Microsoft.SemanticKernel", "semantic_kernel"),
    rules=(leaf(starts(SPAN_NAME, "chat_completion", "chat.completions"), operation="chat"), *RULES),
    # Its event-based spans name the model once, as the response's.
    request_model=texts(k.GEN_AI_REQUEST_MODEL, k.GEN_AI_RESPONSE_MODEL, transform="model"),
)
