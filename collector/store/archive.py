"""Cold spans as files that anybody can read: `org_id=ORG/day=YYYY-MM-DD/FIRST-LAST-HASH.parquet` below one folder.

They stay part of the ledger, under their absolute names, and are never rewritten: later verdicts on them remain
amendments. The folder may be another disk. A file in it says that it is the archive, so that an empty mount point is
not taken for one.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from collector.store.folding import Amendments, Read
from collector.store.manifest import Segment, make_folder, parquet_options, path_of, start_ranges, sync
from collector.store.rewrite import GROUP_BYTES, name_of, read
from collector.store.rows import ROW_SCHEMA
from collector.store.upkeep import Archive
from collector.store.whole_attributes import with_whole_attributes

MARK = ".otel-cost-archive"
INTENT = "archiving.json"
"""In the folder of the ledger: what an export under way has written. After a crash, the next one removes it."""

PASS_ROWS = 8 << 20
"""Rows exported in one go. Lower: more files per day. Higher: a crash repeats more work."""

WAIT_SECONDS = 86_400
"""Rows wait so long for company, unless there are `WORTH_ROWS`: one file a day instead of one per small segment."""

WORTH_ROWS = 1 << 20

OPEN_FILES = 64
"""Partitions that are written at once. Lower: more files when organisations alternate. Higher: descriptors."""

_DAY_NS = 86_400 * 10**9


class ArchiveMissing(OSError):
    """The archive's folder is not there, and the ledger has files in it."""


@dataclass(frozen=True, slots=True)
class Export:
    """Segments to be moved. Rows that start at `before_ns` or later stay behind."""

    segments: tuple[Segment, ...]
    before_ns: int


def missing(live: Sequence[Segment], folder: Path) -> list[Segment]:
    """Segments of the archive whose files cannot be seen now: publications leave them out and say so."""
    return [segment for segment in live if segment.cold and not path_of(folder, segment.file).is_file()]


def plan(live: Sequence[Segment], archive: Archive, now: datetime) -> Export | None:
    """What is worth exporting now: segments whose rows are all old enough, but for those from the future."""
    now_ns = int(now.timestamp()) * 10**9
    before_ns = now_ns - int(archive.after_seconds * 10**9)
    chosen: list[Segment] = []
    rows, waited = 0, False
    for segment in live:
        old = [pair for pair in segment.start_ranges_ns if pair[1] < before_ns]
        future = [pair for pair in segment.start_ranges_ns if pair[0] > now_ns]
        if segment.cold or not old or len(old) + len(future) < len(segment.start_ranges_ns):
            continue
        if rows and rows + segment.rows > PASS_ROWS:
            break
        chosen.append(segment)
        rows += segment.rows
        waited = waited or old[-1][1] < before_ns - WAIT_SECONDS * 10**9
    return Export(tuple(chosen), before_ns) if rows >= WORTH_ROWS or waited else None


def prepare(archive: Archive, cold_files: Sequence[str]) -> None:
    """Make the folder, or see that it is the one that holds `cold_files`. Raises ArchiveMissing, OSError."""
    mark = archive.path / MARK
    if mark.is_file():
        return
    inside = sum(Path(file).is_relative_to(archive.path.absolute()) for file in cold_files)
    if inside:
        raise ArchiveMissing(
            f"{archive.path}: the archive is not there (is its disk mounted?); {inside} of its files belong to the "
            "ledger. Spans are taken as before, nothing is archived, and reports leave those files out until it is back"
        )
    make_folder(archive.path)
    mark.write_text("Spans that otel-cost has archived, by organisation and day. Reading is free, changing is not.\n")
    sync(archive.path)


def carry_out(
    export: Export, archive: Archive, read_ledger: Read, folder: Path
) -> tuple[list[Segment], list[Amendments]]:
    """Write the files; the segments that hold the rows now, and the amendments that are in them. Raises OSError."""
    root = archive.path.absolute()
    amendments = []
    with _Partitions(root, folder) as partitions:
        for segment in export.segments:
            amendments.append(Amendments.between(read_ledger, segment.first_seq, segment.last_seq))
            for rows in _all_rows(path_of(folder, segment.file)):
                partitions.add(amendments[-1].take_in(with_whole_attributes(rows)), export.before_ns)
        written = partitions.finish()
    rows = sum(segment.rows for segment in export.segments)
    cost = sum((segment.cost_usd for segment in export.segments), Decimal(0))
    if (sum(each.rows for each in written), sum((each.cost_usd for each in written), Decimal(0))) != (rows, cost):
        raise OSError(f"{root}: what was written differs from the {rows} rows and {cost} USD that were read")
    return written, amendments


def _all_rows(path: Path) -> Iterator[pa.Table]:
    with path.open("rb") as file:
        metadata = parquet.ParquetFile(file).metadata
        for number in range(metadata.num_row_groups):
            yield from read(file, metadata, number)


def clean_up(folder: Path, named: Callable[[], Sequence[str]], settle: Callable[[], None]) -> None:
    """Remove what an export that was interrupted has left.

    `named` gives every file of the manifest; `settle` moves the manifest's log into its file, for without the log
    files that were named might have to be removed yet.
    """
    intent = folder.parent / INTENT
    if intent.is_file():
        settle()
        known = {path_of(folder, file) for file in named()}
        for line in intent.read_text(encoding="utf-8").splitlines():
            path = Path(_name(line))
            if path.is_absolute() and path not in known:
                path.unlink(missing_ok=True)
        intent.unlink()


