"""Rate cards that priced something in this ledger, for the view `prices`: a receipt can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from collector.store.statements import query

PRICE_SCHEMA = pa.schema(
    [
        pa.field("card", pa.string(), nullable=False),  # digest of the card
        pa.field("rate_row", pa.string()),  # as in `calls.rate_row`
        pa.field("provider", pa.string()),
        pa.field("model", pa.string()),
        pa.field("variant", pa.string()),
        pa.field("region", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("input_tokens_above", pa.int64()),  # -1: for inputs of any size
        pa.field("rate_pico_usd", pa.int64()),
        pa.field("per", pa.int64()),  # quantities that the rate is for
        pa.field("explicit", pa.bool_()),  # false: billed at its parent's rate
        pa.field("valid_from_ns", pa.int64()),  # -2**63: since ever
        pa.field("valid_to_ns", pa.int64()),  # exclusive; 2**63-1: until further notice
        pa.field("source", pa.string()),
    ]
)
"""One row per rate. Columns that a table lacks are stored as NULL; others are ignored."""


def has_card(rows: Callable[[str, Sequence[object]], list[Any]], digest: str) -> bool:
    """Whether the ledger has that card. `rows` asks it."""
    return bool(rows(query("has_card"), [digest]))


def store_card(connection: Any, prices: pa.Table) -> None:
    """Insert the rows of cards that the ledger does not have yet."""
    columns = [
        prices.column(field.name).cast(field.type)
        if field.name in prices.column_names
        else pa.nulls(prices.num_rows, field.type)
        for field in PRICE_SCHEMA
    ]
    connection.register("card_price", pa.Table.from_arrays(columns, names=PRICE_SCHEMA.names))
    try:
        connection.execute(query("insert_prices"), [datetime.now(UTC).replace(tzinfo=None)])
    finally:
        connection.unregister("card_price")
