"""Sums over the whole ledger in little memory: segments are read a few at a time.

DuckDB holds what the footers of all files of a statement say until it ends: a kilobyte per column of each row group, 74
MB for twelve million spans that came under load. A statement for every few segments holds theirs alone, and costs no
more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from collector.store.errors import QueryFailed
from collector.store.pieces import Piece, calls_of, pieces
from collector.store.statements import identifier, registered

ROWS_AT_ONCE = 1 << 20
"""Spans of the segments of one statement, about; a larger segment has one of its own. Lower: more statements, of some
milliseconds each. Higher: more memory."""

_KEY = "key_"
_BUCKET = "bucket"
_TYPES = {"int64": "BIGINT", "decimal128(38, 12)": "DECIMAL(38, 12)"}
"""Of sums, as questions have them. DuckDB's own sum is wider."""


Rest = Callable[[float], None]
"""Called after each statement with the CPU seconds that it took in this thread."""


def sums_of_published(
    path: Path,
    sql: str,
    parameters: Mapping[str, object],
    *,
    threads: int,
    rest: Rest = lambda cpu_seconds: None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> pa.Table:
    """The result of a question about the view `calls` that groups by all of `bucket` and `key_...` that it has; every
    other column of it is a sum.

    Raises QueryFailed with DuckDB's message.
    """
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET threads = ?", [threads])
            name = identifier(connection.execute("SELECT current_database()").fetchall()[0][0])
            some, amendments = pieces(connection, name)
            parts: list[pa.Table] = []
            for few in _few(some, rows_at_once):
                started_seconds = time.thread_time()
                calls = calls_of(few, name, amendments=not parts and amendments is not None)
                connection.execute(f"CREATE OR REPLACE TEMP VIEW calls AS SELECT * FROM {calls}")
                parts.append(connection.sql(sql, params=dict(parameters)).to_arrow_table())
                rest(time.thread_time() - started_seconds)
            if not parts:
                return connection.sql(sql, params=dict(parameters)).to_arrow_table()
            return parts[0] if len(parts) == 1 else _added(connection, pa.concat_tables(parts))
    except duckdb.Error as error:
        raise QueryFailed(f"{path}: {error}") from error


def _few(some: Sequence[Piece], rows_at_once: int) -> Iterator[list[Piece]]:
    few: list[Piece] = []
    for piece in some:
        if few and sum(each.rows for each in few) + piece.rows > rows_at_once:
            yield few
            few = []
        few.append(piece)
    if few:
        yield few


def _added(connection: Any, parts: pa.Table) -> pa.Table:
    """One row for each combination of keys, in their order."""
    keys = [field.name for field in parts.schema if field.name == _BUCKET or field.name.startswith(_KEY)]
    sums = [name for name in parts.schema.names if name not in keys]
    wrong = [name for name in sums if str(parts.schema.field(name).type) not in _TYPES]
    if wrong:
        raise duckdb.BinderException(f"no sums: {', '.join(wrong)}")
    added = (f"CAST(sum({name}) AS {_TYPES[str(parts.schema.field(name).type)]}) AS {name}" for name in sums)
    grouped = f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
    with registered(connection, parts=parts):
        found = connection.sql(f"SELECT {', '.join([*keys, *added])} FROM parts{grouped}").to_arrow_table()
    return found.select(parts.schema.names)
