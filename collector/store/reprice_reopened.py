"""Traces whose verdicts may depend on a price run: of two records of one call, the one that has a price is kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.folding import Read
from collector.store.restating import Restated
from collector.store.rows import one_chunk, plain_column

_KEY = ("org_id", "trace_id")
_SECOND_RECORDS = "SELECT DISTINCT duplicate_of FROM _ledger.call_log WHERE duplicate_of IS NOT NULL"


class Reopened:
    """Told of all chosen rows, names the traces to be judged again: those with a row that is, or has, a second record
    of its call and that had no price until now, or has none any more."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._kept: pa.Array | None = None  # span ids of records that were preferred to another
        self._found: list[pa.Table] = []

    def __call__(self, chosen: Restated) -> None:
        """Take the rows of one piece."""
        before, after = (_worth(figures) for figures in (chosen.before, chosen.after))
        at = np.flatnonzero(before != after)
        if not len(at):
            return
        if self._kept is None:
            self._kept = one_chunk(self._read(lambda reader: reader.table(_SECOND_RECORDS)).column(0))
        rows = chosen.rows.take(pa.array(at))
        is_second = pc.is_valid(rows.column("duplicate_of"))
        has_second = pc.is_in(plain_column(rows.column("span_id")), value_set=self._kept)
        self._found.append(rows.filter(pc.or_(is_second, has_second)).select(_KEY))

    def traces(self) -> pa.Table:
        """org_id and trace_id, plain, perhaps several times."""
        schema = pa.schema([(name, pa.string()) for name in _KEY])
        return pa.concat_tables([schema.empty_table(), *(_plain(table, schema) for table in self._found)])


def _plain(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays([plain_column(column) for column in table.columns], schema=schema)


def _worth(figures: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """0: no price, 1: costs nothing, 2: costs something."""
    cost = figures.column("cost_usd")
    above = pc.fill_null(pc.greater(cost, pa.scalar(0, cost.type)), False).to_numpy()
    worth = np.where(above, 2, 1)
    worth[pc.is_null(cost).to_numpy()] = 0
    return worth.astype(np.int8)
