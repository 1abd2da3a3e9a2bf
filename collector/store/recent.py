"""The newest rows of the ledger in memory, with hashes to find them by, and what was said of them later.

Most traces end seconds after they began, so what a batch wants to know of stored spans is nearly always here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.store.call_rows import VERDICT_SCHEMA
from collector.store.hashes import Hashes, span_hashes, trace_hashes
from collector.store.root_calls import root_kinds
from collector.store.rows import RECENT_SCHEMA, one_chunk

Rows = npt.NDArray[np.int64]

_FANOUT = 8
_CHUNK_ROWS = 16_384
"""Chunks are merged up to this size: larger ones would be dropped in pieces too coarse."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What rows are found by, side by side."""

    seq: Rows
    trace: Hashes
    span: Hashes  # organisation, trace and span id
    root: Hashes  # kind of a parentless call (`root_calls`), 0 for other spans

    @staticmethod
    def of(rows: pa.Table) -> Marks:
        """`rows` has the columns of `ROW_SCHEMA` that are kept, plain or dictionary-encoded."""
        traces = trace_hashes(*(one_chunk(rows.column(name)) for name in ("org_id", "trace_id")))
        spans = span_hashes(traces, one_chunk(rows.column("span_id")))
        return Marks(rows.column("seq").to_numpy(), traces, spans, root_kinds(rows))

    @staticmethod
    def joined(parts: Sequence[Marks]) -> Marks:
        """The marks of several tables one after the other."""
        return Marks(
            np.concatenate([part.seq for part in parts]),
            np.concatenate([part.trace for part in parts]),
            np.concatenate([part.span for part in parts]),
            np.concatenate([part.root for part in parts]),
        )

    def after(self, row: int) -> Marks:
        """The marks from one row on."""
        return Marks(self.seq[row:], self.trace[row:], self.span[row:], self.root[row:])

    def taken(self, rows: Rows) -> Marks:
        """The marks of some rows."""
        return Marks(self.seq[rows], self.trace[rows], self.span[rows], self.root[rows])


@dataclass(frozen=True, slots=True)
class _Chunk:
    rows: pa.Table
    marks: Marks
    size_bytes: int

    @property
    def row_count(self) -> int:
        return int(self.rows.num_rows)


class _Counted(Protocol):
    @property
    def row_count(self) -> int: ...


C = TypeVar("C", bound=_Counted)


def _settle(chunks: list[C], merge: Callable[[list[C]], C], largest_rows: int) -> None:
    """Merge the newest chunks while `_FANOUT` of about one size follow each other: n rows are copied log(n) times."""
    size = _FANOUT
    while size <= largest_rows:
        run = 0
        while run < len(chunks) and chunks[-1 - run].row_count < size:
            run += 1
        if run >= _FANOUT:
            chunks[-run:] = [merge(chunks[-run:])]
        size *= _FANOUT


