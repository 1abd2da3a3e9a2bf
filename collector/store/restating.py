"""Stored rows with other figures: segments are written anew, and whatever a price run does not decide is copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from collector.store.compare import differs
from collector.store.figures import FIGURES, FIGURES_SCHEMA, Seqs, mixed
from collector.store.folding import NEEDED_COLUMNS, Amendments
from collector.store.join import Source
from collector.store.manifest import Segment, path_of
from collector.store.rewrite import Rewriter, is_large, name_of, read, seq_range
from collector.store.rows import conform, one_chunk, own

WIDE = pa.decimal128(38, 12)

TOLD = ("org_id", "trace_id", "span_id", "start_time", "provider", "customer", "counted", "duplicate_of")
"""What is said of each chosen row, beside its figures."""


class Cancelled(Exception):
    """Somebody wants it no more; nothing has been changed."""


@dataclass(frozen=True, slots=True)
class Restated:
    """Rows that were chosen, side by side with their figures."""

    rows: pa.Table  # seq and `TOLD`, amendments taken in
    before: pa.Table  # FIGURES_SCHEMA
    after: pa.Table
    differs: npt.NDArray[np.bool_]  # in any figure

    @property
    def seqs(self) -> Seqs:
        return np.asarray(self.rows.column("seq").to_numpy(), np.int64)


class Restatement(Protocol):
    """Which rows get which figures."""

    @property
    def columns(self) -> Sequence[str]:
        """What it has to know of a row, beside its figures."""

    def restate(self, rows: pa.Table, final: pa.Table) -> tuple[Seqs, pa.Table]:
        """The places of the rows that are chosen (ascending), and their figures from now on (`FIGURES_SCHEMA`).

        `rows` are as their spans say them, `final` as their traces do.
        """


Told = Callable[[Restated], None]
"""Of the chosen rows of one piece, those that stay as they are included."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """A segment, and the one that takes its place."""

    old: Segment
    new: Segment


@dataclass(frozen=True, slots=True)
class _Group:
    """What becomes of one row group."""

    figures: pa.Table  # FIGURES_SCHEMA of all of its rows
    added_usd: Decimal


class Restating:
    """Goes through segments, one row group in memory. `cancelled` is asked between pieces."""

    def __init__(
        self, folder: Path, read_ledger: Any, restatement: Restatement, told: Told, cancelled: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._read = read_ledger
        self._restatement = restatement
        self._told = told
        self._cancelled = cancelled
        self._told_columns = ["seq", *TOLD]
        self._columns = list(dict.fromkeys(["seq", *TOLD, *restatement.columns, *FIGURES, "derived"]))
        self._amended_columns = list(dict.fromkeys([*self._columns, *NEEDED_COLUMNS]))

    def look(self, segment: Segment) -> None:
        """Tell of all chosen rows of a segment, writing nothing. Raises OSError, Cancelled."""
        amendments = Amendments.between(self._read, segment.first_seq, segment.last_seq)
        with path_of(self._folder, segment.file).open("rb") as file:
            metadata = parquet.ParquetFile(file).metadata
            for number in range(metadata.num_row_groups):
                for _ in self._pieces(file, metadata, number, amendments):
                    pass

    def rewrite(self, segment: Segment) -> Swapped | None:
        """The same, and write the segment that takes its place; None when all of its rows stay. Raises OSError,
        Cancelled."""
        amendments = Amendments.between(self._read, segment.first_seq, segment.last_seq)
        added_usd = Decimal(0)
        with ExitStack() as stack:
            file = stack.enter_context(path_of(self._folder, segment.file).open("rb"))
            metadata = parquet.ParquetFile(file).metadata
            source, into = Source(file), None
            for number in range(metadata.num_row_groups):
                group = self._group(file, metadata, number, amendments)
                if into is None and group is None:
                    continue
                if into is None:
                    into = stack.enter_context(Rewriter(self._folder))
                    for before in range(number):
                        _put(into, source, metadata, before, None)
                _put(into, source, metadata, number, None if group is None else group.figures)
                added_usd += Decimal(0) if group is None else group.added_usd
            if into is None:
                return None
            if into.rows != segment.rows:
                raise OSError(f"{segment.file}: {into.rows} rows were read of {segment.rows}")
            path = into.finish(name_of(segment.first_seq, segment.last_seq))
        cost_usd = segment.cost_usd + added_usd
        return Swapped(segment, replace(segment, file=path.name, size_bytes=path.stat().st_size, cost_usd=cost_usd))

    def _group(
        self, file: BinaryIO, metadata: parquet.FileMetaData, number: int, amendments: Amendments
    ) -> _Group | None:
        pieces = list(self._pieces(file, metadata, number, amendments))
        if not any(changed for _, changed, _ in pieces):
            return None
        added_usd = sum((added for _, _, added in pieces), Decimal(0))
        return _Group(pa.concat_tables([figures for figures, _, _ in pieces]), added_usd)

    def _pieces(
        self, file: BinaryIO, metadata: parquet.FileMetaData, number: int, amendments: Amendments
    ) -> Iterator[tuple[pa.Table, bool, Decimal]]:
        """The figures of all rows of a row group in pieces, whether some are new, and what they add to the sum."""
        touched = amendments.touch(*seq_range(metadata, number))
        for stored in read(file, metadata, number, self._amended_columns if touched else self._columns):
            if self._cancelled():
                raise Cancelled
            final = amendments.take_in(stored) if touched else stored
            before = stored.select(FIGURES)
            places, after = self._restatement.restate(own(stored), final)
            if not len(places):
                yield before, False, Decimal(0)
                continue
            at = pa.array(places)
            rows, until_now = final.select(self._told_columns).take(at), before.take(at)
            chosen = Restated(rows, until_now, after, differs(until_now, after, FIGURES))
            self._told(chosen)
            if not chosen.differs.any():
                yield before, False, Decimal(0)
                continue
            yield mixed(before, after, places), True, total(after) - total(chosen.before)


def total(figures: pa.Table) -> Decimal:
    """The sum of what is priced."""
    return pc.sum(figures.column("cost_usd").cast(WIDE)).as_py() or Decimal(0)


def _put(into: Rewriter, source: Source, metadata: parquet.FileMetaData, number: int, figures: pa.Table | None) -> None:
    """One row group, with other figures if there are some."""
    changed = None if figures is None else conform(figures, FIGURES_SCHEMA)
    if is_large(metadata, number) and into.copy(source, number, changed):
        return
    first = 0
    for rows in read(source.file, metadata, number):
        if changed is not None:
            for name in FIGURES:
                column = one_chunk(changed.column(name).slice(first, rows.num_rows))
                rows = rows.set_column(rows.schema.get_field_index(name), FIGURES_SCHEMA.field(name), column)
        first += rows.num_rows
        into.write(rows)
