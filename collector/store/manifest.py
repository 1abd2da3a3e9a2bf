"""Which Parquet segments make up the ledger: written, recorded, replaced, forgotten.

A segment is complete and on disk before its name appears in the manifest, and it is never changed. What the manifest
says changes in the transaction that also holds the batch row, so a crash leaves at most files that nobody names.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from collector.store.rows import ROW_SCHEMA

GROUP_ROWS = 122_880
"""Rows of a Parquet row group at most: DuckDB's own default, what it reads in parallel and skips by statistics."""

SMALL_ROWS = 4_096
"""Below it a file is written with LZ4: 71 zstd contexts take 2 ms, more than all the rest of a file of one row, and
merging writes the rows again anyway."""

RANGES = 4
RANGE_GAP_NS = 60 * 10**9
"""A segment with a few spans from another time gets several narrow ranges instead of one wide one."""

_CONSTANT = ("kind", "status_code", "dropped_attributes_count", "flags", "attempt")
"""Whole numbers that are nearly always the same: plain and zstd takes no room and is read fastest."""

_RAW = "cost_usd"
"""What every question reads. As differences it hardly shrinks further, and inflating it takes half of reading it."""

_STATISTICS = ["seq", "start_time"]
_LOOKED_UP = "trace_id"
_BLOOM_FPP = 0.05
_BLOOMS = "bloom_filter_options" in signature(parquet.ParquetWriter.__init__).parameters  # not in older pyarrow
_SAMPLE_ROWS = 4_096

Ranges = tuple[tuple[int, int], ...]
"""(low, high) in nanoseconds since the epoch, both included, ascending."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of spans."""

    file: str  # relative to the folder of segments, or absolute
    first_seq: int
    last_seq: int
    rows: int
    size_bytes: int
    cost_usd: Decimal
    start_ranges_ns: Ranges
    org_ids: tuple[str, ...]
    tier: int = 0
    cold: bool = False

    def overlaps(self, ranges: Iterable[tuple[int, int]]) -> bool:
        """Whether a span that starts in one of `ranges` may be in it."""
        return any(low <= last and first <= high for low, high in ranges for first, last in self.start_ranges_ns)


def start_ranges(starts_ns: npt.NDArray[np.int64]) -> Ranges:
    """At most `RANGES` ranges that hold all of `starts_ns`, cut at the widest gaps."""
    ordered = np.sort(starts_ns)
    gaps = np.diff(ordered)
    wide = np.flatnonzero(gaps > RANGE_GAP_NS)
    cuts = np.sort(wide[np.argsort(gaps[wide])[::-1][: RANGES - 1]])
    lows = [0, *(cuts + 1).tolist()]
    highs = [*cuts.tolist(), len(ordered) - 1]
    return tuple((int(ordered[low]), int(ordered[high])) for low, high in zip(lows, highs, strict=True))


def parquet_options(schema: pa.Schema, *, small: bool = False, traces: int = 0) -> dict[str, Any]:
    """How rows are written: small, quick to write and to read, and readable by every DuckDB from 1.5 on.

    Whole numbers are kept as differences in as few bits as they need: half the time of zstd to read, and no larger.

    Args:
        schema: of the rows: `ROW_SCHEMA` or some columns of it.
        small: for a file of so few rows that setting up its compression costs more than all else.
        traces: about how many a row group holds. Look-ups by trace then skip the groups that do not have it (270 -> 30
            ms in ten million rows, for 0.15 bytes and 0.01 us per row). 0: they read the column.
    """
    options: dict[str, Any] = {
        "compression": "lz4" if small else {name: "none" if name == _RAW else "zstd" for name in schema.names},
        "compression_level": None if small else {name: 1 for name in schema.names if name != _RAW},
        "use_dictionary": [field.name for field in schema if pa.types.is_dictionary(field.type)],
        "column_encoding": {field.name: "DELTA_BINARY_PACKED" for field in schema if _is_delta(field)},
        "write_statistics": [name for name in _STATISTICS if name in schema.names],
        "store_decimal_as_integer": True,
        "store_schema": False,
    }
    if traces and _BLOOMS and _LOOKED_UP in schema.names:
        options["bloom_filter_options"] = {_LOOKED_UP: {"ndv": traces, "fpp": _BLOOM_FPP}}
    return options


def _is_delta(field: pa.Field) -> bool:
    whole: bool = (
        pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type) or pa.types.is_decimal(field.type)
    )
    return whole and field.name not in _CONSTANT


