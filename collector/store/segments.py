"""Sealed Parquet files behind the publication: written once, merged as they grow, removed when nobody names them.

A segment holds a range of one table, always cut from the ledger itself: `span_log` by seq (rows never change) and
`call_log` by revision (rows that left it since are listed in `call_retraction`, which the published view subtracts).
Sizes form tiers, so that n rows are written about log(n) times and a reader opens few files.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyarrow import parquet

from collector.store.config import StoreConfig
from collector.store.statements import query

KEYS = {"span_log": "seq", "call_log": "revision"}
"""Table -> the column by which it is cut."""

_LARGEST_TIER = 3

MIN_GROUP_ROWS, MAX_GROUP_ROWS = 2_048, 122_880
"""Rows of a Parquet row group: DuckDB's smallest and its default."""

GROUP_BYTES = 32 << 20
"""Of a row group. DuckDB holds several in memory while it writes, and fails when they do not fit."""

RawBytes = Callable[["Segment"], int]
"""Bytes of a segment before compression."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`first_key`..`last_key` of `source`, both included, as of batch `as_of_batch`."""

    source: str
    first_key: int
    last_key: int
    as_of_batch: int
    rows: int
    file: str  # name in the folder of segments


@dataclass(frozen=True, slots=True)
class Plan:
    """A range to write; it takes the place of the segments inside it."""

    source: str
    first_key: int
    last_key: int
    group_rows: int = MAX_GROUP_ROWS


@dataclass(frozen=True, slots=True)
class Extent:
    """A piece of a table that is not sealed: it ends with `last_key`."""

    last_key: int
    rows: int
    text_bytes: int


def live(connection: Any, source: str) -> list[Segment]:
    """The segments that make up `source`, in order of their keys."""
    return [Segment(*row) for row in connection.rows(query("live_segments"), [source])]


def sizes(folder: Path) -> RawBytes:
    """Asks the segments themselves how large they are before compression."""

    @lru_cache(maxsize=4096)
    def raw_bytes(file: str) -> int:
        metadata = parquet.read_metadata(folder / file)
        return sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))

    return lambda segment: raw_bytes(segment.file)


def plans(
    source: str,
    segments: Sequence[Segment],
    hot: Sequence[Extent],
    retracted: dict[str, int],
    raw_bytes: RawBytes,
    config: StoreConfig,
) -> list[Plan]:
    """What is worth writing now: the hot rows if they are many, their full pieces if they are large, and one merge."""
    wanted: list[Plan] = []
    first_key = segments[-1].last_key + 1 if segments else 1
    many = sum(piece.rows for piece in hot) >= config.seal_spans
    for piece in hot if many else hot[:-1]:
        wanted.append(Plan(source, first_key, piece.last_key, _group_rows(piece.rows, piece.text_bytes)))
        first_key = piece.last_key + 1
    merge = _merge(segments, raw_bytes, config) or _rewrite(segments, retracted)
    if merge is not None:
        wanted.append(merge)
    return wanted


def _merge(segments: Sequence[Segment], raw_bytes: RawBytes, config: StoreConfig) -> Plan | None:
    """The newest run of `segment_fanout` neighbours that are all of one tier or below, and together not too large."""
    for tier in range(_LARGEST_TIER):
        run: list[Segment] = []
        rows = size_bytes = 0
        for segment in reversed(segments):
            rows, size_bytes = rows + segment.rows, size_bytes + raw_bytes(segment)
            if _tier(segment, config) > tier or _too_wide(rows, size_bytes, config):
                break
            run.append(segment)
        if len(run) >= config.segment_fanout:
            return Plan(run[-1].source, run[-1].first_key, run[0].last_key, _group_rows(rows, size_bytes))
    return None


def _group_rows(rows: int, size_bytes: int) -> int:
    """Rows that take about `GROUP_BYTES`, as far as DuckDB lets choose."""
    return max(MIN_GROUP_ROWS, min(MAX_GROUP_ROWS, GROUP_BYTES * rows // max(size_bytes, 1)))


def _too_wide(rows: int, size_bytes: int, config: StoreConfig) -> bool:
    """Even the smallest row group would be too large, so that the size of the whole counts."""
    return size_bytes > config.segment_bytes and size_bytes // rows * MIN_GROUP_ROWS > GROUP_BYTES


def _tier(segment: Segment, config: StoreConfig) -> int:
    tier, size = 0, config.seal_spans * config.segment_fanout // 2
    while segment.rows > size and tier < _LARGEST_TIER:
        tier, size = tier + 1, size * config.segment_fanout
    return tier


def _rewrite(segments: Sequence[Segment], retracted: dict[str, int]) -> Plan | None:
    """The segment of which more than a quarter of the rows have left."""
    for segment in segments:
        if 4 * retracted.get(segment.file, 0) > max(segment.rows, 1):
            return Plan(segment.source, segment.first_key, segment.last_key)
    return None


def write(connection: Any, folder: Path, plan: Plan, as_of_batch: int) -> Segment:
    """Cut `plan` from the ledger into a file that is complete and on disk before it has its name."""
    key = KEYS[plan.source]
    name = f"{plan.source}-{plan.first_key}-{plan.last_key}-{uuid.uuid4().hex[:8]}.parquet"
    partial = folder / f".{name}.partial"
    target = str(partial).replace("'", "''")
    (written,) = connection.rows(
        f"COPY (SELECT * FROM _ledger.{plan.source} WHERE {key} BETWEEN {plan.first_key} AND {plan.last_key}) "
        f"TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {plan.group_rows})"
    )[0]
    partial.chmod(0o444)
    sync(partial)
    os.replace(partial, folder / name)
    sync(folder)
    return Segment(plan.source, plan.first_key, plan.last_key, as_of_batch, int(written), name)


def record(connection: Any, segment: Segment) -> None:
    """Put a written segment in the place of those that it covers. In a transaction of the writer."""
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.begin()
    try:
        retire = [now, segment.source, segment.first_key, segment.last_key]
        names = [row[0] for row in connection.execute(query("covered_segments"), retire[1:]).fetchall()]
        for name in names:
            connection.execute(query("retire_segment"), [name, now])
            connection.execute("DELETE FROM _ledger.segment WHERE file = ? AND retired_at IS NULL", [name])
        connection.execute(
            "INSERT INTO _ledger.segment VALUES (?, ?, ?, ?, ?, ?, NULL)",
            [segment.source, segment.first_key, segment.last_key, segment.as_of_batch, segment.rows, segment.file],
        )
        if segment.source == "call_log":
            connection.execute(query("purge_retractions"))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def forget_retired(connection: Any, folder: Path, grace_seconds: float) -> None:
    """Delete the files that have been out of use for the grace period, then their rows. In the writer."""
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=grace_seconds)
    old = connection.execute("SELECT file FROM _ledger.segment WHERE retired_at <= ?", [before]).fetchall()
    if old:
        for (name,) in old:
            (folder / name).unlink(missing_ok=True)
        connection.execute("DELETE FROM _ledger.segment WHERE retired_at <= ?", [before])


def remove_strays(connection: Any, folder: Path) -> None:
    """At start: delete files that the ledger does not know, left by a crash."""
    known = {row[0] for row in connection.execute("SELECT file FROM _ledger.segment").fetchall()}
    for path in folder.iterdir():
        if path.name not in known:
            path.unlink()


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
