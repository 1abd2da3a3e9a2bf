"""From the journal into the ledger, behind the acknowledgement: one thread, large groups, nothing lost, nothing stuck.

Every append writes files and syncs them, which takes tens of milliseconds however small it is. So groups are large
under load, and follow each other at such a distance that this fixed cost stays a small share; an idle collector applies
at once. While the store writes one group, the next is normalised and priced.

What the store refuses for now is tried for ever: it is safe in the journal. What cannot be digested is found by
halving and put into quarantine.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Condition, Thread

import pyarrow as pa

from collector import memory
from collector import telemetry as metrics
from collector.decode.columns import SpanBatch
from collector.decode.request import Decoded, Request
from collector.errors import Overloaded, StoreUnavailable
from collector.journal import Journal, Quarantine, Record
from collector.journal.attempts import HOPELESS, Attempt, pieces
from collector.journal.record import parts
from collector.patience import Abandoned, Patience
from collector.pipeline import Pipeline, Sent, Submitted
from collector.telemetry import Telemetry
from collector.units import Unit, batches_of

logger = logging.getLogger(__name__)

_LARGE_BYTES = 4 << 20
"""A group from which it is worth giving free memory back. Smaller: small groups are slowed down by that."""

_REPLAYED_BYTES = 16 << 20
"""Bodies that are read from the journal and applied at once, where they are in memory beside their columns."""


@dataclass(frozen=True, slots=True)
class ApplierConfig:
    """Bounds of what waits and of one group."""

    unapplied_bytes: int = 36 << 20
    """Memory of what is acknowledged and not in the ledger. Full: acknowledgements wait. Lower: a pause of the store
    is felt by senders at once. Higher: the collector's memory grows by as much."""
    group_spans: int = 16_384
    """Spans of one append. Lower: more segments. Higher: their columns, about 1 KB a span in each of several stages,
    are in memory at once."""
    group_bytes: int = 32 << 20
    """The same for spans with long texts."""
    longest_linger_seconds: float = 1.0
    """The ledger is at most about this far behind under load."""
    linger_factor: float = 15.0
    """Groups begin at a distance of so many times what one took: small ones cost at most a 15th of a core."""
    retry_seconds: tuple[float, float] = (0.1, 5.0)
    """The first and the longest pause between two tries of an append that the store refused for now."""


_MEMORY_TRIES = 20
"""Of one request for which memory ran out, about a minute in all. Fewer: a short lack of memory puts spans into
quarantine. More: a request that never fits keeps others waiting."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Units that are applied together, without their columns: by then these are in `ledger`."""

    first: int
    last: int
    size_bytes: int
    sent: Sequence[Sent]
    ledger: pa.Table | None  # LEDGER_SCHEMA; None: a stage fails on it
    started_seconds: float  # by time.perf_counter


