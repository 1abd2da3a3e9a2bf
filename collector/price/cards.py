"""Which card prices which call of a batch: overrides may hold only for calls of some customer, team or organisation."""

from __future__ import annotations

from functools import reduce
from operator import and_

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import CallColumns
from collector.price.arrow import codes
from collector.price.builder import Array
from collector.price.columns import price_columns
from otel_cost.pricing.overrides import Cards
from otel_cost.pricing.overrides.fields import ORGANIZATION
from otel_cost.pricing.overrides.values import When, pattern


def price_calls(calls: CallColumns, spans: pa.Table, cards: Cards) -> pa.Table:
    """COST_SCHEMA, one row per row of `calls.calls`: each at the card of its conditions. Never raises.

    Args:
        spans: SPAN_SCHEMA, row by row those of `calls`.
    """
    bits = _bits(calls.calls, spans, cards.conditions)
    kinds = np.unique(bits).tolist()
    if len(kinds) <= 1:
        return _priced(calls, spans, cards, kinds[0] if kinds else 0)
    parts, places = [], []
    for kind in kinds:
        rows = np.flatnonzero(bits == kind)
        usage = {unit: column.take(rows) for unit, column in calls.usage.items()}
        parts.append(_priced(CallColumns(calls.calls.take(rows), usage), spans.take(rows), cards, kind))
        places.append(rows)
    together = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    return together.take(np.argsort(np.concatenate(places)))


def _priced(calls: CallColumns, spans: pa.Table, cards: Cards, bits: int) -> pa.Table:
    holding = frozenset(when for place, when in enumerate(cards.conditions) if bits >> place & 1)
    start_ns, end_ns = spans.column("start_time_ns"), spans.column("end_time_ns")
    costs = price_columns(calls, start_ns, cards.card(holding), end_ns)
    return _named(costs, calls) if cards.overrides else costs


def _bits(calls: pa.Table, spans: pa.Table, conditions: tuple[When, ...]) -> Array:
    """A number per row: the bit of each condition that holds for it."""
    bits = np.zeros(calls.num_rows, np.int64)
    for place, when in enumerate(conditions):
        holds: Array = reduce(and_, (_carries(calls, spans, key, text) for key, text in when))
        bits |= holds.astype(np.int64) << place
    return bits


def _carries(calls: pa.Table, spans: pa.Table, key: str, text: str) -> Array:
    """Which calls carry a value that fits: the span's own, or else its resource's."""
    if key == ORGANIZATION:
        return _fits(spans.column("org_id"), text)[0]
    own, said = _fits(calls.column(key), text)
    resource, _ = _fits(calls.column(f"resource_{key}"), text)
    fits: Array = np.where(said, own, resource)
    return fits


def _fits(column: pa.ChunkedArray, text: str) -> tuple[Array, Array]:
    """Which rows have a value that fits a pattern, and which have any."""
    numbers, texts = codes(column)
    fits = np.array([value is not None and pattern(text).fullmatch(value) is not None for value in texts])
    return fits[numbers], numbers > 0


def _named(costs: pa.Table, calls: CallColumns) -> pa.Table:
    """Calls of models that only a pattern knows are called what the span calls them."""
    column = costs.column("model")
    if not any("*" in name for chunk in column.chunks for name in chunk.dictionary.to_pylist()):
        return costs
    response, request = (calls.calls.column(name).cast(pa.string()) for name in ("response_model", "request_model"))
    said = pc.if_else(pc.equal(pc.fill_null(response, ""), ""), request, response)
    names = column.cast(pa.string())
    named = pc.if_else(pc.match_substring(names, "*"), pc.coalesce(said, names), names)
    place = costs.schema.get_field_index("model")
    return costs.set_column(place, costs.schema.field(place), named.dictionary_encode().cast(column.type))
