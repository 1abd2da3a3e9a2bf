"""The store: owns the ledger's file. One thread writes; everybody else reads through it or from the publication."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from collector.store import append as appending
from collector.store import billed, budgets, damage, database, manifest, schema
from collector.store.append import Appended, Committed, Ledger, Position
from collector.store.attribution import Attribute
from collector.store.budgets import BudgetMoves
from collector.store.catalog import Catalog
from collector.store.clock import WallClock
from collector.store.config import StoreConfig
from collector.store.database import HighWater, LedgerCheck, Report
from collector.store.errors import PathUnusable, StoreUnavailable
from collector.store.filling import fill
from collector.store.known_traces import KnownTraces
from collector.store.large_traces import LargeTraces
from collector.store.layout import Layout
from collector.store.lock import InstanceLock
from collector.store.maintenance import Maintained, maintain
from collector.store.manifest import Segment
from collector.store.moved import Listener
from collector.store.prices import has_card, store_card
from collector.store.publisher import Publisher
from collector.store.readers import Reader, Readers
from collector.store.reprice import Repricing
from collector.store.rewrite import Pause, at_once
from collector.store.segment_reader import SegmentUnreadable
from collector.store.swap import in_transaction
from collector.store.writer import Writer

T = TypeVar("T")

_BUSY_SHARE = 20
"""Large traces that were put off are judged when this many times as long has passed as it took the last time."""

_CHECKPOINT_SECONDS = 5.0
"""Under load the log is moved into the ledger's file so often, which takes milliseconds; only then the journal may
forget. Lower: more syncs. Higher: the journal holds so many seconds of traffic more."""


def _ignore(_: str) -> None:
    return


class Store:
    """`start()` opens and checks the ledger, `stop()` publishes what is left and closes it.

    `append`, `read`, `publish` and `remember_card` may be called from any thread between the two.
    `report` is told in one sentence what an operator should know. Nothing is published between start and stop unless
    somebody calls `publish`.
    """

    def __init__(self, config: StoreConfig, report: Report = _ignore) -> None:
        self._config = config
        self._report = report
        self.layout = Layout.of(config.path)
        self._lock = InstanceLock(self.layout.lock)
        self._high_water = HighWater(self.layout.high_water)
        self._clock = WallClock(self.layout.clock)
        self._writer = Writer()
        self._readers = Readers()
        self._publisher = Publisher(self.layout, config)
        self._publishing = threading.Lock()
        self._published: tuple[Position, int, int, int] | None = None
        self.budgets: BudgetMoves | None = None
        """Who keeps the counters of budgets; to be set before `start`."""
        self._ledger = Ledger(
            connection=None,
            folder=self.layout.segments,
            catalog=Catalog(self.layout.segments, config.recent_bytes),
            known=KnownTraces(config.indexed_traces),
            large=LargeTraces(),
            position=Position(),
            journal=0,
        )
        self._cards = self._swaps = self._changes = 0
        self._attribute: Attribute | None = None  # the last one
        self._judged_at_seconds = self._judging_seconds = 0.0
        self._since_checkpoint = 0
        self._committed = self._settled = 0  # last journal record that was ever committed; that is in a checkpoint
        self._settled_at_seconds = 0.0

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of the calls that each commit moves. Before `start`."""
        self._ledger.listener = listener

    @property
    def position(self) -> Position:
        """The last committed batch and span."""
        return self._ledger.position

    def start(self) -> LedgerCheck:
        """Open the ledger and bring the publication up to it.

        Raises StoreLocked, PathUnusable, SchemaTooNew, LedgerDamaged (nothing was changed) or StoreUnavailable (disk
        or memory full).
        """
        try:
            return self._start()
        except OSError as error:
            raise PathUnusable(f"{self.layout.published}: no ledger can be kept here: {error}") from error
        except duckdb.Error as error:
            raise database.as_unavailable(error) or error from error

    def _start(self) -> LedgerCheck:
        database.refuse_foreign_file(self.layout)
        manifest.make_folder(self.layout.folder)
        self._lock.acquire(self._config.lock_wait_seconds)
        try:
            checked = self._open(self._high_water.open())
            self._committed = self._ledger.journal
            if self._settle():
                billed.clear(self._ledger.connection, self.layout)
                damage.clear_strays(self._ledger.connection, self.layout.segments, checked.problems, self._report)
            self._publisher.start(self._ledger.connection)
            self.layout.dirty.touch()
            self._writer.start(self._idle)
            self._publish_quietly()
        except BaseException:
            self._close()
            raise
        return checked

    def stop(self) -> None:
        """Finish what was submitted, publish it, close the ledger. Does nothing when not started."""
        self._judging_seconds = 0.0  # nothing is put off any longer
        if self._ledger.connection is not None:
            self._writer.submit(self._settle).exception()
        if self._ledger.connection is not None and self._publish_quietly() and self._published_all():
            self._close()
            self.layout.dirty.unlink(missing_ok=True)
        else:
            self._close()

    @property
    def journal(self) -> int:
        """The last journal record whose spans are committed; 0 when there is none."""
        return self._ledger.journal

    def settled(self, applied: int) -> int:
        """The last of the journal's records up to `applied` that the journal may forget.

        The log of the manifest may be damaged later, which DuckDB does not always notice: what is committed and in no
        checkpoint yet would then be missing. Records up to `applied` that no commit names were put aside.
        """
        return applied if self._settled >= self._committed else min(applied, self._settled)

    def append(self, batch: pa.Table, attribute: Attribute, journal: int = 0) -> Appended:
        """Store the new spans of `batch` (LEDGER_SCHEMA), judge the traces they touch, commit, fsync, return.

        Raises StoreUnavailable when nothing was acknowledged and sending again may help; other exceptions are faults
        of the batch or of `attribute`, and nothing was committed. `journal` is the number of the last journal record
        in `batch`; 0 when it did not come through the journal.
        """
        return self.submit(batch, attribute, journal).result()

    def submit(self, batch: pa.Table, attribute: Attribute, journal: int = 0) -> Future[Appended]:
        """`append` without waiting."""
        return self._writer.submit(lambda: self._append(batch, attribute, journal))

    def read(self, work: Callable[[Reader], T]) -> T:
        """Run `work` on a snapshot of the ledger. It must return values, not lazy results. Raises StoreUnavailable."""
        return self._readers.read(work)

    def write(self, work: Callable[[Any], T], committed: Callable[[T], None] | None = None) -> T:
        """Run `work` on the writer's connection, in one transaction, between commits of spans; its result.

        For the small tables of `_ledger`. `committed` is told the result in the writer's thread, before anything else
        is committed. Raises StoreUnavailable, or what `work` raises; nothing was changed then.
        """
        return self._write(lambda connection: self._changed(in_transaction(connection, work), committed))

    def _changed(self, result: T, committed: Callable[[T], None] | None) -> T:
        """A small table has been changed. What is known in memory is not what is stored until all of it is told."""
        self._changes += 1
        if committed is not None:
            self._ledger.stale = True
            committed(result)
            self._ledger.stale = False
        return result

    def publish(self) -> bool:
        """Refresh the published file if the ledger has moved. Whether it did. Raises StoreUnavailable, OSError."""
        with self._publishing:
            self._writer.submit(self._judge_waiting).result()
            state = self._state()
            if self._published == state:
                return False
            try:
                self._publisher.publish(self.read, self._write, self._readers.files)
            except duckdb.Error as error:
                raise database.as_unavailable(error) or error from error
            self._published = state
            return True

    def maintain(self, pause: Pause = at_once) -> Maintained:
        """Do the most useful piece of upkeep: merge segments, remove or archive old spans. Not in the writer's thread.

        `pause` is told after each part how much CPU it took, and may wait before the next one.
        Raises StoreUnavailable, OSError or duckdb.Error; nothing is half done then.
        """
        clock = self._clock.read()
        return maintain(self.read, self._write, self.layout.segments, self._config, self._replaced, clock, pause)

    def repricing(self, attribute: Attribute | None = None) -> Repricing:
        """Price runs over this ledger, not beside `maintain`. `attribute` judges what they reopen."""
        self._attribute = self._attribute or attribute
        return Repricing(self.read, self._write, self._ledger, self.layout, self._config, self._replaced)

    def remember_card(self, digest: str, prices: Callable[[], pa.Table]) -> None:
        """Keep a card for the view `prices`, once. `prices` makes its rows (`PRICE_SCHEMA`), asked if it is new."""
        if not self.read(lambda reader: has_card(reader.rows, digest)):
            table = prices()
            self._write(lambda connection: store_card(connection, table))
            self._cards += 1

    def _replaced(self, old: Sequence[Segment], new: Sequence[Segment]) -> None:
        """Other segments are committed. In the writer's thread."""
        self._swaps += 1
        self._high_water.keep(self._ledger.position)
        self._ledger.stale = True
        self._ledger.catalog.replaced(old, new)
        self._ledger.stale = False

    def _published_all(self) -> bool:
        return self._published == self._state()

    def _state(self) -> tuple[Position, int, int, int]:
        """Changes whenever the published file should."""
        return self._ledger.position, self._cards, self._swaps, self._changes

    def _write(self, work: Callable[[Any], T]) -> T:
        return self._writer.submit(lambda: self._guarded(lambda: work(self._ledger.connection))).result()

    def _open(self, high_water: Position | None) -> LedgerCheck:
        """Connect, bring the tables up to date, compare, and read what is kept in memory."""
        ledger = self._ledger
        ledger.stale = False
        ledger.connection = database.connect(self.layout, self._config, self._report)
        schema.apply(ledger.connection, self.layout)
        manifest.make_folder(self.layout.segments)
        if ledger.pending is not None:
            manifest.discard(ledger.connection, ledger.folder, ledger.pending)
            ledger.pending = None
        damage.check_files(ledger.connection, ledger.folder, self._report)
        fill(ledger, self._config, high_water, self.budgets, self._set_aside, self._report)
        checked = database.check(ledger.connection, high_water)
        for problem in checked.problems:
            self._report(f"{self.layout.ledger}: {problem}")
        self._readers.open(ledger.connection)
        return checked

    def _set_aside(self, error: SegmentUnreadable) -> None:
        """Go on without a segment: one in the archive for now, another until its file is back."""
        ledger = self._ledger
        if error.segment.cold:
            self._report(f"{error}: what is known of its spans is not looked up until the next start")
        else:
            why = f"cannot be read: {error.error}"
            damage.set_aside(ledger.connection, ledger.folder, error.segment, why, self._report)
        ledger.catalog.replaced([error.segment], [])

    def _append(self, batch: pa.Table, attribute: Attribute, journal: int) -> Appended:
        self._attribute = attribute
        try:
            committed = self._guarded(lambda: self._append_whole(batch, attribute, journal))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, duckdb.OutOfMemoryException):  # a smaller batch may pass
                raise MemoryError(f"{self.layout.ledger}: {error}") from error
            raise
        if committed.position != self._ledger.position:
            self._ledger.position = committed.position
            self._ledger.journal = self._committed = max(self._ledger.journal, journal)
            self._high_water.keep(committed.position)
            self._since_checkpoint += committed.appended.accepted
            if time.monotonic() >= self._settled_at_seconds + _CHECKPOINT_SECONDS:
                self._settle()
        return committed.appended

    def _append_whole(self, batch: pa.Table, attribute: Attribute, journal: int) -> Committed:
        """Append; a segment that turns out to be damaged is set aside, and the batch is judged without it."""
        free_bytes = shutil.disk_usage(self.layout.folder).free
        if free_bytes < self._config.free_space_floor_bytes:
            raise StoreUnavailable(f"{self.layout.folder}: {free_bytes >> 20} MiB of disk left, nothing is accepted")
        while True:
            try:
                return appending.append(self._ledger, batch, attribute, journal)
            except SegmentUnreadable as error:
                self._set_aside(error)

    def _judge_waiting(self, *, now: bool = False) -> None:
        """Judge the large traces that were put off; while the store is busy a small share of the time is spent so."""
        ledger = self._ledger
        pause_seconds = _BUSY_SHARE * self._judging_seconds
        started_seconds = time.monotonic()
        busy = not now and started_seconds < self._judged_at_seconds + pause_seconds
        attribute = self._attribute
        if attribute is None or busy or ledger.connection is None or not ledger.large.waiting:
            return
        while ledger.large.waiting:
            ledger.position = self._guarded(lambda: appending.judge_waiting(ledger, attribute))
            self._high_water.keep(ledger.position)
        self._judged_at_seconds = time.monotonic()
        self._judging_seconds = self._judged_at_seconds - started_seconds

    def _guarded(self, work: Callable[[], T]) -> T:
        """Run `work`; a dead instance is opened anew, and what may succeed later is raised as StoreUnavailable."""
        if self._ledger.connection is None or self._ledger.stale:
            self._reopen()
        try:
            return work()
        except OSError as error:  # the disk's; what is wrong with a batch is never one
            raise StoreUnavailable(f"{self.layout.folder}: cannot be written now: {error}") from error
        except duckdb.Error as error:
            if database.is_fatal(error):
                self._report(f"{self.layout.ledger}: reopening after: {error}")
                self._reopen()
            raise database.as_unavailable(error) or error from error
        finally:
            self._discard_pending()

    def _discard_pending(self) -> None:
        """After a commit that failed: its segment goes, unless the manifest has it, or cannot say yet."""
        ledger = self._ledger
        if ledger.pending is None or ledger.connection is None:
            return
        with contextlib.suppress(duckdb.Error, OSError):
            manifest.discard(ledger.connection, ledger.folder, ledger.pending)
            ledger.pending = None

    def _reopen(self) -> None:
        """Close every connection and open the file again; the interrupted commit may or may not be in it."""
        self._disconnect()
        try:
            self._open(self._ledger.position)
            if self._ledger.journal < self._committed:
                raise StoreUnavailable("it has lost what was committed; the next start replays the journal")
        except Exception as error:
            self._disconnect()
            raise StoreUnavailable(f"{self.layout.ledger}: cannot be reopened yet: {error}") from error

    def _idle(self) -> None:
        """A quiet moment: judge what was put off, move the log into the file while nobody waits for a commit."""
        try:
            self._judge_waiting(now=True)
        except Exception as error:  # whatever it is, the next quiet moment tries again
            self._report(f"{self.layout.ledger}: large traces are judged later: {error}")
        if self._since_checkpoint >= self._config.idle_checkpoint_spans and self._ledger.connection is not None:
            self._settle()

    def _settle(self) -> bool:
        """Move the log into the ledger's file; whether that was possible. In the writer, outside a transaction."""
        self._since_checkpoint, self._settled_at_seconds = 0, time.monotonic()
        try:
            self._guarded(lambda: self._checkpoint(self._ledger.connection))
        except (duckdb.Error, StoreUnavailable) as error:
            self._report(f"{self.layout.ledger}: checkpoint put off: {error}")
            return False
        self._settled = self._ledger.journal
        return True

    def _checkpoint(self, connection: Any) -> None:
        budgets.compact(connection)
        connection.execute("CHECKPOINT")

    def _publish_quietly(self) -> bool:
        try:
            self.publish()
        except (duckdb.Error, StoreUnavailable, OSError) as error:
            self._report(f"{self.layout.published}: not refreshed: {error}")
            return False
        return True

    def _disconnect(self) -> None:
        self._readers.close()
        connection, self._ledger.connection = self._ledger.connection, None
        if connection is not None:
            try:
                connection.close()
            except duckdb.Error as error:
                self._report(f"{self.layout.ledger}: closing: {error}")

    def _close(self) -> None:
        self._writer.stop()
        self._publisher.stop()
        self._disconnect()
        self._high_water.close()
        self._lock.release()
