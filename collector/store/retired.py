"""Files that merging and retention have put out of use: kept for readers of older publications, not for ever."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector.store.config import StoreConfig
from collector.store.manifest import path_of

_RETIRED = (
    "SELECT file, size_bytes, retired_at FROM _ledger.segment WHERE retired_at IS NOT NULL ORDER BY retired_at DESC"
)
_FORGET = "DELETE FROM _ledger.segment WHERE retired_at IS NOT NULL AND list_contains(?, file)"


def forget(connection: Any, folder: Path, config: StoreConfig, in_use: Collection[str]) -> None:
    """Delete retired files that are too old or too many, then their rows. In the writer.

    `in_use` stay: those that the current publication or a read under way names. Newest are kept first, so that a reader
    finds what it opened for as long as `config.segment_grace_seconds` and `config.retired_bytes` allow.
    """
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=config.segment_grace_seconds)
    kept_bytes, forgotten = 0, []
    for file, size_bytes, retired_at in connection.execute(_RETIRED).fetchall():
        kept_bytes += size_bytes
        if file not in in_use and (retired_at <= before or kept_bytes > config.retired_bytes):
            forgotten.append(file)
    if forgotten:
        connection.execute("CHECKPOINT")  # if the log were lost, the ledger would name these files again
    for file in forgotten:
        path_of(folder, file).unlink(missing_ok=True)
    if forgotten:
        connection.execute(_FORGET, [forgotten])
