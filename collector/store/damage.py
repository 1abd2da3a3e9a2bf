"""Segments whose file is missing or damaged: set aside and said, so that everything else goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector.store import manifest
from collector.store.manifest import Segment, path_of

Report = Callable[[str], None]

FOLDER = "damaged"
"""Beside the folder of segments: where damaged files go, under their names."""


def set_aside(connection: Any, folder: Path, segment: Segment, why: str, report: Report) -> None:
    """Take a segment out of the ledger until its file is back; a file that is there is moved, never deleted.

    In the writer, outside a transaction.
    """
    path = path_of(folder, segment.file)
    moved = ""
    if path.exists():
        aside = folder.parent / FOLDER
        aside.mkdir(exist_ok=True)
        target = aside / path.name
        os.replace(path, target)
        moved = f"; moved to {target}"
    connection.begin()
    try:
        connection.execute(
            "INSERT INTO _ledger.lost_segment FROM _ledger.segment WHERE file = ? AND retired_at IS NULL",
            [segment.file],
        )
        connection.execute("DELETE FROM _ledger.segment WHERE file = ? AND retired_at IS NULL", [segment.file])
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    report(
        f"{path}: {why}{moved}. Missing from all totals until the file is back in its place: {_content(segment)}. "
        "Put an intact copy there and start again."
    )


def check_files(connection: Any, folder: Path, report: Report) -> None:
    """At start: take lost segments back whose file has returned, and set aside those whose file is not as written."""
    for row in connection.execute("SELECT file, size_bytes FROM _ledger.lost_segment").fetchall():
        if _size_bytes(path_of(folder, row[0])) == row[1]:
            connection.begin()
            connection.execute("INSERT INTO _ledger.segment FROM _ledger.lost_segment WHERE file = ?", [row[0]])
            connection.execute("DELETE FROM _ledger.lost_segment WHERE file = ?", [row[0]])
            connection.commit()
            report(f"{path_of(folder, row[0])}: is back, and part of the ledger again")
    for segment in manifest.live(connection):
        if segment.cold:  # in an archive, which may be away for a while
            continue
        size_bytes = _size_bytes(path_of(folder, segment.file))
        if size_bytes is None:
            set_aside(connection, folder, segment, "is missing", report)
        elif size_bytes != segment.size_bytes:
            why = f"is damaged: {size_bytes} bytes, {segment.size_bytes} were written"
            set_aside(connection, folder, segment, why, report)


def _size_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _content(segment: Segment) -> str:
    first, last = (_time(ns) for ns in (segment.start_ranges_ns[0][0], segment.start_ranges_ns[-1][1]))
    return f"{segment.rows} spans that cost {segment.cost_usd} USD, started from {first} to {last}"


def _time(ns: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000):%Y-%m-%dT%H:%M:%SZ}"
