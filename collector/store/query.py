"""Reading a ledger from outside the collector: always from the published file, never from the live one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from collector.store.config import StoreConfig
from collector.store.errors import NotPublished, QueryFailed, StoreLocked
from collector.store.layout import Layout
from collector.store.lock import InstanceLock
from collector.store.store import Store

Parameters = Mapping[str, object] | Sequence[object]


@dataclass(frozen=True, slots=True)
class Freshness:
    """Up to where an answer from the publication goes."""

    published_at: datetime  # UTC
    last_seq: int
    spans: int
    collector_runs: bool


def query_published(path: Path, sql: str, parameters: Parameters = ()) -> pa.Table:
    """The result of one of our own queries (never a user's: nothing is confined here) over the published file.

    Publishes first when no collector runs and the ledger is ahead of its publication, as after a crash.
    Raises NotPublished if there is no ledger, QueryFailed with DuckDB's message, StartupError if the ledger cannot be
    opened for that publication.
    """
    bring_up_to_date(path)
    with _Published(path) as connection:
        return connection.sql(sql, params=_listed(parameters)).to_arrow_table()


def freshness(path: Path) -> Freshness:
    """What `publication` says, and whether a collector is at work. Raises NotPublished."""
    with _Published(path) as connection:
        published_at, last_seq, spans = connection.execute(
            "SELECT published_at, last_seq, spans FROM publication"
        ).fetchall()[0]
    return Freshness(published_at.replace(tzinfo=UTC), last_seq, spans, not _idle(Layout.of(path)))


def bring_up_to_date(path: Path) -> None:
    """Publish what a killed collector committed and did not publish. Does nothing while a collector runs."""
    layout = Layout.of(path)
    if not layout.ledger.exists():
        if not layout.published.exists():
            raise NotPublished(f"{path}: there is no ledger here; `otel-cost collect` or `otel-cost import` makes one")
        return
    if layout.published.exists() and not layout.dirty.exists():
        return
    store = Store(StoreConfig(path=path, publish_interval_seconds=0))
    try:
        store.start()
    except StoreLocked:
        if not layout.published.exists():
            raise NotPublished(f"{path}: the collector has only just started; try again") from None
        return
    store.stop()


def _idle(layout: Layout) -> bool:
    lock = InstanceLock(layout.lock)
    try:
        lock.acquire()
    except StoreLocked:
        return False
    lock.release()
    return True


def _listed(parameters: Parameters) -> dict[str, object] | list[object]:
    return dict(parameters) if isinstance(parameters, Mapping) else list(parameters)


class _Published:
    """The published file, open read-only for one query. DuckDB's errors become QueryFailed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Any = None

    def __enter__(self) -> Any:
        if not self._path.exists():
            raise NotPublished(f"{self._path}: there is no ledger here")
        try:
            self._connection = duckdb.connect(str(self._path), read_only=True)
        except duckdb.Error as error:
            raise QueryFailed(f"{self._path}: {error}") from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._connection.close()
        if isinstance(error, duckdb.Error):
            raise QueryFailed(str(error)) from error