def _name(line: str) -> str:
    """The file of a line; nothing when the crash cut the line."""
    try:
        return str(json.loads(line))
    except ValueError:
        return ""


class _Partition:
    """One file under way: rows of one organisation and day (None: rows that stay beside the ledger)."""

    def __init__(self, folder: Path, intend: Callable[[Path], None]) -> None:
        self.folder = folder
        self.partial = folder / f".{uuid.uuid4().hex}.partial"
        intend(self.partial)
        self.writer = parquet.ParquetWriter(self.partial, ROW_SCHEMA, **parquet_options(ROW_SCHEMA))
        self.rows = 0
        self.first_seq = self.last_seq = 0
        self.cost_usd = Decimal(0)
        self.starts: list[npt.NDArray[np.int64]] = []
        self.orgs: set[str] = set()

    def write(self, rows: pa.Table) -> None:
        seqs = pc.min_max(rows.column("seq")).as_py()
        self.writer.write_table(rows.unify_dictionaries(), row_group_size=rows.num_rows)
        self.first_seq, self.last_seq = self.first_seq or seqs["min"], seqs["max"]
        self.rows += rows.num_rows
        self.cost_usd += pc.sum(rows.column("cost_usd").cast(pa.decimal128(38, 12))).as_py() or 0
        self.starts.append(rows.column("start_time").cast(pa.int64()).to_numpy())
        self.orgs.update(rows.column("org_id").cast(pa.string()).unique().to_pylist())


class _Partitions:
    """Rows -> files by organisation and day. Rows wait in memory until they fill a row group, or memory."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._intent = (folder.parent / INTENT).open("wb", buffering=0)
        sync(folder.parent)
        self._open: dict[tuple[str, int] | None, _Partition] = {}
        self._waiting: dict[tuple[str, int] | None, list[pa.Table]] = {}
        self._waiting_bytes = 0
        self._done: list[Segment] = []

    def __enter__(self) -> _Partitions:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for partition in self._open.values():
            partition.writer.close()
            partition.partial.unlink(missing_ok=True)
        self._intent.close()

    def add(self, rows: pa.Table, before_ns: int) -> None:
        """Sort rows (ROW_SCHEMA) into their partitions."""
        starts = rows.column("start_time").cast(pa.int64()).to_numpy()
        column = rows.column("org_id").unify_dictionaries().combine_chunks()
        codes, names = column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist()
        days = np.where(starts < before_ns, starts // _DAY_NS, np.iinfo(np.int64).max)
        pairs = np.stack([np.where(starts < before_ns, codes, -1).astype(np.int64), days], axis=1)
        for code, day in np.unique(pairs, axis=0).tolist():
            theirs = np.flatnonzero((pairs[:, 0] == code) & (pairs[:, 1] == day))
            key = None if code < 0 else (names[code], day)
            part = rows.take(pa.array(theirs))
            self._waiting.setdefault(key, []).append(part)
            self._waiting_bytes += part.nbytes
        while self._waiting_bytes > GROUP_BYTES:
            self._flush(max(self._waiting, key=self._bytes))

    def _bytes(self, key: tuple[str, int] | None) -> int:
        return sum(int(part.nbytes) for part in self._waiting[key])

    def _flush(self, key: tuple[str, int] | None) -> None:
        self._waiting_bytes -= self._bytes(key)
        rows = pa.concat_tables(self._waiting.pop(key))
        partition = self._open.pop(key, None) or self._begun(key)
        self._open[key] = partition  # the last one is the one used most recently
        partition.write(rows)

    def _begun(self, key: tuple[str, int] | None) -> _Partition:
        if len(self._open) >= OPEN_FILES:
            oldest = next(iter(self._open))
            self._finish(oldest, self._open.pop(oldest))
        folder = self._folder if key is None else self._root / partition_of(*key)
        make_folder(folder)
        return _Partition(folder, self._intend)

    def finish(self) -> list[Segment]:
        """Complete all files; what the manifest is to say of them."""
        for key in list(self._waiting):
            self._flush(key)
        while self._open:
            key = next(iter(self._open))
            self._finish(key, self._open.pop(key))
        return self._done

    def _finish(self, key: tuple[str, int] | None, partition: _Partition) -> None:
        partition.writer.close()
        path = partition.folder / name_of(partition.first_seq, partition.last_seq)
        self._intend(path)
        partition.partial.chmod(0o444)
        sync(partition.partial)
        os.replace(partition.partial, path)
        sync(partition.folder)
        found = Segment(
            path.name if key is None else str(path),
            partition.first_seq,
            partition.last_seq,
            partition.rows,
            path.stat().st_size,
            partition.cost_usd,
            start_ranges(np.concatenate(partition.starts)),
            tuple(sorted(partition.orgs)),
        )
        self._done.append(found if key is None else replace(found, cold=True))

    def _intend(self, path: Path) -> None:
        """Note a file before it exists, so that a crash leaves nothing unknown in a folder that others read."""
        self._intent.write(json.dumps(str(path)).encode() + b"\n")
        os.fsync(self._intent.fileno())


def partition_of(org_id: str, day: int) -> Path:
    """The folder of an organisation's day, as Hive writes it. `day`: since the epoch."""
    return Path(f"org_id={quote(org_id, safe='')}") / f"day={np.datetime64(day, 'D')}"
