"""Pricing stored calls again: the price stage of ingestion, over what the ledger keeps of each call."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from collector.decode.columns import CALL_SCHEMA, LEDGER_USAGE_COLUMNS, CallColumns
from collector.estimate.reasons import method_of, with_methods
from collector.price import card_table, price_calls
from collector.store.figures import OWNERS, PRICED_FROM
from collector.store.rows import NAME_OF_STORED, one_chunk, pico_usd
from otel_cost.call import Flag
from otel_cost.normalise.reader import splits_cache_writes
from otel_cost.pricing.overrides import Cards

_TTL_ASSUMED, _ESTIMATED = int(Flag.TTL_ASSUMED), int(Flag.ESTIMATED)
_OF_THE_CARD = int(Flag.VARIANT_NOT_PRICED | Flag.RATE_FALLBACK | Flag.BEFORE_FIRST_PRICE) | _TTL_ASSUMED
"""Flags that depend on the card: they are found anew. All others say what the span is like. What pricing finds wrong
with the counts of a model that it knows stays on record when another card does not know that model."""


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
        costs = price_calls(CallColumns(calls, _usage(rows)), pa.table(spans), self._cards)
        return with_methods(costs, _methods(rows))


def _methods(rows: pa.Table) -> dict[int, str]:
    """How the tokens of rows were estimated when they arrived: they stay as they are, and so does that."""
    estimated = np.flatnonzero(one_chunk(rows.column("flags")).to_numpy() & _ESTIMATED)
    if not len(estimated):
        return {}
    reasons = rows.column("cost_reason").take(pa.array(estimated)).to_pylist()
    named = zip(estimated.tolist(), map(method_of, reasons), strict=True)
    return {row: method for row, method in named if method is not None}


def _calls(rows: pa.Table) -> pa.Table:
    """`CALL_SCHEMA`; what the rows do not have is NULL."""
    columns = []
    for field in CALL_SCHEMA:
        if field.name == "flags":
            columns.append(pa.array(_own_flags(rows)))
        elif field.name == "reported_cost_pico_usd":
            columns.append(pico_usd(rows.column(NAME_OF_STORED[field.name])))
        elif field.name in rows.column_names:
            columns.append(one_chunk(rows.column(field.name)).cast(field.type))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=CALL_SCHEMA)


def _own_flags(rows: pa.Table) -> npt.NDArray[np.int64]:
    """The flags of the span itself. That writes to a cache are taken for short-lived ones is also said by reading it,
    where the provider is known to bill by their life (`otel_cost.normalise.settle`)."""
    said = one_chunk(rows.column("flags")).to_numpy()
    own: npt.NDArray[np.int64] = said & ~_OF_THE_CARD
    written = pc.fill_null(rows.column("cache_write_tokens"), 0).to_numpy() > 0
    at = np.flatnonzero(written & (said & _TTL_ASSUMED != 0))
    if len(at):
        names = rows.select(["provider", "response_model", "request_model"]).take(pa.array(at)).to_pylist()
        splits = [
            splits_cache_writes(each["provider"], each["response_model"] or each["request_model"] or "")
            for each in names
        ]
        own[at[np.array(splits)]] |= _TTL_ASSUMED
    return own


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
