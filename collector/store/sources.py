"""Which files the views of the ledger read: a variable that each read sets to the segments of its own snapshot."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pyarrow import parquet

from collector.store import billed
from collector.store.layout import Layout
from collector.store.manifest import Segment, parquet_options, path_of, sync
from collector.store.rows import ROW_SCHEMA
from collector.store.statements import query

EXPRESSION = "getvariable('segments')"

_FOLDER = "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"


def layout_of(connection: Any) -> Layout:
    """The layout of an open ledger."""
    return Layout.of_ledger(Path(connection.execute(_FOLDER).fetchall()[0][0]))


def prepare(connection: Any) -> Layout:
    """The same, with the files without rows in their places. Raises OSError."""
    layout = layout_of(connection)
    write_empty(layout.empty)
    billed.write_none(layout)
    return layout


def write_empty(path: Path) -> None:
    """No spans, in the columns of this program: what an empty ledger reads, and what all files are taken to be like."""
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        parquet.write_table(ROW_SCHEMA.empty_table(), partial, **parquet_options(ROW_SCHEMA))
        partial.chmod(0o444)
        sync(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def split(layout: Layout, segments: Iterable[Segment]) -> tuple[list[Segment], list[Segment]]:
    """Segments that can be read, and those of an archive whose files are not there now, as when its disk is away."""
    readable: list[Segment] = []
    missing: list[Segment] = []
    for segment in segments:
        here = not segment.cold or path_of(layout.segments, segment.file).is_file()
        (readable if here else missing).append(segment)
    return readable, missing


def bind(connection: Any, layout: Layout, segments: Sequence[Segment]) -> None:
    """Make the views on `connection` read these segments, the newest first (`views.create_sources`)."""
    files = [str(layout.empty), *(str(path_of(layout.segments, segment.file)) for segment in reversed(segments))]
    connection.execute("SET VARIABLE segments = ?", [files])
    runs = connection.execute(query("price_run_files")).fetchall()
    connection.execute("SET VARIABLE billed = ?", [[str(path) for path in billed.in_force(runs, layout)]])
