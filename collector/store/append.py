"""One transaction: a segment with the new spans and verdicts, the verdicts it changes, what that does to the counters
of budgets, a row in the batch ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import WITHOUT_LEASES
from collector.store import manifest
from collector.store.attribution import Attribute, Judge, Judged
from collector.store.budgets import Counting, Moved
from collector.store.catalog import Catalog
from collector.store.dedupe import Changed, Sorted, sort_out
from collector.store.hashes import Hashes, span_hashes, trace_hashes
from collector.store.known_traces import BatchTraces, KnownTraces, Places
from collector.store.large_traces import LargeTraces
from collector.store.manifest import Segment
from collector.store.moved import Listener, tell
from collector.store.recent import Marks
from collector.store.root_calls import root_kinds
from collector.store.rows import money, one_chunk, span_rows, without_unstorable_money
from collector.store.statements import query, registered

MAX_CHANGED_RESENDS = 10_000
"""Resends with other content that are kept on record, the newest. An app that sends every span twice, first without
its end, would else make the ledger grow by what is kept out of it."""


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the spans of one append: each is accepted or a duplicate, some duplicates are changed."""

    accepted: int
    duplicates: int  # already stored, or twice in the batch
    changed: int  # duplicates whose content differs from what is stored; they are kept out


@dataclass(frozen=True, slots=True)
class Position:
    """Where the ledger stands: the last batch and the last span, 0 when it is empty."""

    batch: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """Where the ledger stands after an append."""

    position: Position
    appended: Appended


