"""Pricing stored calls again: the price stage of ingestion, over what the ledger keeps of each call."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from collector.decode.columns import CALL_SCHEMA, LEDGER_USAGE_COLUMNS, CallColumns
from collector.price import card_table, price_calls
from collector.store.figures import OWNERS, PRICED_FROM
from collector.store.rows import NAME_OF_STORED, one_chunk, pico_usd
from otel_cost.call import Flag
from otel_cost.pricing.money import MAX_COST_PICO_USD
from otel_cost.pricing.overrides import Cards
from otel_cost.pricing.result import REASON_TOO_HIGH

_OF_THE_CARD = int(Flag.VARIANT_NOT_PRICED | Flag.RATE_FALLBACK | Flag.BEFORE_FIRST_PRICE)
"""Flags that pricing alone sets, by the card: they are found anew. All others say what the span is like."""


_TIMES = {name: NAME_OF_STORED[name] for name in ("start_time_ns", "end_time_ns")}


class PriceAgain:
    """What the cards say of stored rows, as they would have said it when those arrived (`figures.Price`)."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards
        self.columns = (*PRICED_FROM, *OWNERS) if cards.conditions else PRICED_FROM

    @property
    def card(self) -> str:
        """Digest of the card of calls for which no condition of a contract holds."""
        return self._cards.card().digest

    def prices(self) -> pa.Table:
        """The rows of all cards that were needed so far, in full."""
        self._cards.card()
        return pa.concat_tables([card_table(card.reopened()) for card in self._cards.made])

    def __call__(self, rows: pa.Table) -> pa.Table:
        """See `figures.Price`."""
        calls = _calls(rows)
        spans = {name: rows.column(stored).cast(pa.int64()) for name, stored in _TIMES.items()}
        spans["org_id"] = rows.column("org_id")
        return price_calls(CallColumns(calls, _usage(rows)), pa.table(spans), self._cards)


def _calls(rows: pa.Table) -> pa.Table:
    """`CALL_SCHEMA`; what the rows do not have is NULL."""
    columns = []
    for field in CALL_SCHEMA:
        if field.name == "flags":
            flags = one_chunk(rows.column("flags")).to_numpy() & ~_OF_THE_CARD
            columns.append(pa.array(flags))
        elif field.name == "reported_cost_pico_usd":
            columns.append(_reported(rows))
        elif field.name in rows.column_names:
            columns.append(one_chunk(rows.column(field.name)).cast(field.type))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=CALL_SCHEMA)


def _reported(rows: pa.Table) -> pa.Array:
    """What spans say they cost. An amount that is too high to be stored is known by what was said of it."""
    said = pico_usd(rows.column(NAME_OF_STORED["reported_cost_pico_usd"]))
    refused = pc.fill_null(pc.equal(rows.column("cost_reason").cast(pa.string()), REASON_TOO_HIGH), False)
    lost = pc.and_(pc.and_(refused, pc.is_null(rows.column("rate_row"))), pc.is_null(said))
    return one_chunk(pc.if_else(lost, pa.scalar(MAX_COST_PICO_USD + 1, pa.int64()), said))


def _usage(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Unit -> quantities; units that no row has are left out, as at ingest."""
    columns = {name: rows.column(name) for name in LEDGER_USAGE_COLUMNS}
    return {name: column for name, column in (columns | _others(rows)).items() if column.null_count < len(column)}


def _others(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The units of `usage_json`."""
    texts = one_chunk(rows.column("usage_json"))
    at = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
    if not len(at):
        return {}
    objects = texts.drop_null()
    index = np.zeros(rows.num_rows, np.int64)
    index[at] = np.arange(len(at))
    missing = np.ones(rows.num_rows, np.bool_)
    missing[at] = False
    places = pa.array(index, mask=missing)
    return {name: column.take(places) for name, column in _parsed(objects).items()}


def _parsed(objects: pa.Array) -> dict[str, pa.ChunkedArray]:
    """One int64 column per key of JSON objects of whole numbers."""
    table = arrow_json.read_json(BytesIO("\n".join(objects.to_pylist()).encode()))
    return {name: table.column(name).cast(pa.int64()) for name in table.column_names}
