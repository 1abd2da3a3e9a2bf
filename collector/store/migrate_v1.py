"""Version 1 -> 2: spans leave the tables `span_log` and `call_log` for Parquet segments; what is small stays.

All of it is one transaction, and a segment is complete on disk before it is named in it: interrupted anywhere, the
ledger is still one of version 1, and the next start begins again after removing the files of this attempt. Published
segments of version 1 are named by nothing afterwards; the store removes them at start (`damage.clear_strays`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa

from collector.store import manifest
from collector.store.layout import Layout
from collector.store.rows import DERIVED_BITS, ROW_SCHEMA
from collector.store.statements import fetch, query, registered, statement

RANGE_ROWS, RANGE_BYTES = 65_536, 32 << 20
"""Rows that are in memory at once, and their texts. Lower: smaller row groups, which queries read slower."""

SEGMENT_RANGES = 16
"""Ranges of one segment: a million rows, or 512 MiB of texts before compression."""

TIER = 2
"""Of the segments: they need no merging."""

_SMALL = ("price_row", "budget", "budget_event", "schema_version")
"""Tables that stay as they are."""

_OLD_FILES = ("span_log-*.parquet", "call_log-*.parquet")
"""Published segments of version 1."""

_FINAL = ", ".join(f'coalesce(span_log."{name}", call_log."{name}") AS "{name}"' for name in DERIVED_BITS)
_DERIVED = " + ".join(
    f'CASE WHEN span_log."{name}" IS NULL AND call_log."{name}" IS NOT NULL THEN {bit} ELSE 0 END'
    for name, bit in DERIVED_BITS.items()
)

Range = tuple[int, int]
"""First and last seq."""


def migrate(connection: Any, layout: Layout) -> None:
    """Rewrite a ledger of version 1, in the transaction that is open.

    The caller has made a backup, records the version, commits and checkpoints. Raises OSError, duckdb.Error: nothing is
    lost then.
    """
    layout.segments.mkdir(parents=True, exist_ok=True)
    _remove_attempt(layout)
    ranges = _ranges(connection)
    segments = [
        manifest.write(layout.segments, _rows(connection, part), TIER)
        for part in (ranges[first : first + SEGMENT_RANGES] for first in range(0, len(ranges), SEGMENT_RANGES))
    ]
    small = {name: fetch(connection, f"SELECT * FROM _ledger.{name}") for name in _SMALL}
    batches = fetch(connection, "SELECT *, CAST(0 AS BIGINT) AS journal FROM _ledger.batch")
    connection.execute(query("v1_drop"))
    connection.execute(statement("ddl", "v2"))
    for name, table in {**small, "batch": batches}.items():
        with registered(connection, source=table):
            connection.execute(f"INSERT INTO _ledger.{name} SELECT * FROM source")
    for segment in segments:
        manifest.record(connection, segment)


def _remove_attempt(layout: Layout) -> None:
    """Version 1 had only published segments there, which readers may use until the new publication."""
    published = {path for pattern in _OLD_FILES for path in layout.segments.glob(pattern)}
    for path in layout.segments.iterdir():
        if path.is_file() and path not in published:
            path.unlink()


def _ranges(connection: Any) -> list[Range]:
    """All spans in ranges of bounded size, in order of seq."""
    rows = size_bytes = 0
    numbered: list[tuple[int, Range]] = []
    number = 0
    for first, last, block_rows, block_bytes in connection.execute(query("v1_blocks")).fetchall():
        if rows and (rows + block_rows > RANGE_ROWS or size_bytes + block_bytes > RANGE_BYTES):
            number, rows, size_bytes = number + 1, 0, 0
        rows, size_bytes = rows + block_rows, size_bytes + block_bytes
        numbered.append((number, (first, last)))
    grouped = ([block for _, block in group] for _, group in groupby(numbered, key=lambda item: item[0]))
    return [(blocks[0][0], blocks[-1][1]) for blocks in grouped]


def _rows(connection: Any, ranges: Iterable[Range]) -> Iterator[pa.Table]:
    sql = query("v1_rows").format(final=_FINAL, derived=_DERIVED)
    for first, last in ranges:
        yield _as_stored(fetch(connection, sql, [first, last]))


def _as_stored(table: pa.Table) -> pa.Table:
    """Columns of `ROW_SCHEMA`: texts that repeat as dictionaries. DuckDB's arrays hold the whole range in memory while
    one of them lives, so what outlives the others is copied."""
    columns = []
    for field in ROW_SCHEMA:
        column = table.column(field.name)
        encode = pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type)
        columns.append((column.dictionary_encode() if encode else column).cast(field.type))
    at = ROW_SCHEMA.get_field_index("start_time")  # kept by the manifest until the file is complete
    columns[at] = pa.chunked_array([pa.array(columns[at].to_numpy().copy(), ROW_SCHEMA.field(at).type)])
    return pa.Table.from_arrays(columns, schema=ROW_SCHEMA)
