"""Amendments taken into rows: what a later batch said of a call stands in the segment itself afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.compare import differs
from collector.store.rows import DERIVED_BITS, ROW_SCHEMA, own

Read = Callable[[Callable[[Any], Any]], Any]
"""`Store.read`: runs something on a snapshot of the ledger."""

Seqs = npt.NDArray[np.int64]

_OF_THE_VERDICT = ("revision", "counted", "not_counted_reason", "duplicate_of", "attempt", "retry_of", "wasted")

_AMENDED = (*_OF_THE_VERDICT, *DERIVED_BITS)

VERDICT_COLUMNS = (*_AMENDED, "derived")
"""What taking amendments in may change of a row."""

NEEDED_COLUMNS = ("seq", *VERDICT_COLUMNS)
"""What it has to know of a row."""

_COLUMNS = ", ".join(f'"{name}"' for name in ("seq", *_AMENDED))


@dataclass(slots=True)
class Amendments:
    """The amendments of some segments; which of them were taken into rows is noted for the swap."""

    read: Read
    seqs: Seqs  # ascending
    _folded: list[pa.Table] = field(default_factory=list)

    @staticmethod
    def between(read: Read, first_seq: int, last_seq: int) -> Amendments:
        """Those of rows `first_seq` to `last_seq`."""
        sql = "SELECT seq FROM _ledger.amendment WHERE seq BETWEEN ? AND ? ORDER BY seq"
        seqs = read(lambda reader: reader.table(sql, [first_seq, last_seq])).column(0).to_numpy()
        return Amendments(read, seqs)

    def touch(self, first_seq: int, last_seq: int) -> bool:
        """Whether there is one for a row in this range."""
        at = np.searchsorted(self.seqs, [first_seq, last_seq + 1])
        return bool(at[0] < at[1])

    def take_in(self, rows: pa.Table) -> pa.Table:
        """`rows` (ROW_SCHEMA) with the verdicts of their amendments."""
        bounds = pc.min_max(rows.column("seq")).as_py()
        if not self.touch(bounds["min"], bounds["max"]):
            return rows
        sql = f"SELECT {_COLUMNS} FROM _ledger.amendment WHERE seq BETWEEN ? AND ?"
        found = self.read(lambda reader: reader.table(sql, [bounds["min"], bounds["max"]]))
        places = pc.index_in(found.column("seq"), value_set=rows.column("seq").combine_chunks()).combine_chunks()
        found, places = found.filter(pc.is_valid(places)), places.drop_null()
        if not found.num_rows:
            return rows
        self._folded.append(found.select(["seq", "revision"]))
        amended = rows.select([*DERIVED_BITS, "derived"]).take(places)
        return _replaced(rows, found.append_column("derived", _derived(found, own(amended))), amended, places)

    @property
    def folded(self) -> pa.Table:
        """(seq, revision) of those that were taken in."""
        schema = pa.schema([("seq", pa.int64()), ("revision", pa.int64())])
        return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in self._folded)])


def delete_folded(connection: Any, folded: pa.Table) -> None:
    """Forget amendments that are part of a segment now, unless they have changed since. In a transaction."""
    if folded.num_rows:
        connection.register("folded_amendment", folded)
        connection.execute(
            "DELETE FROM _ledger.amendment USING folded_amendment "
            "WHERE amendment.seq = folded_amendment.seq AND amendment.revision = folded_amendment.revision"
        )
        connection.unregister("folded_amendment")


def _derived(found: pa.Table, said: pa.Table) -> pa.Array:
    """`derived` of rows that take the values of `found`; `said` is what their spans say themselves, side by side."""
    bits = np.zeros(found.num_rows, np.int32)
    for name, bit in DERIVED_BITS.items():
        supplied = pc.and_(pc.is_null(said.column(name)), pc.is_valid(found.column(name)))
        bits[supplied.to_numpy()] |= bit
    return pa.array(bits)


def _replaced(rows: pa.Table, found: pa.Table, amended: pa.Table, places: pa.Array) -> pa.Table:
    """`rows` with the columns of a verdict from `found` at `places`, where `amended` stands until now."""
    row_of = np.full(rows.num_rows, -1, dtype=np.int64)
    row_of[places.to_numpy()] = np.arange(found.num_rows)
    is_amended, take = row_of >= 0, np.maximum(row_of, 0)
    for name in VERDICT_COLUMNS:
        if name in DERIVED_BITS and not differs(found, amended, [name]).any():
            continue
        target = ROW_SCHEMA.field(name)
        theirs = found.column(name).combine_chunks().cast(_value_type(target.type))
        if pa.types.is_dictionary(target.type):
            column = _replaced_codes(rows.column(name), theirs, is_amended, take)
        else:
            column = pc.if_else(pa.array(is_amended), theirs.take(pa.array(take)), _plain(rows.column(name)))
        rows = rows.set_column(rows.schema.get_field_index(name), target, column)
    return rows


def _replaced_codes(
    column: pa.ChunkedArray, theirs: pa.Array, amended: npt.NDArray[np.bool_], take: Seqs
) -> pa.DictionaryArray:
    """The same for a dictionary-encoded column: only codes move, and the dictionary grows by what is new in it."""
    ours = column.unify_dictionaries().combine_chunks()
    coded = theirs.dictionary_encode()
    added = coded.dictionary.filter(pc.invert(pc.is_in(coded.dictionary, value_set=ours.dictionary)))
    dictionary = pa.concat_arrays([ours.dictionary, added])
    translated = pc.index_in(theirs, value_set=dictionary, skip_nulls=True)
    codes = pc.if_else(pa.array(amended), translated.take(pa.array(take)), ours.indices.cast(pa.int32()))
    return pa.DictionaryArray.from_arrays(codes, dictionary)


def _plain(column: pa.ChunkedArray) -> pa.Array:
    whole = column.cast(_value_type(column.type)).combine_chunks()
    return pa.array([], whole.type) if isinstance(whole, pa.ChunkedArray) else whole


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