class Applier:
    """`start()` replays what a former run left in the journal, then applies what it is given; `stop()` ends that."""

    def __init__(
        self,
        pipeline: Pipeline,
        journal: Journal,
        quarantine: Quarantine,
        telemetry: Telemetry,
        config: ApplierConfig | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._quarantine = quarantine
        self._telemetry = telemetry
        self._config = config or ApplierConfig()
        self._patience = Patience(telemetry, self._config.retry_seconds)
        self._changed = Condition()  # over the queue and the sums of it
        self._queue: deque[tuple[Unit, int]] = deque()  # with their sizes
        self._queued_spans = 0
        self._queued_bytes = 0
        self._unapplied_bytes = 0  # what waits and what is being applied
        self._oldest_ns = 0  # when the oldest of it was received; 0: there is none
        self._drowsy = False  # whether the thread wants to be woken by any unit
        self._not_before_seconds = 0.0
        self._stopping = False
        self._applied = 0
        self._replay_to = 0
        self._thread = Thread(target=self._run, name="otel-cost-applier", daemon=True)
        self.failure: str | None = None
        """Why nothing is applied any more, which only a fault of this program can do. What is journalled is safe."""

    @property
    def applied(self) -> int:
        """The last record that needs the journal no more."""
        return self._applied

    @property
    def waiting(self) -> str | None:
        """Why the ledger takes nothing for now; None when it does."""
        return self._patience.waiting

    def start(self, applied: int) -> None:
        """Start; records up to `applied` are in the ledger, those behind it in the journal are replayed first."""
        self._replay_to = self._journal.last
        self._release(applied)
        self._telemetry.gauge(metrics.UNAPPLIED_BYTES, lambda: self._unapplied_bytes)
        self._telemetry.gauge(metrics.UNAPPLIED_LIMIT_BYTES, lambda: self._config.unapplied_bytes)
        self._telemetry.gauge(metrics.APPLY_LAG_SECONDS, self._lag_seconds)
        self._telemetry.gauge(metrics.QUARANTINED_REQUESTS, lambda: self._quarantine.request_count)
        self._thread.start()

    def stop(self, deadline_seconds: float) -> bool:
        """Apply what waits; whether that was done before the deadline. What was not is replayed by the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(deadline_seconds)
            self._journal.attempts.end()
        self._patience.abandon()
        with self._changed:
            self._changed.notify_all()
        return not self._thread.is_alive() and not self._queue

    def wait_for_room(self, seconds: float) -> bool:
        """Whether more may be acknowledged: at once, or within so many seconds."""
        with self._changed:
            return self._changed.wait_for(self._has_room, seconds) and self.failure is None

    def hand_over(self, unit: Unit) -> None:
        """Apply some records that are in the journal. Units come in the order of their records."""
        size_bytes = unit.size_bytes
        with self._changed:
            self._queue.append((unit, size_bytes))
            self._queued_spans += unit.spans
            self._queued_bytes += size_bytes
            self._unapplied_bytes += size_bytes
            self._oldest_ns = self._oldest_ns or unit.received_at_ns
            if self._drowsy or self._is_large():
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._unapplied_bytes < self._config.unapplied_bytes or self._patience.abandoned or bool(self.failure)

    def _is_large(self) -> bool:
        return self._queued_spans >= self._config.group_spans or self._queued_bytes >= self._config.group_bytes

    def _lag_seconds(self) -> float:
        oldest_ns = self._oldest_ns
        return max(0.0, time.time() - oldest_ns / 1e9) if oldest_ns else 0.0

    def _run(self) -> None:
        try:
            self._replay()
            self._serve()
        except Abandoned:
            logger.debug("stopped at record %d of the journal", self._applied)
        except Exception as error:
            logger.critical("nothing is applied any more; restart the collector, nothing is lost", exc_info=True)
            with self._changed:
                self.failure = f"{type(error).__name__}: {error}"
                self._changed.notify_all()

    def _replay(self) -> None:
        died = self._journal.attempts.last()
        while part := self._patience.keep_trying(lambda: self._load(self._replay_to)):
            for piece, attempt in pieces(part, died):
                if self._stopping:
                    raise Abandoned  # before any later record: the ledger knows only up to which it has all
                self._oldest_ns = piece[0].received_at_ns
                self._replay_piece(piece, attempt)
                self._telemetry.add(metrics.REPLAYED_REQUESTS, len(piece))
        self._journal.attempts.end()
        with self._changed:
            self._oldest_ns = self._queue[0][0].received_at_ns if self._queue else 0

    def _replay_piece(self, records: list[Record], attempt: Attempt) -> None:
        """Apply some records; a single one in which the process has died again and again is put aside."""
        if len(records) == 1 and attempt.deaths >= HOPELESS:
            self._put_aside(records[0], RuntimeError(f"the collector died {attempt.deaths} times in applying it"))
            self._release(records[0].number)
        else:
            self._journal.attempts.begin(attempt)
            self._settle(records)

    def _serve(self) -> None:
        group: _Group | None = None
        submitted: Submitted | None = None
        while True:
            following = self._take(wait=group is None)
            if group is not None:
                self._land(group, submitted)
            elif following is None:
                return
            group = following
            submitted = self._submit(group) if group is not None and group.ledger is not None else None

    def _take(self, wait: bool) -> _Group | None:
        """The next group once it is due, priced. None: nothing is due now, or, after waiting, nothing will come."""
        with self._changed:
            while not self._patience.abandoned:
                pause_seconds = self._pause_seconds()
                if self._queue and pause_seconds <= 0:
                    units, size_bytes = self._pop()
                    break
                if not wait or (self._stopping and not self._queue):
                    return None
                self._drowsy = not self._queue
                self._changed.wait(pause_seconds if self._queue else None)
                self._drowsy = False
            else:
                raise Abandoned
        return self._prepared(units, size_bytes)

    def _pause_seconds(self) -> float:
        if self._stopping or self._is_large():
            return 0.0
        return self._not_before_seconds - time.perf_counter()

    def _pop(self) -> tuple[list[Unit], int]:
        """As many units as one group may have, and their size."""
        units: list[Unit] = []
        spans = group_bytes = 0
        while self._queue:
            unit, size_bytes = self._queue[0]
            too_many = spans + unit.spans > self._config.group_spans
            if units and (too_many or group_bytes + size_bytes > self._config.group_bytes):
                break
            self._queue.popleft()
            units.append(unit)
            spans += unit.spans
            group_bytes += size_bytes
        self._queued_spans -= spans
        self._queued_bytes -= group_bytes
        return units, group_bytes

    def _prepared(self, units: list[Unit], size_bytes: int) -> _Group:
        """The group; `units` is emptied, so that its columns go as soon as they have been read."""
        started_seconds = time.perf_counter()
        first, last, sent = units[0].first, units[-1].last, [each for unit in units for each in unit.sent]
        ledger: pa.Table | None = None
        try:
            ledger = self._pipeline.ledger(self._batches(units))
        except Exception:
            logger.warning("a group of requests cannot be applied as a whole", exc_info=True)
        return _Group(first, last, size_bytes, sent, ledger, started_seconds)

    def _batches(self, units: list[Unit]) -> deque[SpanBatch]:
        batches, misjudged = batches_of(units, self._decoded)
        for record, reason in misjudged:
            self._put_aside(record, RuntimeError(f"acknowledged as a whole, then: {reason}"))
        return batches

    def _decoded(self, requests: Sequence[Request]) -> Decoded:
        decoded = self._pipeline.decode(requests)
        self._pipeline.count(decoded)
        return decoded

    def _submit(self, group: _Group) -> Submitted:
        return self._pipeline.submit(group.ledger, group.last)

    def _land(self, group: _Group, submitted: Submitted | None) -> None:
        """Return when the ledger has the group, or quarantine what of it cannot be applied."""
        try:
            whole = submitted is not None and self._stored(submitted, group.last)
        except Abandoned:
            raise
        except Exception:
            logger.warning("a group of requests cannot be stored as a whole", exc_info=True)
            whole = False
        if not whole or submitted is None:
            while records := self._patience.keep_trying(lambda: self._load(group.last)):
                self._settle(records)
        else:
            self._pipeline.forward(group.sent, submitted)
        self._finished(group)

    def _finished(self, group: _Group) -> None:
        """The group needs the journal no more."""
        took_seconds = time.perf_counter() - group.started_seconds
        self._telemetry.observe(metrics.APPLY_SECONDS, took_seconds)
        linger_seconds = min(self._config.longest_linger_seconds, took_seconds * self._config.linger_factor)
        self._release(group.last)
        if not self._queue and group.size_bytes >= _LARGE_BYTES:
            memory.give_back()  # else it stays with the process for good; under load the next group takes it
        with self._changed:
            self._not_before_seconds = group.started_seconds + linger_seconds
            self._unapplied_bytes -= group.size_bytes
            self._oldest_ns = self._queue[0][0].received_at_ns if self._queue else 0
            self._changed.notify_all()

    def _load(self, last: int) -> list[Record]:
        """The next records that are not applied, as many as one group may have, up to number `last`."""
        try:
            records = self._journal.load(self._applied + 1, last)
            return next(parts(records, min(_REPLAYED_BYTES, self._config.group_bytes)), [])
        except OSError as error:
            raise StoreUnavailable(f"the journal cannot be read now: {error}") from error
        except MemoryError as error:
            raise Overloaded("not enough memory to read the journal") from error

    def _release(self, applied: int) -> None:
        self._applied = applied
        self._journal.release(self._pipeline.settled(applied))

    def _settle(self, records: Sequence[Record]) -> None:
        """Apply records from their bytes, in order, by halves down to those that cannot be; these are put aside."""
        if not records:
            return
        try:
            self._store(records)
        except Abandoned:
            raise
        except Exception as error:
            if len(records) > 1:
                middle = len(records) // 2
                self._settle(records[:middle])
                self._settle(records[middle:])
            else:
                self._store_alone(records[0], error)
        self._release(records[-1].number)

    def _store(self, records: Sequence[Record]) -> None:
        requests = [record.request for record in records]
        decoded = self._pipeline.decode(requests)
        if decoded.batch.spans.num_rows:
            last = records[-1].number
            accepted = [outcome.accepted_spans for outcome in decoded.outcomes]
            batches = deque([decoded.batch])
            del decoded
            submitted = self._pipeline.submit(self._pipeline.ledger(batches), last)
            self._stored(submitted, last)
            self._pipeline.forward(list(zip(requests, accepted, strict=True)), submitted)

    def _store_alone(self, record: Record, error: Exception) -> None:
        """Put aside a request that failed with `error`. Where memory ran out it is tried again before: that passes."""
        tries = _MEMORY_TRIES if isinstance(error, MemoryError) else 0

        def store() -> None:
            nonlocal tries
            tries -= 1
            try:
                self._store([record])
            except MemoryError as again:
                raise again if tries <= 0 else Overloaded("not enough memory for this request") from again

        try:
            if tries == 0:
                raise error
            self._patience.keep_trying(store)
        except Abandoned:
            raise
        except Exception as last:
            self._put_aside(record, last)

    def _put_aside(self, record: Record, error: Exception) -> None:
        path = self._patience.keep_trying(lambda: self._quarantine.keep(record, f"{type(error).__name__}: {error}"))
        logger.error("an acknowledged request cannot be applied and is kept in %s", path, exc_info=error)

    def _stored(self, submitted: Submitted, last: int) -> bool:
        """True once the batch is stored, however long that takes. Raises what says that it never will be."""
        tries = [submitted]

        def store() -> bool:
            current = tries.pop() if tries else self._pipeline.submit(submitted.ledger, last)
            self._pipeline.stored(current, current.appended.result())
            submitted.verdicts[:] = current.verdicts
            return True

        return self._patience.keep_trying(store)