def is_among(hashes: npt.NDArray[np.generic], ascending: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Which of `hashes` are in `ascending`, which is sorted and not empty."""
    if len(ascending) == 1:
        return np.asarray(hashes == ascending[0])
    at = np.minimum(np.searchsorted(ascending, hashes), len(ascending) - 1)
    return np.asarray(ascending[at] == hashes)


class RecentRows:
    """Every row from `first_seq` on, up to about `limit_bytes`. Rows are added in order of seq."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: list[_Chunk] = []
        self._bytes = 0
        self.first_seq = 1

    def add(self, rows: pa.Table, marks: Marks) -> None:
        """Keep rows, newer than all before; the oldest fall out."""
        kept = rows.select(RECENT_SCHEMA.names)
        self._chunks.append(_chunk(kept, marks))
        _settle(self._chunks, _merged, _CHUNK_ROWS)
        self._bytes = sum(chunk.size_bytes for chunk in self._chunks)
        while self._bytes > self._limit_bytes and len(self._chunks) > 1:
            self._bytes -= self._chunks.pop(0).size_bytes
            self.first_seq = int(self._chunks[0].marks.seq[0])

    def load(self, parts: Sequence[pa.Table], next_seq: int) -> None:
        """Begin with `parts`, oldest first; there is no row between them and `next_seq`."""
        self._chunks = [_chunk(part, Marks.of(part)) for part in parts if part.num_rows]
        self._bytes = sum(chunk.size_bytes for chunk in self._chunks)
        self.first_seq = int(self._chunks[0].marks.seq[0]) if self._chunks else next_seq

    def forget_before(self, seq: int) -> None:
        """Rows before `seq` are not what the ledger has any more."""
        if seq <= self.first_seq:
            return
        self.first_seq = seq
        kept = []
        for chunk in self._chunks:
            at = int(np.searchsorted(chunk.marks.seq, seq))
            if at < chunk.row_count:
                kept.append(chunk if at == 0 else _chunk(chunk.rows.slice(at), chunk.marks.after(at)))
        self._chunks = kept

    def restate(self, rows: pa.Table) -> None:
        """Columns of `rows` (with seq, ascending) hold now for those of them that are kept. No mark depends on them."""
        seqs = rows.column("seq").to_numpy()
        for number, chunk in enumerate(self._chunks):
            low, high = np.searchsorted(seqs, [chunk.marks.seq[0], chunk.marks.seq[-1] + 1])
            if low < high:
                self._chunks[number] = _chunk(_restated(chunk, rows.slice(low, high - low)), chunk.marks)

    def find(self, mark: str, wanted: Hashes, first_seq: int = 0) -> list[tuple[pa.Table, Marks, Rows]]:
        """(rows of a chunk, their marks, places in them) where `mark` is one of `wanted` (ascending)."""
        found = []
        for chunk in self._chunks:
            if chunk.marks.seq[-1] >= first_seq and len(wanted):
                places = np.flatnonzero(is_among(getattr(chunk.marks, mark), wanted))
                if len(places):
                    found.append((chunk.rows, chunk.marks, places))
        return found


def _restated(chunk: _Chunk, rows: pa.Table) -> pa.Table:
    """The rows of a chunk with the columns that `rows` has, where it has them."""
    places = np.searchsorted(chunk.marks.seq, rows.column("seq").to_numpy())
    kept = chunk.marks.seq[np.minimum(places, chunk.row_count - 1)] == rows.column("seq").to_numpy()
    take = np.arange(chunk.row_count)
    take[places[kept]] = chunk.row_count + np.flatnonzero(kept)
    table = chunk.rows
    for name in rows.column_names:
        field = RECENT_SCHEMA.field(name)
        both = pa.chunked_array([*table.column(name).chunks, *rows.column(name).cast(field.type).chunks], field.type)
        column = one_chunk(both).take(pa.array(take))
        table = table.set_column(RECENT_SCHEMA.get_field_index(name), field, column)
    return table


def _chunk(rows: pa.Table, marks: Marks) -> _Chunk:
    return _Chunk(rows, marks, rows.nbytes + 32 * rows.num_rows)


def _merged(chunks: list[_Chunk]) -> _Chunk:
    rows = pa.concat_tables([chunk.rows for chunk in chunks])
    rows = rows.unify_dictionaries().combine_chunks()
    return _chunk(rows, Marks.joined([chunk.marks for chunk in chunks]))


@dataclass(frozen=True, slots=True)
class _Verdicts:
    table: pa.Table  # VERDICT_SCHEMA, plain, ascending seq, each once
    seq: Rows = field(repr=False)

    @property
    def row_count(self) -> int:
        return int(self.table.num_rows)

    @staticmethod
    def of(table: pa.Table) -> _Verdicts:
        """Of several rows of one seq the last one holds."""
        seq = table.column("seq").to_numpy()
        distinct, from_end = np.unique(seq[::-1], return_index=True)
        if len(distinct) != len(seq) or not (distinct == seq).all():
            table = table.take(pa.array(len(seq) - 1 - from_end))
        return _Verdicts(table, distinct)


class LaterVerdicts:
    """Amendments of recent rows, by seq; the newest one holds."""

    def __init__(self) -> None:
        self._chunks: list[_Verdicts] = []

    def add(self, verdicts: pa.Table) -> None:
        """`verdicts` has VERDICT_SCHEMA."""
        if verdicts.num_rows:
            self._chunks.append(_Verdicts.of(verdicts))
            _settle(self._chunks, _newest, 1 << 62)

    def find(self, seq: Rows) -> pa.Table:
        """The verdicts on those of `seq` (ascending, not empty) that have been amended."""
        found = []
        for chunk in self._chunks:
            hits = np.flatnonzero(is_among(chunk.seq, seq))
            if len(hits):
                found.append(chunk.table.take(pa.array(hits)))
        return _Verdicts.of(pa.concat_tables(found)).table if found else VERDICT_SCHEMA.empty_table()

    def forget_before(self, seq: int) -> None:
        """Drop what is said of rows before `seq`."""
        self._chunks = [chunk for chunk in self._chunks if chunk.seq[-1] >= seq]


def _newest(chunks: list[_Verdicts]) -> _Verdicts:
    return _Verdicts.of(pa.concat_tables([chunk.table for chunk in chunks]).combine_chunks())