def traces_of_group(rows: pa.Table) -> int:
    """About how many traces a row group that begins with `rows` holds, from how often they change in the first ones.

    Too low: look-ups by trace read groups for nothing. Too high: the filter takes more room.
    """
    trace_ids = rows.column(_LOOKED_UP).slice(0, _SAMPLE_ROWS)
    distinct: int = pc.count_distinct(trace_ids).as_py()
    group_rows = min(int(rows.num_rows), GROUP_ROWS)
    return max(1, distinct * group_rows // max(len(trace_ids), 1))


def write(folder: Path, tables: Iterable[pa.Table], tier: int = 0) -> Segment:
    """Write non-empty rows (`ROW_SCHEMA`, ascending seq) into one new file; complete and synced when it returns.

    Raises OSError; a file that is not complete is removed.
    """
    partial = folder / f".{uuid.uuid4().hex}.partial"
    rows, cost, orgs = 0, Decimal(0), set()
    starts: list[npt.NDArray[np.int64]] = []
    first_seq = last_seq = 0
    try:
        waiting = iter(tables)
        first = next(waiting)
        small = first.num_rows < SMALL_ROWS
        options = parquet_options(ROW_SCHEMA, small=small, traces=0 if small else traces_of_group(first))
        with parquet.ParquetWriter(partial, ROW_SCHEMA, **options) as writer:
            for table in chain([first], waiting):
                writer.write_table(table, row_group_size=GROUP_ROWS)
                ends = pc.min_max(table.column("seq")).as_py()
                first_seq, last_seq = first_seq or ends["min"], ends["max"]
                rows += table.num_rows
                cost += pc.sum(table.column("cost_usd").cast(pa.decimal128(38, 12))).as_py() or 0
                orgs.update(table.column("org_id").unique().to_pylist())
                starts.append(np.asarray(table.column("start_time").cast(pa.int64()).to_numpy(), np.int64))
        file = f"{first_seq}-{last_seq}-{uuid.uuid4().hex[:8]}.parquet"
        partial.chmod(0o444)
        sync(partial)
        os.replace(partial, folder / file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(folder)
    size_bytes = (folder / file).stat().st_size
    ranges = start_ranges(np.concatenate(starts))
    return Segment(file, first_seq, last_seq, rows, size_bytes, cost, ranges, tuple(sorted(orgs)), tier)


def record(connection: Any, segment: Segment) -> None:
    """Make a written segment part of the ledger. In a transaction of the writer."""
    flat = [end for pair in segment.start_ranges_ns for end in pair]
    connection.execute(
        "INSERT INTO _ledger.segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        [
            segment.file,
            segment.first_seq,
            segment.last_seq,
            segment.rows,
            segment.size_bytes,
            segment.cost_usd,
            flat,
            list(segment.org_ids),
            segment.tier,
            segment.cold,
            _now(),
        ],
    )


def replace(connection: Any, old: Sequence[Segment], new: Sequence[Segment]) -> None:
    """Put `new` in the place of `old`, whose files stay for readers. In a transaction of the writer."""
    for segment in new:
        record(connection, segment)
    for segment in old:
        connection.execute(
            "INSERT INTO _ledger.segment SELECT * REPLACE (?::TIMESTAMP AS retired_at) FROM _ledger.segment "
            "WHERE file = ? AND retired_at IS NULL",
            [_now(), segment.file],
        )
        connection.execute("DELETE FROM _ledger.segment WHERE file = ? AND retired_at IS NULL", [segment.file])


_LIVE = """
SELECT file, first_seq, last_seq, row_count, size_bytes, cost_usd, start_ranges_ns, org_ids, tier, cold
FROM _ledger.segment
WHERE retired_at IS NULL
ORDER BY first_seq, last_seq
"""


def live(connection: Any) -> list[Segment]:
    """The segments that make up the ledger, in order of seq."""
    return _segments(connection.execute(_LIVE).fetchall())


def lost(connection: Any) -> list[Segment]:
    """The segments whose file was missing or damaged, in order of seq."""
    return _segments(connection.execute(_LIVE.replace("_ledger.segment", "_ledger.lost_segment")).fetchall())


def live_of_reader(reader: Any) -> list[Segment]:
    """The same on a snapshot (`Store.read`)."""
    return _segments(reader.rows(_LIVE))


def _segments(found: Sequence[tuple[Any, ...]]) -> list[Segment]:
    return [
        Segment(file, first, last, rows, size, cost, _pairs(ranges), tuple(orgs), tier, cold)
        for file, first, last, rows, size, cost, ranges, orgs, tier, cold in found
    ]


def path_of(folder: Path, file: str) -> Path:
    """Where a segment's file is."""
    return folder / file  # an absolute one stays as it is


def strays(connection: Any, folder: Path) -> list[Path]:
    """Files that the manifest does not know."""
    named = "SELECT file FROM _ledger.segment UNION SELECT file FROM _ledger.lost_segment"
    known = {row[0] for row in connection.execute(named).fetchall()}
    return [path for path in folder.iterdir() if path.is_file() and path.name not in known]


def discard(connection: Any, folder: Path, segment: Segment) -> bool:
    """Remove a written segment that the manifest does not have, as after a failed commit. Whether it did."""
    if connection.execute("SELECT 1 FROM _ledger.segment WHERE file = ?", [segment.file]).fetchall():
        return False
    path_of(folder, segment.file).unlink(missing_ok=True)
    return True


def make_folder(path: Path) -> None:
    """The folder and those above it, each name durable."""
    if not path.is_dir():
        if not path.parent.exists():
            make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pairs(flat: Sequence[int]) -> Ranges:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
