"""New segments out of old ones, as a stream: whole row groups are copied, the others decoded, changed, encoded again.

At most one row group's worth of rows is in memory, whatever the segments weigh.
"""

from __future__ import annotations

import io
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

import pyarrow as pa
from pyarrow import parquet

from collector.store.folding import NEEDED_COLUMNS, VERDICT_COLUMNS, Amendments
from collector.store.join import Joiner, NotJoinable, Source
from collector.store.manifest import (
    GROUP_ROWS,
    RANGES,
    Ranges,
    Segment,
    parquet_options,
    path_of,
    sync,
    traces_of_group,
)
from collector.store.rows import ROW_SCHEMA

COPIED_ROWS = 8_192
"""Row groups of so many rows are copied as they are. Lower: readers meet many small groups. Higher: rows that were
appended under load, up to 16,384 at a time and often fewer, are decoded and encoded again, at twenty times the cost."""

GROUP_BYTES = 24 << 20
"""Of decoded rows that become one row group, and of those that are read at once. Too low: groups of wide rows are many.
Too high: a merge of rows with prompts takes that much memory, twice."""

_READ_ROWS = 8_192
_BUFFER_BYTES = 64 << 10
"""Of each column that is read as a stream; there are 80."""

_SYNC_BYTES = 16 << 20
"""Written bytes are synced in steps of this, so that the journal's own sync never waits behind half a gigabyte."""

DICTIONARIES = [field.name for field in ROW_SCHEMA if pa.types.is_dictionary(field.type)]

Pause = Callable[[float], None]
"""Told after each piece of work how much CPU it took, in seconds; it may wait, so that others get their turn."""


def at_once(_: float) -> None:
    """The pause of those for whom somebody waits: none."""
    return


class Rewriter:
    """Row groups and rows in order of seq -> one new file in `folder`, complete and synced after `finish`."""

    def __init__(self, folder: Path, pause: Pause = at_once) -> None:
        self._folder = folder
        self._pause = pause
        self._paused_at_seconds = time.thread_time()
        self._partial = folder / f".{uuid.uuid4().hex}.partial"
        self._joiner = Joiner(self._partial, self._count)
        self._waiting: list[pa.Table] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._unsynced_bytes = 0
        self.rows = 0

    def __enter__(self) -> Self:
        self._joiner.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._joiner.close()
        self._partial.unlink(missing_ok=True)

    def copy(self, source: Source, number: int, verdicts: pa.Table | None = None) -> bool:
        """Row group `number` of `source` as it is, or with other verdicts: some columns for all of its rows.

        False when its layout does not allow that. Raises OSError.
        """
        self._flush()
        changed = None if verdicts is None else Source(io.BytesIO(encoded(verdicts)))
        try:
            self.rows += self._joiner.append(source, number, changed)
        except NotJoinable:
            return False
        self._give_way()
        return True

    def write(self, rows: pa.Table) -> None:
        """Rows of ROW_SCHEMA; they wait until they fill a row group."""
        if not rows.num_rows:
            return
        self._waiting.append(rows)
        self._waiting_rows += rows.num_rows
        self._waiting_bytes += rows.nbytes
        self.rows += rows.num_rows
        if self._waiting_rows > GROUP_ROWS - _READ_ROWS or self._waiting_bytes >= GROUP_BYTES:
            self._flush()

    def finish(self, name: str) -> Path:
        """Give the file its name; the path."""
        self._flush()
        self._joiner.finish()
        written = parquet.read_metadata(self._partial).num_rows
        if written != self.rows:
            raise OSError(f"{self._partial}: {written} rows were written instead of {self.rows}")
        self._partial.chmod(0o444)
        sync(self._partial)
        os.replace(self._partial, self._folder / name)
        sync(self._folder)
        return self._folder / name

    def _flush(self) -> None:
        if self._waiting:
            self._joiner.append_bytes(encoded(pa.concat_tables(self._waiting)))
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
            self._give_way()

    def _give_way(self) -> None:
        now_seconds = time.thread_time()
        self._pause(now_seconds - self._paused_at_seconds)
        self._paused_at_seconds = time.thread_time()

    def _count(self, size_bytes: int) -> None:
        self._unsynced_bytes += size_bytes
        if self._unsynced_bytes >= _SYNC_BYTES:
            self._unsynced_bytes = 0
            self._joiner.sync()


