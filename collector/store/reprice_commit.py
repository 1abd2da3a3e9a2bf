"""A price run becomes part of the ledger: one transaction with its segments, amendments, batch row and log entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from collector.store.append import Ledger, Position
from collector.store.budgets import Moved, calls_in
from collector.store.figures import FIGURES, Seqs
from collector.store.folding import Read
from collector.store.hashes import trace_hashes
from collector.store.large_traces import PutOff
from collector.store.manifest import Segment, path_of
from collector.store.prices import store_card
from collector.store.publisher import has_amendments
from collector.store.restating import Swapped
from collector.store.rows import one_chunk
from collector.store.statements import fetch, listed, query, registered
from collector.store.swap import Replaced, Write, swap

_BATCH = "INSERT INTO _ledger.batch VALUES (?, ?, 0, ?, ?, ?)"
_FIGURES = ", ".join(f"stored.{name} AS {name}" for name in FIGURES)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of `_ledger.price_run` without its batch, its times and what undoes it; names are those of its columns."""

    name: str
    by: str
    card: str
    cards_before: str
    since_ns: int | None
    until_ns: int | None
    models: str | None
    providers: str | None
    organizations: str | None
    calls: int
    changed_calls: int
    cost_before_usd: Decimal
    cost_after_usd: Decimal
    unpriced_before: int
    unpriced_after: int
    archived_spans: int
    file: str
    file_bytes: int
    file_rows: int


@dataclass(frozen=True, slots=True)
class Undone:
    """Which run is taken back, and by whom."""

    name: str
    by: str


@dataclass(frozen=True, slots=True)
class Run:
    """All that one transaction holds."""

    swapped: Sequence[Swapped]
    log: Entry | Undone
    prices: pa.Table | None  # rows of the card, if the ledger may not have it yet
    again: pa.Table  # org_id, trace_id: traces whose verdicts may depend on what has changed
    repriced: Seqs  # of rows that cost something else, or have another status or model


def commit(run: Run, read: Read, write: Write, ledger: Ledger, folder: Path, replaced: Replaced) -> None:
    """Swap the segments, in the writer's thread. Raises whatever it raises; nothing has been changed then."""
    old, new = [each.old for each in run.swapped], [each.new for each in run.swapped]
    position = [ledger.position]
    moved: list[Moved | None] = [None]
    put_off = _put_off(run.again)

    def also(connection: Any) -> None:
        before = ledger.position
        position[0] = Position(before.batch + 1, before.seq)
        now = datetime.now(UTC).replace(tzinfo=None)
        added_usd = sum((each.new.cost_usd - each.old.cost_usd for each in run.swapped), Decimal(0))
        batch = [position[0].batch, before.seq + 1, added_usd, now, ledger.journal]
        connection.execute(_BATCH, batch)
        before_run = _repriced(connection, ledger, old, run.repriced)
        _restate_amendments(connection, folder, new, position[0].batch)
        moved[0] = ledger.counting.restated(before_run, _repriced(connection, ledger, new, run.repriced))
        ledger.counting.write(connection, moved[0])
        if run.prices is not None:
            store_card(connection, run.prices)
        _log(connection, run.log, position[0].batch, now)
        if put_off is not None:
            with registered(connection, waiting=ledger.large.new_to_wait(put_off)):
                connection.execute("INSERT INTO _ledger.waiting_trace SELECT * FROM waiting")

    def remember(gone: Sequence[Segment], come: Sequence[Segment]) -> None:
        ledger.stale = True  # until all of it is remembered
        ledger.position = position[0]
        for segment in come:
            if segment.last_seq >= ledger.catalog.recent.first_seq:
                ledger.catalog.recent.restate(_figures(folder, segment, ledger.catalog.recent.first_seq))
        if put_off is not None:
            ledger.large.reopen(put_off)
        ledger.counting.apply(moved[0])
        replaced(gone, come)

    swap(read, write, folder, remember, old, new, also=also)


def _repriced(connection: Any, ledger: Ledger, segments: Sequence[Segment], seqs: Seqs) -> list[pa.Table]:
    """The counted calls of some segments whose price is another one, if anybody counts them."""
    columns = ledger.counting.columns
    if columns is None or not len(seqs):
        return []
    found = calls_in(connection, segments, columns)
    return [rows.filter(pa.array(np.isin(rows.column("seq").to_numpy(), seqs))) for rows in found]


def _restate_amendments(connection: Any, folder: Path, new: Sequence[Segment], revision: int) -> None:
    """Amendments are whole rows: what they say a call costs is what its row says."""
    seqs = fetch(connection, "SELECT seq FROM _ledger.amendment ORDER BY seq").column(0).to_numpy()
    amended = [segment for segment, some in zip(new, has_amendments(new, seqs), strict=True) if some]
    if not amended:
        return
    files = listed(path_of(folder, each.file) for each in amended)
    ends = [min(each.first_seq for each in amended), max(each.last_seq for each in amended)]
    sql = query("restated_amendments").format(files=files, figures=_FIGURES)
    with registered(connection, amended=fetch(connection, sql, [revision, *ends])):
        connection.execute(query("forget_amended"), ends)
        connection.execute("INSERT INTO _ledger.amendment SELECT * FROM amended")


def _figures(folder: Path, segment: Segment, first_seq: int) -> pa.Table:
    """Seq and figures of the rows of a segment from one on."""
    with parquet.ParquetFile(path_of(folder, segment.file)) as file:
        groups = [
            number
            for number in range(file.metadata.num_row_groups)
            if (found := file.metadata.row_group(number).column(0).statistics) is None or found.max >= first_seq
        ]
        return file.read_row_groups(groups, columns=["seq", *FIGURES], use_threads=False)


def _log(connection: Any, log: Entry | Undone, batch: int, now: datetime) -> None:
    if isinstance(log, Undone):
        connection.execute(query("undo_price_run"), [now, log.by, log.name])
        connection.execute("DELETE FROM _ledger.price_run WHERE name = ? AND undone_at IS NULL", [log.name])
        return
    values = {name: getattr(log, name) for name in Entry.__slots__}
    connection.execute(query("insert_price_run"), {**values, "batch": batch, "at": now})


def _put_off(traces: pa.Table) -> PutOff | None:
    if not traces.num_rows:
        return None
    hashes = trace_hashes(*(one_chunk(traces.column(name)) for name in ("org_id", "trace_id")))
    distinct, at = np.unique(hashes, return_index=True)
    none: Seqs = np.zeros(len(distinct), np.int64)
    return PutOff(distinct, none, traces.take(pa.array(at)))
