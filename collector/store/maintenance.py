"""Keeping a ledger healthy: one small piece of work per call, and when to come again.

Everything that takes time happens outside the writer: a plan from a snapshot, new files, and then one short
transaction. A failure leaves the ledger as it was; the next call tries again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from collector.store import archive, compaction, retention
from collector.store.archive import ArchiveMissing
from collector.store.clock import Doubt, Reading
from collector.store.config import StoreConfig
from collector.store.folding import Read
from collector.store.inspect import Written, written_segments
from collector.store.manifest import Segment
from collector.store.rewrite import Pause, at_once
from collector.store.statements import query
from collector.store.swap import Replaced, Write, rollback, swap

BUSY_PAUSE_SECONDS = 0.2
"""Before the next piece when there may be more to do. Lower: maintenance takes a core of its own in a backlog.
Higher: at a batch a second, small files pile up."""

IDLE_PAUSE_SECONDS = 5.0
"""Before looking again when there was nothing to do: the files of so many seconds may wait to be merged."""

FAILED_PAUSE_SECONDS = 30.0
"""After a failure. A full disk stays full for a while, and each try writes to it."""

MOST_BATCHES, KEPT_BATCHES = 20_000, 2_000
"""Rows of the batch ledger, beyond which the older ones become one, and how many stay as they are."""

MOST_AFTER_ABSENCE = 0.5
"""When the collector was off, retention removes at most this share of all spans at once. Lower: every weekend off is a
doubt. Higher: a clock that is wrong from the start on removes more."""


class NoRoom(OSError):
    """New files would take the disk that arriving spans need."""


class ClockDoubted(Exception):
    """Spans that are too old by the clock stay, because the clock may be wrong."""


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one call did; `did` is empty when there was nothing to do."""

    did: str
    pause_seconds: float
    problems: tuple[str, ...] = ()
    """What an operator should know, one sentence each: they do not keep the rest from being done."""


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What a piece of work is done on."""

    read: Read
    write: Write
    folder: Path
    config: StoreConfig
    replaced: Replaced
    clock: Reading
    pause: Pause
    live: Sequence[Written]

    @property
    def segments(self) -> list[Segment]:
        return [each.segment for each in self.live]


def maintain(
    read: Read,
    write: Write,
    folder: Path,
    config: StoreConfig,
    replaced: Replaced,
    clock: Reading | None = None,
    pause: Pause = at_once,
) -> Maintained:
    """Do the most useful piece of work. Raises StoreUnavailable, OSError or duckdb.Error; nothing is half done then.

    Args:
        read: runs something on a snapshot of the ledger (`Store.read`).
        write: runs something on the writer's connection, in its thread, and waits.
        folder: of the segments.
        replaced: told in the writer's thread, after a commit, which segments went and which stand in their place.
        clock: the time; None is now, beyond doubt.
        pause: between parts of what takes long.
    """
    clock = clock or Reading(datetime.now(UTC))
    ledger = _Ledger(read, write, folder, config, replaced, clock, pause, read(written_segments))
    problems: list[str] = []
    for step in (_compact, _retain, _archive, _fold_batches):
        try:
            did = step(ledger)
        except (ArchiveMissing, NoRoom, ClockDoubted) as error:
            problems.append(str(error))
            continue
        if did:
            return Maintained(did, BUSY_PAUSE_SECONDS, tuple(problems))
    return Maintained("", IDLE_PAUSE_SECONDS, tuple(problems))


def _compact(ledger: _Ledger) -> str:
    merge = compaction.plan(ledger.segments, _foldable(ledger))
    if merge is None:
        return ""
    _check_room(ledger, sum(segment.size_bytes for segment in merge.segments))
    new, amendments = compaction.merged(merge, ledger.read, ledger.folder, ledger.pause)
    _swap(ledger, merge.segments, [new], folded=amendments.folded)
    return f"merged {len(merge.segments)} segments of {new.rows} spans, {amendments.folded.num_rows} verdicts taken in"


def _check_room(ledger: _Ledger, needed_bytes: int) -> None:
    """Raises NoRoom. What removes spans goes on: it is what helps."""
    floor_bytes = 2 * ledger.config.free_space_floor_bytes
    free_bytes = shutil.disk_usage(ledger.folder).free
    if free_bytes < needed_bytes + floor_bytes:
        raise NoRoom(
            f"{ledger.folder}: {free_bytes >> 20} MiB of disk left, too little to merge {needed_bytes >> 20} MiB of "
            "segments; queries slow down until there is room"
        )


def _foldable(ledger: _Ledger) -> dict[str, int]:
    """Amendments per segment that are newer than its file; counted when they are many."""
    ((total,),) = ledger.read(lambda reader: reader.rows("SELECT count(*) FROM _ledger.amendment"))
    if total <= compaction.MOST_AMENDMENTS:
        return {}
    return dict(ledger.read(lambda reader: reader.rows(query("foldable_amendments"))))


def _retain(ledger: _Ledger) -> str:
    cut = retention.plan(ledger.live, ledger.config.retention, ledger.folder, ledger.clock.now)
    if cut is not None and cut.reason == retention.AGE and _is_doubted(ledger):
        cut = retention.plan_by_size(ledger.live, ledger.config.retention, ledger.folder)
        if cut is None:
            raise _doubted(ledger.clock, ledger.folder)
    if cut is None:
        return ""
    kept = retention.carry_out(cut, ledger.read, ledger.folder, ledger.clock.now, ledger.pause)
    new = [kept.segment] if kept.segment else []
    _swap(ledger, [cut.segment], new, folded=kept.amendments.folded, expired=kept.expired, expiry=kept.expiry)
    return f"removed {len(kept.expired)} spans by {cut.reason}"


def _is_doubted(ledger: _Ledger) -> bool:
    """After a time off, which is common, only when most spans would go."""
    if ledger.clock.doubt is Doubt.ABSENT:
        return retention.too_old_share(ledger.live, ledger.config.retention, ledger.clock.now) > MOST_AFTER_ABSENCE
    return ledger.clock.doubt is not None


def _doubted(clock: Reading, folder: Path) -> ClockDoubted:
    why = clock.doubt.value if clock.doubt else ""
    return ClockDoubted(
        f"by this machine's clock it is {clock.now:%Y-%m-%d}, but {why}: spans that are too old by it stay until the "
        f"collector has run for a day. If it is right: stop the collector, remove {folder.with_name('clock')}, start it"
    )


def _archive(ledger: _Ledger) -> str:
    wanted = ledger.config.archive
    if wanted is None:
        return ""
    archive.prepare(wanted, ledger.read(_cold_files))
    _clean_up_archive(ledger)
    export = archive.plan(ledger.segments, wanted, ledger.clock.now)
    if export is None:
        return ""
    new, amendments = archive.carry_out(export, wanted, ledger.read, ledger.folder)
    folded = pa.concat_tables([each.folded for each in amendments])
    _swap(ledger, export.segments, new, folded=folded)
    _clean_up_archive(ledger)
    return f"archived {sum(each.rows for each in new if each.cold)} spans in {len(new)} files"


def _clean_up_archive(ledger: _Ledger) -> None:
    archive.clean_up(ledger.folder, lambda: ledger.read(_every_file), lambda: ledger.write(_checkpoint))


def _checkpoint(connection: Any) -> None:
    connection.execute("CHECKPOINT")


def _cold_files(reader: Any) -> list[str]:
    return [row[0] for row in reader.rows(query("cold_files"))]


def _every_file(reader: Any) -> list[str]:
    return [row[0] for row in reader.rows("SELECT file FROM _ledger.segment")]


def _fold_batches(ledger: _Ledger) -> str:
    ((count, last),) = ledger.read(lambda reader: reader.rows("SELECT count(*), max(batch) FROM _ledger.batch"))
    if count <= MOST_BATCHES:
        return ""
    up_to = last - KEPT_BATCHES

    def work(connection: Any) -> None:
        connection.begin()
        try:
            folded = connection.execute(query("batches_as_one"), [up_to]).fetchall()
            connection.execute("DELETE FROM _ledger.batch WHERE batch <= ?", [up_to])
            connection.execute("INSERT INTO _ledger.batch VALUES (?, ?, ?, ?, ?, ?)", list(folded[0]))
            connection.commit()
        except BaseException:
            rollback(connection)
            raise

    ledger.write(work)
    return f"batches up to {up_to} became one row"


def _swap(ledger: _Ledger, old: Sequence[Segment], new: Sequence[Segment], **taken: Any) -> None:
    swap(ledger.read, ledger.write, ledger.folder, ledger.replaced, old, new, **taken)
