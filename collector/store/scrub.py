"""The long look at a ledger: every column of every file is read, and its rows are held to what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from collector.decode.columns import OWNER_COLUMNS
from collector.store.checkup import Checkup, Copied
from collector.store.layout import Layout
from collector.store.manifest import Segment, path_of
from collector.store.rewrite import read
from collector.store.rows import ROW_SCHEMA, skeleton
from collector.store.statements import fetch, listed, registered

Attribute = Callable[[pa.Table], pa.Table]
"""`SKELETON_SCHEMA` of whole traces -> `ATTRIBUTION_SCHEMA`."""

KEYS_AT_ONCE = 20_000_000
"""Spans whose ids are compared in one pass, about 50 bytes each."""

SAMPLED_TRACES = 200
_COMPARED = ("counted", "not_counted_reason", "attempt", "wasted", *OWNER_COLUMNS)
_RESTORE = "put an intact copy of the file in its place and start the collector"


def scrub(checkup: Checkup, copied: Copied, attribute: Attribute) -> None:
    """Read everything; findings go to `checkup`. Only a row group at a time is in memory."""
    folder = Layout.of(checkup.path).segments
    seen = np.zeros((copied.batches[2] >> 3) + 1, dtype=np.uint8)
    sound = []
    for segment in copied.segments:
        path = path_of(folder, segment.file)
        if not path.exists():
            continue  # said by the short look
        try:
            wrong = _wrong_rows(path, segment, seen)
        except (OSError, pa.ArrowException) as error:
            wrong = [f"cannot be read as a whole: {error}"]
        for what in wrong:
            checkup.problem(f"{path}: {what}", "its rows cannot be trusted", _RESTORE)
        if not wrong:
            sound.append(str(path))
    checkup.checked.append("every column of every row: counts, sums, order, ranges, uniqueness of numbers")
    with duckdb.connect(config={"memory_limit": "1GiB", "threads": 2}) as connection:
        if sound:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE VIEW row AS FROM read_parquet({listed(sound)}, hive_partitioning = false)")
            with registered(connection, amendment=copied.amendments):
                unique = _keys(checkup, connection, sum(segment.rows for segment in copied.segments))
                _amendments(checkup, connection, complete=len(sound) == len(copied.segments))
                if unique:
                    _verdicts(checkup, connection, attribute)


def _wrong_rows(path: Path, segment: Segment, seen: Any) -> list[str]:
    rows, cost, before = 0, Decimal(0), 0
    wrong: set[str] = set()
    for part in _parts(path):
        seqs = part.column("seq").to_numpy()
        rows += len(seqs)
        cost += pc.sum(part.column("cost_usd").cast(pa.decimal128(38, 12))).as_py() or 0
        if seqs[0] <= before or (np.diff(seqs) <= 0).any():
            wrong.add("its rows are not in order of their numbers")
        before = int(seqs[-1])
        if seqs.min() < segment.first_seq or seqs.max() > segment.last_seq or seqs.max() >= 8 * len(seen):
            wrong.add("it holds numbers outside of its range")
            continue
        bits = (1 << (seqs & 7)).astype(np.uint8)
        if (seen[seqs >> 3] & bits).any():
            wrong.add("it holds rows whose numbers another row has too")
        np.bitwise_or.at(seen, seqs >> 3, bits)
        if not set(part.column("org_id").unique().to_pylist()) <= set(segment.org_ids):
            wrong.add("it holds organisations that the manifest does not name")
        starts = part.column("start_time").cast(pa.int64()).to_numpy()
        inside = np.zeros(len(starts), dtype=bool)
        for low, high in segment.start_ranges_ns:
            inside |= (starts >= low) & (starts <= high)
        if not inside.all():
            wrong.add("it holds spans that start outside of its ranges")
    if (rows, cost) != (segment.rows, segment.cost_usd):
        wrong.add(f"has {rows} rows that cost {cost} USD, written were {segment.rows} and {segment.cost_usd}")
    return sorted(wrong)


def _parts(path: Path) -> Iterator[pa.Table]:
    with path.open("rb") as file:
        metadata = parquet.ParquetFile(file).metadata
        for number in range(metadata.num_row_groups):
            yield from read(file, metadata, number)


def _keys(checkup: Checkup, connection: Any, rows: int) -> bool:
    """Whether every (organisation, trace, span) is there once."""
    passes = rows // KEYS_AT_ONCE + 1
    twice = 0
    for number in range(passes):
        sql = (
            "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM row WHERE hash(trace_id) % ? = ? "
            "GROUP BY org_id, trace_id, span_id HAVING n > 1)"
        )
        twice += int(connection.execute(sql, [passes, number]).fetchall()[0][0])
    checkup.checked.append("each span is there once")
    if twice:
        meaning = "their cost is counted more than once"
        checkup.problem(f"{twice} spans are stored more than once", meaning, "report this: it must not happen")
    return not twice


def _amendments(checkup: Checkup, connection: Any, *, complete: bool) -> None:
    """Every later verdict speaks of a row that is there, and of nothing that a row alone can say."""
    orphans = connection.execute(
        "SELECT count(*) FROM amendment ANTI JOIN row ON row.seq = amendment.seq AND row.span_id = amendment.span_id"
    ).fetchall()[0][0]
    other_cost = connection.execute(
        "SELECT count(*) FROM amendment JOIN row USING (seq) "
        "WHERE row.cost_usd IS DISTINCT FROM amendment.cost_usd OR row.trace_id <> amendment.trace_id"
    ).fetchall()[0][0]
    checkup.checked.append("later verdicts against the rows that they speak of")
    if orphans and complete:
        checkup.problem(f"{orphans} verdicts speak of no row", "calls are counted that are not there", "report this")
    if other_cost:
        meaning = "reports show another cost than the span's"
        checkup.problem(f"{other_cost} verdicts say another cost than their row", meaning, "report this")


def _verdicts(checkup: Checkup, connection: Any, attribute: Attribute) -> None:
    """A sample of whole traces is judged anew; those that share a call with another trace are left out."""
    with registered(connection, sampled=fetch(connection, _SAMPLE, [SAMPLED_TRACES])):
        names = ", ".join(f'row."{name}"' for name in ROW_SCHEMA.names)
        rows = fetch(connection, f"SELECT {names} FROM row SEMI JOIN sampled USING (org_id, trace_id) ORDER BY seq")
        amended = fetch(connection, "FROM amendment SEMI JOIN sampled USING (org_id, trace_id)")
    if not rows.num_rows:
        return
    stored = _by_span(rows.filter(pc.is_valid(rows.column("call_kind")))) | _by_span(amended)
    judged = attribute(skeleton(rows.cast(ROW_SCHEMA)))
    differing = [row["span_id"] for row in judged.to_pylist() if _differs(row, stored.get(row["span_id"]))]
    checkup.checked.append(f"the verdicts on {len(stored)} calls, judged anew")
    if differing:
        what = f"{len(differing)} of {len(stored)} calls are judged otherwise today, such as span {differing[0]}"
        meaning = "they were counted by an older version's rules, or the ledger is wrong"
        checkup.warn(what, meaning, "report it if the ledger was written by this version alone")


def _by_span(rows: pa.Table) -> dict[str, dict[str, Any]]:
    """Span id -> what is compared."""
    return dict(zip(rows.column("span_id").to_pylist(), rows.select(_COMPARED).to_pylist(), strict=True))


def _differs(judged: dict[str, Any], stored: dict[str, Any] | None) -> bool:
    return stored is None or any(judged[name] != stored[name] for name in _COMPARED)


_SAMPLE = """
SELECT org_id, trace_id
FROM row
WHERE seq IN (SELECT seq FROM row WHERE call_kind IS NOT NULL ORDER BY hash(seq) LIMIT ?)
GROUP BY org_id, trace_id
EXCEPT
SELECT org_id, trace_id
FROM row
WHERE duplicate_of IS NOT NULL
EXCEPT
SELECT org_id, trace_id
FROM amendment
WHERE duplicate_of IS NOT NULL
EXCEPT
SELECT kept.org_id, kept.trace_id
FROM row AS kept
SEMI JOIN (
    SELECT org_id, duplicate_of FROM row UNION ALL SELECT org_id, duplicate_of FROM amendment
) AS second ON second.org_id = kept.org_id AND second.duplicate_of = kept.span_id
"""