def encoded(rows: pa.Table) -> memoryview:
    """A Parquet file of one row group in memory: rows of ROW_SCHEMA, or some columns of it."""
    target = io.BytesIO()
    traces = traces_of_group(rows) if "trace_id" in rows.schema.names else 0
    with parquet.ParquetWriter(target, rows.schema, **parquet_options(rows.schema, traces=traces)) as writer:
        writer.write_table(rows.unify_dictionaries(), row_group_size=rows.num_rows)
    return target.getbuffer()


def pour(path: Path, into: Rewriter, amendments: Amendments) -> None:
    """All rows of a segment into `into`, amendments taken in."""
    with path.open("rb") as file:
        metadata = parquet.read_metadata(file)
        source = Source(file)
        for number in range(metadata.num_row_groups):
            if is_large(metadata, number) and into.copy(source, number, _verdicts(file, metadata, number, amendments)):
                continue
            for part in read(file, metadata, number):
                into.write(amendments.take_in(part))


def _verdicts(file: BinaryIO, metadata: parquet.FileMetaData, number: int, amendments: Amendments) -> pa.Table | None:
    """The columns of a row group that its amendments change, whole; None when there are none."""
    if not amendments.touch(*seq_range(metadata, number)):
        return None
    before = list(read(file, metadata, number, NEEDED_COLUMNS))
    now = [amendments.take_in(part) for part in before]
    pairs = list(zip(before, now, strict=True))
    changed = [n for n in VERDICT_COLUMNS if not all(old.column(n).equals(new.column(n)) for old, new in pairs)]
    return pa.concat_tables(now).select(changed) if changed else None


def is_large(metadata: parquet.FileMetaData, number: int) -> bool:
    """Whether a row group is worth keeping as it is."""
    group = metadata.row_group(number)
    return bool(group.num_rows >= COPIED_ROWS or group.total_byte_size >= GROUP_BYTES // 2)


def seq_range(metadata: parquet.FileMetaData, number: int) -> tuple[int, int]:
    """First and last seq of a row group by its statistics."""
    column = metadata.row_group(number).column(ROW_SCHEMA.get_field_index("seq"))
    if column.path_in_schema != "seq" or column.statistics is None or not column.statistics.has_min_max:
        return 0, 2**63 - 2
    return column.statistics.min, column.statistics.max


def read(
    file: BinaryIO, metadata: parquet.FileMetaData, number: int, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The rows of a row group in pieces, dictionaries kept; all columns have the types of ROW_SCHEMA."""
    group = metadata.row_group(number)
    at_once = max(1, min(_READ_ROWS, GROUP_BYTES // 2 * group.num_rows // max(group.total_byte_size, 1)))
    names = ROW_SCHEMA.names if columns is None else columns
    schema = pa.schema([ROW_SCHEMA.field(name) for name in names])
    opened = parquet.ParquetFile(
        file,
        metadata=metadata,
        read_dictionary=[name for name in DICTIONARIES if name in names],
        buffer_size=_BUFFER_BYTES,
    )
    for batch in opened.iter_batches(at_once, row_groups=[number], columns=list(names), use_threads=False):
        yield pa.Table.from_batches([batch]).select(list(names)).cast(schema)


def name_of(first_seq: int, last_seq: int) -> str:
    """A name that no other segment has."""
    return f"{first_seq}-{last_seq}-{uuid.uuid4().hex[:8]}.parquet"


def joined(segments: Sequence[Segment], file: str, folder: Path, tier: int) -> Segment:
    """What the manifest says of a file that holds the rows of `segments`."""
    return Segment(
        file,
        min(segment.first_seq for segment in segments),
        max(segment.last_seq for segment in segments),
        sum(segment.rows for segment in segments),
        path_of(folder, file).stat().st_size,
        sum((segment.cost_usd for segment in segments[1:]), segments[0].cost_usd),
        union(pair for segment in segments for pair in segment.start_ranges_ns),
        tuple(sorted({org for segment in segments for org in segment.org_ids})),
        tier,
    )


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """At most `RANGES` ranges that hold all of `ranges`, joined where the gaps are smallest."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    while len(merged) > RANGES:
        at = min(range(len(merged) - 1), key=lambda number: merged[number + 1][0] - merged[number][1])
        merged[at : at + 2] = [(merged[at][0], merged[at + 1][1])]
    return tuple(merged)
