"""Reading the ledger in the collector's process: a cursor per read, results drained, all of them known.

A dead DuckDB instance can only be opened again when every one of its connections is closed, so the store must be able
to end the reads that are under way. And a file of spans may only be deleted when no read uses it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from collector.store import manifest, sources
from collector.store.database import as_unavailable
from collector.store.errors import StoreUnavailable
from collector.store.layout import Layout
from collector.store.manifest import Segment
from collector.store.statements import fetch

T = TypeVar("T")

_LONGEST_WAIT_SECONDS = 30.0


class Reader:
    """A consistent view of the ledger for the time of one read: the public views and the tables of `_ledger`."""

    def __init__(self, connection: Any, segments: Sequence[Segment], missing_spans: int) -> None:
        self._connection = connection
        self.segments = segments
        """What the views read, in order of seq."""
        self.missing_spans = missing_spans
        """Spans of the ledger that they do not read, because the archive is not there."""

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        return fetch(self._connection, sql, parameters)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, list(parameters)).fetchall()
        return rows


class Readers:
    """Runs reads on cursors of `connection` until it is taken away."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._connection: Any = None
        self._layout: Layout | None = None
        self._active: dict[Any, frozenset[str]] = {}  # cursor -> files that its snapshot names

    def open(self, connection: Any) -> None:
        layout = sources.prepare(connection)
        with self._changed:
            self._connection, self._layout = connection, layout

    def close(self) -> None:
        """Interrupt the reads under way and wait until their cursors are closed."""
        with self._changed:
            self._connection = None
            for cursor in self._active:
                cursor.interrupt()
            self._changed.wait_for(lambda: not self._active, _LONGEST_WAIT_SECONDS)

    def files(self) -> frozenset[str]:
        """Those that reads under way may open yet. A read that begins later names none that is retired by now."""
        with self._changed:
            return frozenset().union(*self._active.values())

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` in one transaction. It must return values, not lazy results. Raises StoreUnavailable."""
        cursor = None
        try:
            with self._changed:
                if self._connection is None or self._layout is None:
                    raise StoreUnavailable("the ledger is closed")
                cursor = self._connection.cursor()
                self._active[cursor] = frozenset()
                cursor.begin()
                segments = manifest.live(cursor)
                self._active[cursor] = frozenset(segment.file for segment in segments)
            readable, missing = sources.split(self._layout, segments)
            sources.bind(cursor, self._layout, readable)
            return work(Reader(cursor, readable, sum(segment.rows for segment in missing)))
        except duckdb.Error as error:
            raise as_unavailable(error) or error from error
        finally:
            if cursor is not None:
                cursor.close()
                with self._changed:
                    self._active.pop(cursor, None)
                    self._changed.notify_all()
