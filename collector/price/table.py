"""The rate card as a table, for the `prices` view."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from collector.price.shipped import read_table
from otel_cost.pricing import units
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.rates import Rate, RateRow, resolve_rate

CARD_TABLE_SCHEMA = pa.schema(
    [
        pa.field("card", pa.string(), nullable=False),
        pa.field("rate_row", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("variant", pa.string(), nullable=False),
        pa.field("region", pa.string()),
        pa.field("valid_from_ns", pa.int64(), nullable=False),  # -2**63: since ever
        pa.field("valid_to_ns", pa.int64(), nullable=False),  # exclusive; 2**63-1: still valid
        pa.field("input_tokens_above", pa.int64(), nullable=False),  # -1: any size
        pa.field("unit", pa.string(), nullable=False),
        pa.field("rate_pico_usd", pa.int64(), nullable=False),  # per `per` counted quantities
        pa.field("per", pa.int64(), nullable=False),
        pa.field("multiplier_ppm", pa.int64(), nullable=False),  # of the amount, in millionths
        pa.field("explicit", pa.bool_(), nullable=False),  # false: billed at its parent's rate
        pa.field("source", pa.string(), nullable=False),
    ]
)

_SHOWN_FALLBACKS = ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_reasoning_tokens")

_PART_RECORDS = 1_024
"""Made into columns at a time: all 30,000 as Python objects take 25 MB, of which the process keeps most."""


def card_table(card: RateCard) -> pa.Table:
    """Every rate of the card, one row per rate row and unit: the explicit ones, and the common classes' fallbacks."""
    kept = read_table(card, CARD_TABLE_SCHEMA)
    return make_table(card) if kept is None else kept


def make_table(card: RateCard) -> pa.Table:
    """The same, from the card's rows."""
    records = _records(card)
    parts = [CARD_TABLE_SCHEMA.empty_table()]
    while some := list(islice(records, _PART_RECORDS)):
        columns = zip(zip(*some, strict=True), CARD_TABLE_SCHEMA.types, strict=True)
        arrays = [pa.array(values, kind) for values, kind in columns]
        parts.append(pa.Table.from_arrays(arrays, schema=CARD_TABLE_SCHEMA))
    return pa.concat_tables(parts)


def _records(card: RateCard) -> Iterator[tuple[object, ...]]:
    for row in card.rows():
        for unit in dict.fromkeys((*row.explicit, *_SHOWN_FALLBACKS)):
            rate = row.rate(unit) or _kind_rate(row, unit)
            if rate is not None:
                head = (card.digest, row.key, row.provider, row.model, row.variant, row.region)
                period = (row.valid_from_ns, row.valid_to_ns, row.input_tokens_above)
                price = (unit, rate.pico_usd, rate.per, rate.multiplier_ppm, rate.explicit)
                yield (*head, *period, *price, row.source)


def _kind_rate(row: RateRow, rate_key: str) -> Rate | None:
    """The rate of a certain size, quality, ... of a unit (`units.QUALIFIERS`)."""
    if not units.is_qualified(rate_key):
        return None
    unit = units.unit_of(rate_key).key
    return resolve_rate({unit: row.explicit[rate_key]}, unit, row.multiplier_of(unit))
