"""From the ledger's columns to what is added to each forwarded span: cost, status, card, and who pays."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from collector.forward.job import SpanKey
from otel_cost import attributes
from otel_cost.call import DIMENSIONS
from otel_cost.pricing.money import format_usd

OWNER_KEYS = {dimension: getattr(attributes, f"OTEL_COST_{dimension.upper()}") for dimension in DIMENSIONS}
"""The attribute that carries each owner dimension."""

_KEY_COLUMNS = ("trace_id", "span_id")
_VERDICT_COLUMNS = ("counted", "not_counted_reason")
_COST_COLUMNS = ("cost_pico_usd", "cost_status", "card")


def added_attributes(ledger: pa.Table, verdicts: Sequence[pa.Table]) -> dict[SpanKey, dict[str, str]]:
    """What to add to each GenAI span of a batch; other spans are not in the result.

    Args:
        ledger: the batch, LEDGER_SCHEMA.
        verdicts: attribution of the batch's traces, ATTRIBUTION_SCHEMA: the resolved owners.
    """
    calls = ledger.select([*_KEY_COLUMNS, *_COST_COLUMNS]).filter(pc.is_valid(ledger.column("call_kind")))
    added = {(bytes.fromhex(row["trace_id"]), bytes.fromhex(row["span_id"])): _cost(row) for row in calls.to_pylist()}
    for verdict in verdicts:
        for row in verdict.select([*_KEY_COLUMNS, *_VERDICT_COLUMNS, *DIMENSIONS]).to_pylist():
            span = added.get((bytes.fromhex(row["trace_id"]), bytes.fromhex(row["span_id"])))
            if span is not None:
                _judge(span, row)
    return added


def inclusive_attributes(cost_pico_usd: int | None, *, is_complete: bool) -> dict[str, str]:
    """What to add to a span with calls below it. They have costs of their own: a sum over spans leaves these out."""
    added = {attributes.OTEL_COST_INCLUSIVE_STATUS: "complete" if is_complete else "partial"}
    if cost_pico_usd is not None:
        added[attributes.OTEL_COST_INCLUSIVE_USD] = format_usd(cost_pico_usd)
    return added


def _cost(row: dict[str, object]) -> dict[str, str]:
    """Cost attributes of one span; a span without a cost gets its status only, never a zero."""
    result: dict[str, str] = {}
    pico_usd = row["cost_pico_usd"]
    if isinstance(pico_usd, int):
        result[attributes.OTEL_COST_COST_USD] = format_usd(pico_usd)
    if row["cost_status"] is not None:
        result[attributes.OTEL_COST_COST_STATUS] = str(row["cost_status"])
    if row["card"] is not None:
        result[attributes.OTEL_COST_CARD] = str(row["card"])
    return result


def _judge(span: dict[str, str], verdict: dict[str, object]) -> None:
    """Resolved owners; and a span that repeats another's usage keeps no cost, so that adding up spans stays right."""
    span.update({key: str(verdict[name]) for name, key in OWNER_KEYS.items() if verdict[name] is not None})
    if not verdict["counted"]:
        span.pop(attributes.OTEL_COST_COST_USD, None)
        span.pop(attributes.OTEL_COST_CARD, None)
        span[attributes.OTEL_COST_COST_STATUS] = str(verdict["not_counted_reason"])
