"""What pricing says of a stored row, and what it is told again when the row is priced anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import (
    CALL_SCHEMA,
    COST_SCHEMA,
    LEDGER_USAGE_COLUMNS,
    OWNER_COLUMNS,
    RESOURCE_OWNER_COLUMNS,
)
from collector.store.rows import NAME_OF_STORED, ROW_SCHEMA, money, one_chunk

FIGURES = tuple(NAME_OF_STORED.get(name, name) for name in COST_SCHEMA.names)
"""Columns of a row that a rate card decides. A price run changes these and nothing else."""

FIGURES_SCHEMA = pa.schema([ROW_SCHEMA.field(name) for name in FIGURES])

AMOUNT = ("cost_usd", "cost_status")
"""What a reader of a report sees of them."""

OWNERS = (*OWNER_COLUMNS, *RESOURCE_OWNER_COLUMNS)
"""Columns of a row by which a contract may price some calls apart from others."""

PRICED_FROM = tuple(
    dict.fromkeys(
        [
            "org_id",
            "start_time",
            "end_time",
            *(NAME_OF_STORED.get(name, name) for name in CALL_SCHEMA.names if name not in OWNERS),
            *LEDGER_USAGE_COLUMNS,
            "usage_json",
            *FIGURES,
        ]
    )
)
"""Columns of a row from which it can be priced again, with what is said of it until now."""


class Price(Protocol):
    """Prices stored rows by some card."""

    @property
    def columns(self) -> Sequence[str]:
        """What it has to know of a row: `PRICED_FROM`, and perhaps `OWNERS`."""

    @property
    def card(self) -> str:
        """Digest of the card."""

    def prices(self) -> pa.Table:
        """Rows of all cards that were needed so far (`collector.store.prices.PRICE_SCHEMA`)."""

    def __call__(self, rows: pa.Table) -> pa.Table:
        """`COST_SCHEMA`, row by row, of rows as their spans say them. Raises nothing for what a row says."""


Seqs = npt.NDArray[np.int64]


def as_stored(costs: pa.Table) -> pa.Table:
    """`COST_SCHEMA` -> `FIGURES_SCHEMA`."""
    columns = []
    for name, field in zip(COST_SCHEMA.names, FIGURES_SCHEMA, strict=True):
        column = costs.column(name)
        columns.append(money(column) if name in NAME_OF_STORED else column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=FIGURES_SCHEMA)


def mixed(before: pa.Table, after: pa.Table, places: Seqs) -> pa.Table:
    """The figures `before`, with `after` at `places` (ascending), one row of it each."""
    take = np.arange(before.num_rows, dtype=np.int64)
    take[places] = before.num_rows + np.arange(after.num_rows)
    both = pa.concat_tables([before, after]).unify_dictionaries()
    columns = [one_chunk(column).take(pa.array(take)) for column in both.columns]
    return pa.Table.from_arrays(columns, schema=before.schema)
