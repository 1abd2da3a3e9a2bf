"""Segments whose file is missing or damaged: set aside and said, so that everything else goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from collector.store import manifest
from collector.store.catalog import Catalog
from collector.store.known_traces import NEVER, Places
from collector.store.manifest import Segment, path_of
from collector.store.recent import Marks
from collector.store.rows import ROW_SCHEMA, conform
from collector.store.segment_reader import SegmentUnreadable
from collector.store.statements import registered

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
        rows = [segment.first_seq, segment.last_seq]
        connection.execute("INSERT INTO _ledger.lost_amendment FROM _ledger.amendment WHERE seq BETWEEN ? AND ?", rows)
        connection.execute("DELETE FROM _ledger.amendment WHERE seq BETWEEN ? AND ?", rows)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    report(
        f"{path}: {why}{moved}. Missing from all totals until the file is back in its place: {_content(segment)}. "
        "Put an intact copy there and start again."
    )


def clear_strays(connection: Any, folder: Path, problems: Sequence[str], report: Report) -> None:
    """At start: delete files that the manifest does not know, as a crash leaves them.

    When the ledger misses something (`problems`) they may hold it: then complete ones are moved aside instead.
    """
    kept = 0
    for path in manifest.strays(connection, folder):
        if problems and path.suffix == ".parquet":
            aside = folder.parent / FOLDER
            aside.mkdir(exist_ok=True)
            os.replace(path, aside / path.name)
            kept += 1
        else:
            path.unlink()
    if kept:
        report(
            f"{folder}: {kept} files that the ledger does not know were moved to {folder.parent / FOLDER}, because "
            "something is missing. What the journal still has is applied again now; if `otel-cost doctor` finds "
            "nothing missing afterwards, they can be deleted"
        )


def check_files(connection: Any, folder: Path, report: Report) -> None:
    """At start: set aside segments whose file is not as it was written."""
    for segment in manifest.live(connection):
        if segment.cold:  # in an archive, which may be away for a while
            continue
        size_bytes = _size_bytes(path_of(folder, segment.file))
        if size_bytes is None:
            set_aside(connection, folder, segment, "is missing", report)
        elif size_bytes != segment.size_bytes:
            why = f"is damaged: {size_bytes} bytes, {segment.size_bytes} were written"
            set_aside(connection, folder, segment, why, report)


def take_back(connection: Any, folder: Path, catalog: Catalog, report: Report) -> bool:
    """At start: make lost segments part of the ledger again whose file has returned. Whether there were any.

    Spans that were sent again meanwhile are left out, and stand in `_ledger.expiry`, so that the batch rows add up.
    """
    back = [each for each in manifest.lost(connection) if _size_bytes(path_of(folder, each.file)) == each.size_bytes]
    taken = False
    for segment in back:
        try:
            new = [rows for rows in _not_stored(catalog, segment) if rows.num_rows]
        except SegmentUnreadable as error:
            report(f"{error}; it stays out of the ledger")
            continue
        whole = sum(rows.num_rows for rows in new) == segment.rows
        kept = segment if whole else manifest.write(folder, new, segment.tier) if new else None
        _restore(connection, segment, kept, [rows.column("seq") for rows in new])
        report(f"{path_of(folder, segment.file)}: is back, {0 if kept is None else kept.rows} spans count again")
        taken = True
    return taken


def _not_stored(catalog: Catalog, segment: Segment) -> Iterator[pa.Table]:
    """The rows of a segment that is no part of the ledger, but those that the ledger has."""
    for group in catalog.reader.groups(segment):
        rows = conform(catalog.reader.read(group, ROW_SCHEMA.names), ROW_SCHEMA)
        marks = Marks.of(rows)
        nowhere = np.full(rows.num_rows, NEVER)
        places = Places(marks.trace, nowhere, nowhere, np.zeros(rows.num_rows, np.bool_))
        starts_ns = rows.column("start_time").cast(pa.int64()).to_numpy()
        stored, _ = catalog.seqs_of_spans(marks.span, starts_ns, places, NEVER)
        yield rows.filter(pa.array(~np.isin(marks.span, stored)))


def _restore(connection: Any, lost: Segment, kept: Segment | None, seqs: list[pa.ChunkedArray]) -> None:
    """`kept` with the rows `seqs` in the place of `lost`."""
    spans, cost_usd = lost.rows - (kept.rows if kept else 0), lost.cost_usd - (kept.cost_usd if kept else 0)
    connection.begin()
    try:
        connection.execute("DELETE FROM _ledger.lost_segment WHERE file = ?", [lost.file])
        if kept is not None:
            manifest.record(connection, kept)
            with registered(
                connection, kept_row=pa.table({"seq": pa.chunked_array(c for s in seqs for c in s.chunks)})
            ):
                connection.execute(
                    "INSERT INTO _ledger.amendment FROM _ledger.lost_amendment WHERE seq IN (SELECT seq FROM kept_row)"
                )
        rows = [lost.first_seq, lost.last_seq]
        connection.execute("DELETE FROM _ledger.lost_amendment WHERE seq BETWEEN ? AND ?", rows)
        if spans:
            connection.execute(
                "INSERT INTO _ledger.expiry VALUES (?, ?, ?, ?, 'sent again while its file was missing')",
                [datetime.now(UTC).replace(tzinfo=None), ", ".join(lost.org_ids), spans, cost_usd],
            )
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


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
