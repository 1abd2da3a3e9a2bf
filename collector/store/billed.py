"""The figures that price runs have replaced: one Parquet file per run, read by `undo` and by the prices as billed.

    price-runs/
        none.parquet               the columns, and no rows
        REPRICE-uuid.parquet       one row per restated span: its figures until then

A file is complete on disk before the manifest names it, and goes some time after its run was undone.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from collector.decode.columns import DICT_STRING
from collector.store.figures import FIGURES_SCHEMA, Seqs
from collector.store.layout import Layout
from collector.store.manifest import GROUP_ROWS, Segment, make_folder, parquet_options, sync
from collector.store.rows import conform
from collector.store.statements import query

SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),  # ascending
        pa.field("run", DICT_STRING, nullable=False),
        pa.field("first", pa.bool_(), nullable=False),  # these are the figures of arrival: no earlier run had the row
        *FIGURES_SCHEMA,
    ]
)

EXPRESSION = "getvariable('billed')"
"""Stands for the files in the views of the ledger; each read sets it (`collector.store.sources`)."""

_KEPT_GROUPS = 2


class BilledWriter:
    """Rows in order of seq -> one file, complete and synced after `finish`."""

    def __init__(self, folder: Path, run: str, earlier: Sequence[BilledFile]) -> None:
        self._folder = folder
        self._run = run
        self._earlier = earlier
        self._partial = folder / f".{uuid.uuid4().hex}.partial"
        self._writer: parquet.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self.rows = 0

    def __enter__(self) -> Self:
        make_folder(self._folder)
        self._writer = parquet.ParquetWriter(self._partial, SCHEMA, **parquet_options(SCHEMA))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._writer is not None:
            self._writer.close()
        self._partial.unlink(missing_ok=True)

    def write(self, seqs: Seqs, figures: pa.Table) -> None:
        """Rows and their figures until now."""
        if not len(seqs):
            return
        first = np.ones(len(seqs), np.bool_)
        for each in self._earlier:
            first &= ~np.isin(seqs, each.between(int(seqs[0]), int(seqs[-1])).column("seq").to_numpy())
        columns = [
            pa.array(seqs),
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(seqs), np.int32)), pa.array([self._run])),
            pa.array(first),
            *figures.columns,
        ]
        self._waiting.append(pa.Table.from_arrays(columns, schema=SCHEMA))
        self._waiting_rows += len(seqs)
        self.rows += len(seqs)
        if self._waiting_rows >= GROUP_ROWS:
            self._flush()

    def finish(self) -> Path:
        """Give the file its name; the path."""
        self._flush()
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        self._partial.chmod(0o444)
        sync(self._partial)
        path = self._folder / f"reprice-{uuid.uuid4().hex}.parquet"
        os.replace(self._partial, path)
        sync(self._folder)
        return path

    def _flush(self) -> None:
        if self._waiting:
            assert self._writer is not None
            rows = pa.concat_tables(self._waiting).unify_dictionaries()
            self._writer.write_table(rows, row_group_size=rows.num_rows)
            self._waiting, self._waiting_rows = [], 0


class BilledFile:
    """One run's file; asked in about ascending order of seq, so a few row groups are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: parquet.ParquetFile | None = None
        self._ranges: list[tuple[int, int]] = []
        self._kept: dict[int, pa.Table] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def between(self, first_seq: int, last_seq: int) -> pa.Table:
        """Rows (`SCHEMA`) of these and perhaps more, ascending. Raises OSError, pa.ArrowException."""
        self._open()
        wanted = [n for n, (low, high) in enumerate(self._ranges) if low <= last_seq and high >= first_seq]
        return pa.concat_tables([SCHEMA.empty_table(), *(self._group(number) for number in wanted)])

    def may_hold(self, segment: Segment) -> bool:
        """Whether rows of a segment are in it, by their numbers."""
        self._open()
        return any(low <= segment.last_seq and high >= segment.first_seq for low, high in self._ranges)

    def _open(self) -> None:
        if self._file is None:
            self._file = parquet.ParquetFile(self._path, read_dictionary=_DICTIONARIES)
            metadata = self._file.metadata
            statistics = [metadata.row_group(n).column(0).statistics for n in range(metadata.num_row_groups)]
            self._ranges = [(each.min, each.max) for each in statistics]

    def _group(self, number: int) -> pa.Table:
        if number not in self._kept:
            assert self._file is not None
            self._kept[number] = conform(self._file.read_row_group(number, use_threads=False), SCHEMA)
            while len(self._kept) > _KEPT_GROUPS:
                del self._kept[next(iter(self._kept))]
        return self._kept[number]


_DICTIONARIES = [field.name for field in SCHEMA if field.type == DICT_STRING]


def write_none(layout: Layout) -> None:
    """The file without rows, which views read when there is no run."""
    make_folder(layout.price_runs)
    partial = layout.price_runs / f".{uuid.uuid4().hex}.partial"
    try:
        parquet.write_table(SCHEMA.empty_table(), partial, **parquet_options(SCHEMA))
        sync(partial)
        os.replace(partial, layout.no_price_run)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def in_force(rows: Sequence[tuple[Any, ...]], layout: Layout) -> list[Path]:
    """The files that views read, of rows of `price_run_files`; always at least one."""
    return [layout.no_price_run, *(layout.price_runs / file for (file,) in rows)]


def clear(connection: Any, layout: Layout) -> None:
    """At start: remove files of runs that were never committed, or were undone."""
    named = set(in_force(connection.execute(query("price_run_files")).fetchall(), layout))
    for path in _files(layout):
        if path not in named:
            path.unlink()


def forget_undone(rows: Sequence[tuple[str, datetime]], layout: Layout, grace_seconds: float) -> None:
    """Remove the files of runs (file, undone at) that no reader of an older publication needs any more."""
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=grace_seconds)
    for file, undone_at in rows:
        if undone_at <= before:
            (layout.price_runs / file).unlink(missing_ok=True)


def _files(layout: Layout) -> Iterator[Path]:
    return (path for path in layout.price_runs.iterdir() if path.is_file())
