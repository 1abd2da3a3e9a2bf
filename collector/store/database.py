"""Opening the ledger's file: DuckDB settings, a damaged log, checks of what is in it."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from collector.store.append import Position
from collector.store.config import StoreConfig
from collector.store.errors import LedgerDamaged, PathUnusable, StoreUnavailable
from collector.store.layout import Layout
from collector.store.statements import query

STORAGE_VERSION = "v1.5.0"
"""What every file is written in, so that DuckDB 1.5 (and Grafana's plugin with it) reads what 2.0 wrote."""

Report = Callable[[str], None]
"""Told in one sentence what an operator should know: damage found, something repaired."""


def refuse_foreign_file(layout: Layout) -> None:
    """Publishing replaces the file as a whole: what is not ours, or has lost its ledger, would be gone.

    Raises PathUnusable.
    """
    published = layout.published
    if published.is_dir():
        raise PathUnusable(f"{published}: is a directory; name a file in it")
    if not layout.ledger.exists() and published.exists() and published.stat().st_size:
        raise PathUnusable(
            f"{published}: exists, and is not published from a ledger in {layout.folder.name} beside it; it "
            "would be overwritten. Move it away, or choose another path (exporters.duckdb.path, or --db)."
        )


def connect(layout: Layout, config: StoreConfig, report: Report) -> Any:
    """Open the ledger. A log that cannot be replayed is moved aside, never deleted, and reported."""
    try:
        return _connect(layout.ledger, config)
    except duckdb.IOException as error:
        if "No space left" in str(error):
            raise StoreUnavailable(f"{layout.ledger}: {error}") from error
        return _connect_without_log(layout, config, report, error)
    except duckdb.Error as error:
        return _connect_without_log(layout, config, report, error)


def _connect_without_log(layout: Layout, config: StoreConfig, report: Report, error: Exception) -> Any:
    if not layout.wal.exists():
        raise LedgerDamaged(f"{layout.ledger}: cannot be opened: {error}") from error
    aside = layout.wal.with_name(f"{layout.wal.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    os.rename(layout.wal, aside)
    report(f"{layout.wal}: cannot be replayed ({error}); moved to {aside.name}, opening at the last checkpoint")
    try:
        return _connect(layout.ledger, config)
    except duckdb.Error as again:
        os.rename(aside, layout.wal)
        raise LedgerDamaged(f"{layout.ledger}: cannot be opened, not even without its log: {again}") from again


def _connect(path: Path, config: StoreConfig) -> Any:
    return duckdb.connect(
        str(path),
        config={
            "storage_compatibility_version": STORAGE_VERSION,
            "memory_limit": f"{config.memory_limit_mib}MiB",
            "threads": config.threads,
            "checkpoint_threshold": f"{config.checkpoint_wal_bytes}B",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "preserve_insertion_order": "true",
        },
    )


def is_fatal(error: BaseException) -> bool:
    """Whether every connection of the instance is dead until all are closed and the file is opened anew."""
    return isinstance(error, (duckdb.FatalException, duckdb.InternalException)) or "invalidated" in str(error)


def as_unavailable(error: Exception) -> StoreUnavailable | None:
    """The retryable form of a DuckDB error that says nothing about the data: disk, memory, a dead instance."""
    retryable = (duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException, duckdb.TransactionException)
    if isinstance(error, retryable) or is_fatal(error):
        return StoreUnavailable(f"the ledger cannot commit now: {str(error).splitlines()[0]}")
    return None


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """The batch rows against the segments they speak of."""

    position: Position
    spans: int
    journal: int  # last journal record whose spans are committed
    problems: tuple[str, ...]


def check(connection: Any, high_water: Position | None) -> LedgerCheck:
    """Compare segments, expired spans, batch rows, and the high-water mark kept outside the ledger."""
    missing, last_batch, last_seq, promised, promised_cost, journal = _row(connection, "ledger_batches")
    accounted, highest_seq, cost, spans = _row(connection, "ledger_spans")
    problems = []
    if missing:
        problems.append(f"{missing} of {last_batch} batch rows are missing")
    complete = spans == accounted  # else the newest ones may be expired
    if promised != accounted or last_seq < highest_seq or (complete and last_seq != highest_seq):
        problems.append(
            f"batch rows promise {promised} spans up to {last_seq}, "
            f"stored or expired are {accounted} up to {highest_seq}"
        )
    if promised_cost != cost:
        problems.append(f"batch rows promise {promised_cost} USD, stored or expired are {cost} USD")
    if high_water is not None and high_water.batch > last_batch:
        problems.append(
            f"{high_water.seq - last_seq} acknowledged spans (batches {last_batch + 1} to {high_water.batch}) "
            "are missing: the write-ahead log was damaged"
        )
    position = Position(last_batch, max(last_seq, highest_seq, high_water.seq if high_water else 0))
    return LedgerCheck(position, spans, journal, tuple(problems))


def _row(connection: Any, name: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(query(name)).fetchall()[0]
    return row


class HighWater:
    """The last committed position in a file of its own. Written without fsync: it survives the process, and
    after a power cut it is merely too low, which raises no alarm."""

    _FORMAT = struct.Struct("<qq")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def open(self) -> Position | None:
        """The position kept by the last process; None when there is none."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        kept = os.pread(self._descriptor, self._FORMAT.size, 0)
        return Position(*self._FORMAT.unpack(kept)) if len(kept) == self._FORMAT.size else None

    def keep(self, position: Position) -> None:
        """Note a commit. A disk that refuses makes the mark too low, and no commit a failure."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, self._FORMAT.pack(position.batch, position.seq), 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
