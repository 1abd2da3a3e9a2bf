"""Tokens that a stream did not report, by the texts that it carried."""

from __future__ import annotations

from otel_cost.instrument.wire.types import Reading
from otel_cost.pricing.units import INPUT, OUTPUT
from otel_cost.ratios import TOKENS_OF_REPLY, TOKENS_PER_MESSAGE, TOKENS_PER_ROLE, tokens_in

_CHAT = frozenset({"chat", "generate_content"})
_TEXT = _CHAT | {"text_completion", "embeddings", "moderation"}
"""Operations that are billed by tokens of text; all others bill what no text shows."""

UNDER_WAY = frozenset({"queued", "in_progress", "processing", "pending", "running"})
"""Of jobs: their usage is not missing, it comes later."""

COMPLETE, ABANDONED, FAILED = "complete", "abandoned", "failed"
"""How a stream ended: values of `otel_cost.stream`."""


def estimated(reading: Reading, outcome: str) -> dict[str, int]:
    """`input_tokens` and `output_tokens` that have to be estimated; empty where everything is reported.

    A stream that was cut off may have reported its input alone.
    """
    usage, texts = reading.usage, reading.said
    if texts is None or reading.operation not in _TEXT or reading.status in UNDER_WAY or reading.parts:
        return {}
    cut_off = outcome != COMPLETE and reading.operation != "embeddings"
    is_known = reading.error_type is not None or any(usage.values())
    if not reading.is_billable or (is_known and not cut_off):
        return {}
    asked, delivered = texts()
    model = reading.response_model or reading.request_model or ""
    found = {}
    if asked and INPUT not in usage:
        chat = len(asked) * (TOKENS_PER_MESSAGE + TOKENS_PER_ROLE) + TOKENS_OF_REPLY
        found[INPUT] = tokens_in(model, asked) + (chat if reading.operation in _CHAT else 0)
    if delivered and OUTPUT not in usage:
        found[OUTPUT] = tokens_in(model, delivered)
    return found
