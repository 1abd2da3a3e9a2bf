"""What the manifest and the files say, for whoever looks without writing: maintenance, `doctor`, the gauges."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.store.layout import Layout
from collector.store.manifest import Segment

_SEGMENTS = """
SELECT file, first_seq, last_seq, row_count, size_bytes, cost_usd, start_ranges_ns, org_ids, tier, cold, written_at
FROM _ledger.segment
WHERE retired_at IS NULL
ORDER BY first_seq, last_seq
"""

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Written:
    """A live segment, and since when it is one."""

    segment: Segment
    at: datetime


def written_segments(reader: Any) -> list[Written]:
    """The segments that make up the ledger, in order of seq. `reader`: of `Store.read`."""
    return [Written(_segment(row), row[-1].replace(tzinfo=UTC)) for row in reader.rows(_SEGMENTS)]


def _segment(row: tuple[Any, ...]) -> Segment:
    file, first, last, rows, size, cost, flat, orgs, tier, cold, _ = row
    ranges = tuple(zip(flat[::2], flat[1::2], strict=True))
    return Segment(file, first, last, rows, size, cost, ranges, tuple(orgs), tier, cold)


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes on disk of one ledger, by part."""

    segment_bytes: int
    """Files of spans, those kept for readers of older publications included."""
    manifest_bytes: int
    """`ledger.duckdb` and its log."""
    journal_bytes: int
    publication_bytes: int
    backup_bytes: int
    free_bytes: int
    """Of the disk that the ledger lies on."""

    @property
    def total_bytes(self) -> int:
        """What the ledger takes in all, without its archive."""
        return (
            self.segment_bytes + self.manifest_bytes + self.journal_bytes + self.publication_bytes + self.backup_bytes
        )


def space(layout: Layout) -> Space:
    """What a ledger takes. Only names and sizes are looked at, so it may be asked while the ledger is open.

    Raises OSError when the folder is gone.
    """
    return Space(
        segment_bytes=bytes_in(layout.segments),
        manifest_bytes=size_of(layout.ledger) + size_of(layout.wal),
        journal_bytes=bytes_in(layout.folder / "journal"),
        publication_bytes=size_of(layout.published) + size_of(layout.template),
        backup_bytes=bytes_in(layout.backups),
        free_bytes=shutil.disk_usage(layout.folder).free,
    )


def bytes_in(folder: Path) -> int:
    """Of all files below a folder; 0 when there is none. A file that goes away meanwhile is not counted."""
    if not folder.is_dir():
        return 0
    return sum(size_of(path) for path in folder.rglob("*"))


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return 0 if path.is_dir() else status.st_size
