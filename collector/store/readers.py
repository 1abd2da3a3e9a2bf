"""Reading the ledger in the collector's process: a cursor per read, results drained, all of them known.

A dead DuckDB instance can only be opened again when every one of its connections is closed, so the store must be able
to end the reads that are under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from collector.store.database import as_unavailable
from collector.store.errors import StoreUnavailable
from collector.store.statements import fetch

T = TypeVar("T")

_LONGEST_WAIT_SECONDS = 30.0


class Reader:
    """A consistent view of the ledger for the time of one read."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

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
        self._active: set[Any] = set()

    def open(self, connection: Any) -> None:
        with self._changed:
            self._connection = connection

    def close(self) -> None:
        """Interrupt the reads under way and wait until their cursors are closed."""
        with self._changed:
            self._connection = None
            for cursor in self._active:
                cursor.interrupt()
            self._changed.wait_for(lambda: not self._active, _LONGEST_WAIT_SECONDS)

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` in one transaction. It must return values, not lazy results. Raises StoreUnavailable."""
        with self._changed:
            if self._connection is None:
                raise StoreUnavailable("the ledger is closed")
            cursor = self._connection.cursor()
            self._active.add(cursor)
        try:
            cursor.begin()
            return work(Reader(cursor))
        except duckdb.Error as error:
            raise as_unavailable(error) or error from error
        finally:
            cursor.close()
            with self._changed:
                self._active.discard(cursor)
                self._changed.notify_all()