@dataclass(slots=True)
class Ledger:
    """What an append works on: the manifest's connection, the folder of segments, and what is known of the rows."""

    connection: Any
    folder: Path
    catalog: Catalog
    known: KnownTraces
    large: LargeTraces
    position: Position
    journal: int  # last record that a batch row names
    pending: Segment | None = None
    """Written, and not known to be committed: after a failed commit the manifest says whether to keep it."""
    counting: Counting = field(default_factory=Counting)
    listener: Listener | None = None
    stale: bool = False
    """Committed, and not all of it remembered: what is known must be read from the ledger again."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """The spans of a batch and what finds them."""

    table: pa.Table  # LEDGER_SCHEMA
    traces: BatchTraces
    spans: Hashes

    @staticmethod
    def of(table: pa.Table) -> _Batch:
        hashes = trace_hashes(*(one_chunk(table.column(name)) for name in ("org_id", "trace_id")))
        spans = span_hashes(hashes, one_chunk(table.column("span_id")))
        return _Batch(table, BatchTraces.of_hashes(hashes, pc.is_valid(table.column("call_kind")).to_numpy()), spans)

    def taken(self, rows: Any) -> _Batch:
        table = self.table.take(pa.array(rows))
        return _Batch(
            table, self.traces.taken(rows, pc.is_valid(table.column("call_kind")).to_numpy()), self.spans[rows]
        )


def append(ledger: Ledger, batch: pa.Table, attribute: Attribute, journal: int) -> Committed:
    """Store the spans of `batch` (LEDGER_SCHEMA) and commit. Any exception leaves the ledger as it was."""
    given = _Batch.of(without_unstorable_money(batch))
    sorted_out = _sort_out(ledger, given)
    appended = Appended(len(sorted_out.new), len(sorted_out.duplicates), len(sorted_out.changed))
    if not len(sorted_out.new):
        if not sorted_out.changed and journal <= ledger.journal:
            return Committed(ledger.position, appended)
        after = Position(ledger.position.batch + 1, ledger.position.seq)
        _commit(ledger, after, journal, None, None, _resends(given.table, sorted_out.changed))
        return Committed(after, appended)
    new = given.taken(sorted_out.new) if len(sorted_out.duplicates) else given
    after = Position(ledger.position.batch + 1, ledger.position.seq + new.table.num_rows)
    rows = span_rows(new.table, ledger.position.seq + 1)
    judged = _judge(ledger).judge(rows, new.traces, attribute, after.batch)
    ledger.pending = manifest.write(ledger.folder, [judged.rows])
    moved = ledger.counting.moved(judged, ledger.catalog.content, may_be_leased=_may_be_leased(batch))
    _commit(ledger, after, journal, ledger.pending, judged, _resends(given.table, sorted_out.changed), moved)
    segment, ledger.pending, ledger.stale = ledger.pending, None, True
    _remember(ledger, new, segment, judged, ledger.position.seq + 1)
    ledger.counting.apply(moved)
    ledger.stale = False
    tell(ledger.listener, judged, after.seq)
    return Committed(after, appended)


def judge_waiting(ledger: Ledger, attribute: Attribute) -> Position:
    """Judge some of the large traces that were put off; where the ledger stands then."""
    waiting, keys = ledger.large.next_waiting()
    after = Position(ledger.position.batch + 1, ledger.position.seq)
    judged = _judge(ledger).judge_again(waiting, attribute, after.batch)
    moved = ledger.counting.moved(judged, ledger.catalog.content)
    _commit(ledger, after, 0, None, judged, None, moved, settled=keys)
    ledger.stale = True
    ledger.catalog.amend(judged.verdicts)
    ledger.large.remember(None, judged.sizes)
    ledger.counting.apply(moved)
    ledger.stale = False
    tell(ledger.listener, judged, after.seq)
    return after


def _may_be_leased(batch: pa.Table) -> bool:
    return WITHOUT_LEASES not in (batch.schema.metadata or {})


def _judge(ledger: Ledger) -> Judge:
    return Judge(ledger.connection, ledger.catalog, ledger.known, ledger.large)


def _sort_out(ledger: Ledger, given: _Batch) -> Sorted:
    of_span = given.traces.of_span
    known = ledger.known.places(given.traces.hashes)
    places = Places(*(getattr(known, name)[of_span] for name in ("hashes", "first_seq", "last_seq", "has_call")))
    return sort_out(ledger.catalog, given.table, given.spans, places, ledger.known.covered_from)


def _commit(
    ledger: Ledger,
    after: Position,
    journal: int,
    segment: Segment | None,
    judged: Judged | None,
    resends: pa.Table | None,
    moved: Moved | None = None,
    *,
    settled: Sequence[tuple[str, str]] = (),
) -> None:
    connection, before = ledger.connection, ledger.position
    connection.begin()
    try:
        if segment is not None:
            manifest.record(connection, segment)
        spans, cost_usd = after.seq - before.seq, Decimal(0) if segment is None else segment.cost_usd
        now = datetime.now(UTC).replace(tzinfo=None)
        connection.execute(
            "INSERT INTO _ledger.batch VALUES (?, ?, ?, ?, ?, ?)",
            [after.batch, before.seq + 1, spans, cost_usd, now, max(journal, ledger.journal)],
        )
        if judged is not None:
            _amend(connection, judged)
            ledger.counting.write(connection, moved)
            for key in settled:
                connection.execute("DELETE FROM _ledger.waiting_trace WHERE org_id = ? AND trace_id = ?", list(key))
            if judged.put_off is not None:
                with registered(connection, waiting=ledger.large.new_to_wait(judged.put_off)):
                    connection.execute("INSERT INTO _ledger.waiting_trace SELECT * FROM waiting")
        if resends is not None:
            with registered(connection, resent=resends):
                connection.execute(query("insert_changed_resends"), [now])
            connection.execute(query("forget_changed_resends"), [MAX_CHANGED_RESENDS])
        connection.commit()
    except BaseException:
        _rollback(connection)
        raise


def _amend(connection: Any, judged: Judged) -> None:
    if judged.amendments is not None:
        with registered(connection, amended=judged.amendments):
            connection.execute(query("forget_amended"), _extremes(judged.amendments))
            connection.execute("INSERT INTO _ledger.amendment SELECT * FROM amended")


def _remember(ledger: Ledger, new: _Batch, segment: Segment, judged: Judged, first_seq: int) -> None:
    hashes = new.traces.hashes[new.traces.of_span]
    marks = Marks(judged.rows.column("seq").to_numpy(), hashes, new.spans, root_kinds(judged.rows))
    ledger.catalog.add(segment, judged.rows, marks, judged.verdicts)
    ledger.known.remember(new.traces, first_seq)
    ledger.large.remember(judged.put_off, judged.sizes)
    if judged.links is not None:
        ledger.known.remember_links(judged.links)


def _extremes(amendments: pa.Table) -> list[int]:
    ends = pc.min_max(amendments.column("seq")).as_py()
    return [ends["min"], ends["max"]]


def _resends(batch: pa.Table, changed: Sequence[Changed]) -> pa.Table | None:
    """Rows of `_ledger.changed_resend` without their time."""
    if not changed:
        return None
    changed = changed[-MAX_CHANGED_RESENDS:]
    rows = batch.take(pa.array(np.array([each.row for each in changed])))
    return pa.table(
        {
            "org_id": rows.column("org_id").cast(pa.string()),
            "trace_id": rows.column("trace_id"),
            "span_id": rows.column("span_id"),
            "changed": [", ".join(each.columns) for each in changed],
            "cost_usd": money(rows.column("cost_pico_usd")),
        }
    )


def _rollback(connection: Any) -> None:
    try:
        connection.rollback()
    except Exception:  # the instance may be dead already; the error that matters is on its way up
        return
