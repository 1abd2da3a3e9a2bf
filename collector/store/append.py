"""One transaction: new spans, the verdicts they change, a row in the batch ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.attribution import Attribute, judge
from collector.store.dedupe import sort_out
from collector.store.known_traces import BatchTraces, KnownTraces
from collector.store.rows import span_rows, without_unstorable_money
from collector.store.seq_index import ABSENT
from collector.store.statements import registered


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
    position: Position
    appended: Appended
    call_rows_replaced: int


def append(connection: Any, known: KnownTraces, position: Position, batch: pa.Table, attribute: Attribute) -> Committed:
    """Store the spans of `batch` (LEDGER_SCHEMA) and commit. Any exception leaves the ledger as it was."""
    batch = without_unstorable_money(batch)
    connection.begin()
    try:
        traces = BatchTraces.of(batch)
        seen = known.states(traces.hashes)[0] != ABSENT if known.complete else np.ones(len(traces.hashes), dtype=bool)
        sorted_out = sort_out(connection, batch, seen[traces.of_span])
        appended = Appended(len(sorted_out.new), len(sorted_out.duplicates), len(sorted_out.changed))
        if not len(sorted_out.new):
            connection.rollback()
            return Committed(position, appended, 0)
        if len(sorted_out.duplicates):
            batch = batch.take(sorted_out.new)
            traces = BatchTraces.of(batch)
        rows = span_rows(batch, position.seq + 1)
        after = Position(position.batch + 1, position.seq + rows.num_rows)
        judged = judge(connection, known, rows, traces, attribute, after.batch)
        _insert(connection, rows, position, after)
        connection.commit()
    except BaseException:
        _rollback(connection)
        raise
    known.remember(traces, position.seq + 1)
    if judged.links is not None:
        known.remember_links(judged.links)
    return Committed(after, appended, judged.replaced)


def _insert(connection: Any, rows: pa.Table, before: Position, after: Position) -> None:
    with registered(connection, new_span=rows):
        connection.execute("INSERT INTO _ledger.span_log SELECT * FROM new_span")
    cost = pc.sum(rows.column("cost_usd").cast(pa.decimal128(38, 12))).as_py() or 0
    connection.execute(
        "INSERT INTO _ledger.batch VALUES (?, ?, ?, ?, ?)",
        [after.batch, before.seq + 1, rows.num_rows, cost, datetime.now(UTC).replace(tzinfo=None)],
    )


def _rollback(connection: Any) -> None:
    try:
        connection.rollback()
    except Exception:  # the instance may be dead already; the error that matters is on its way up
        return
