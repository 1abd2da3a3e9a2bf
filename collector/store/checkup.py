"""Looking at a ledger without changing it: what is wrong, what that means, what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
from pyarrow import parquet

from collector.store import damage, schema
from collector.store.config import StoreConfig
from collector.store.errors import StoreError, StoreLocked
from collector.store.inspect import space, written_segments
from collector.store.layout import Layout
from collector.store.lock import InstanceLock
from collector.store.manifest import Segment, path_of
from collector.store.statements import fetch, query

Severity = Literal["problem", "warning", "note"]

_LOCK_WAIT_SECONDS = 3.0
_SHOWN_ORGANISATIONS = 5


class CannotCheck(StoreError):
    """There is no ledger here, or it cannot be opened at all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing."""

    severity: Severity
    what: str
    meaning: str
    action: str


@dataclass(slots=True)
class Checkup:
    """What a look at a ledger found. Healthy: no finding is a problem."""

    path: Path
    running: bool
    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        return all(finding.severity != "problem" for finding in self.findings)

    def problem(self, what: str, meaning: str, action: str) -> None:
        self.findings.append(Finding("problem", what, meaning, action))

    def warn(self, what: str, meaning: str, action: str) -> None:
        self.findings.append(Finding("warning", what, meaning, action))

    def note(self, what: str, meaning: str, action: str = "nothing to do") -> None:
        self.findings.append(Finding("note", what, meaning, action))


@dataclass(frozen=True, slots=True)
class Copied:
    """The manifest as values: taken in a moment, so that a collector may start while the files are looked at."""

    segments: tuple[Segment, ...]
    retired: frozenset[str]
    lost: tuple[tuple[str, int, Decimal], ...]
    batches: tuple[Any, ...]
    stored: tuple[Any, ...]
    amendments: pa.Table
    expired: tuple[tuple[str, int, Decimal], ...]
    price_runs: tuple[tuple[str, str, int], ...]  # in force: name, file, bytes


class _Reader:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, list(parameters)).fetchall()
        return rows


def examine(path: Path) -> tuple[Checkup, Copied | None]:
    """Look at the ledger at `path`. Without a manifest when a collector holds it. Raises CannotCheck."""
    layout = Layout.of(path)
    if not layout.published.exists() and not layout.ledger.exists():
        raise CannotCheck(f"there is no ledger at {path}")
    checkup = Checkup(path, InstanceLock(layout.lock).is_held())
    _published(checkup, layout)
    copied = None if checkup.running else _copied(checkup, layout)
    if checkup.running:
        checkup.not_checked.append(
            "the manifest (batches against segments, expired spans): a collector holds it; stop it to check that too"
        )
        checkup.not_checked.append("how the collector is doing: otel-cost status")
    if copied is not None:
        _manifest(checkup, copied)
        _files(checkup, layout, copied)
        _price_runs(checkup, layout, copied)
    _left_aside(checkup, layout)
    if layout.folder.is_dir():
        _space(checkup, layout)
    return checkup, copied


def _published(checkup: Checkup, layout: Layout) -> None:
    """The file that users open, and every Parquet file that its views name."""
    action = "start the collector: it writes the file anew"
    if not layout.published.exists():
        checkup.problem(f"{layout.published} is missing", "reports and dashboards have nothing to read", action)
        return
    try:
        with duckdb.connect(str(layout.published), read_only=True) as connection:
            at, spans, version = connection.execute(
                "SELECT published_at, spans, schema_version FROM publication"
            ).fetchall()[0]
            counted = connection.execute("SELECT count(*) FROM spans").fetchall()[0][0]
            calls, cost, unpriced = connection.execute(
                "SELECT count(*), coalesce(sum(cost_usd), 0), count(*) FILTER (WHERE cost_usd IS NULL) FROM calls"
            ).fetchall()[0]
            orgs = connection.execute(
                f"SELECT org_id, count(*) FROM spans GROUP BY 1 ORDER BY 2 DESC LIMIT {_SHOWN_ORGANISATIONS}"
            ).fetchall()
    except duckdb.Error as error:
        meaning = "reports and dashboards fail; what was acknowledged is not affected by that alone"
        checkup.problem(f"the published file cannot be read: {_first_line(error)}", meaning, action)
        return
    checkup.checked.append("the published file")
    checkup.facts["published"] = {
        "at": at.isoformat() + "Z", "schema_version": version, "spans": counted, "calls": calls,
        "cost_usd": f"{cost:f}", "unpriced_calls": unpriced,
        "largest_organizations": [{"org_id": org, "spans": count} for org, count in orgs],
    }  # fmt: skip
    if counted != spans:
        meaning = "reports miss spans, or count some twice"
        checkup.problem(f"the published file promises {spans} spans and shows {counted}", meaning, action)


def _copied(checkup: Checkup, layout: Layout) -> Copied | None:
    """The manifest, read while nobody else can write it."""
    if not layout.ledger.exists():
        meaning = "nothing can be added to this ledger, and the published file is all there is"
        checkup.problem(f"{layout.ledger} is missing", meaning, f"put a copy back, or see {layout.backups}")
        return None
    lock = InstanceLock(layout.lock)
    try:
        lock.acquire(_LOCK_WAIT_SECONDS)
    except (StoreLocked, OSError) as error:
        checkup.not_checked.append(f"the manifest: {error}")
        return None
    try:
        with duckdb.connect(str(layout.ledger), read_only=True) as connection:
            return _read(checkup, connection)
    except duckdb.Error as error:
        meaning = "the collector will move its log aside or refuse to start"
        action = f"keep a copy of {layout.folder}; start the collector and read what it reports"
        checkup.problem(f"{layout.ledger} cannot be opened: {_first_line(error)}", meaning, action)
        return None
    finally:
        lock.release()


def _read(checkup: Checkup, connection: Any) -> Copied | None:
    version = schema.version_of(connection)
    if version != schema.VERSION:
        checkup.facts["schema_version"] = version
        checkup.not_checked.append("the manifest and the files: the ledger has another schema version")
        action = "start this version's collector, which backs it up and converts it" if version < schema.VERSION else ""
        what = f"the ledger has schema version {version}, this program uses {schema.VERSION}"
        checkup.warn(what, "only the published file was checked", action or "use the newer program")
        return None
    reader = _Reader(connection)
    return Copied(
        segments=tuple(each.segment for each in written_segments(reader)),
        retired=frozenset(
            row[0] for row in reader.rows("SELECT file FROM _ledger.segment WHERE retired_at IS NOT NULL")
        ),
        lost=tuple(reader.rows("SELECT file, row_count, cost_usd FROM _ledger.lost_segment")),
        batches=reader.rows(query("ledger_batches"))[0],
        stored=reader.rows(query("ledger_spans"))[0],
        amendments=fetch(connection, "SELECT * FROM _ledger.amendment ORDER BY seq"),
        expired=tuple(
            reader.rows("SELECT org_id, sum(spans), sum(cost_usd) FROM _ledger.expiry GROUP BY 1 ORDER BY 1")
        ),
        price_runs=tuple(
            reader.rows("SELECT name, file, file_bytes FROM _ledger.price_run WHERE undone_at IS NULL ORDER BY batch")
        ),
    )


def _manifest(checkup: Checkup, copied: Copied) -> None:
    checkup.checked.append("the batch ledger against segments and expired spans")
    missing, last_batch, last_seq, promised, promised_cost = copied.batches[:5]
    accounted, highest_seq, cost = copied.stored[:3]
    meaning = "acknowledged spans are missing from the totals"
    action = "look for moved or deleted files of segments; put them back and start the collector"
    lost_spans, lost_cost = sum(row[1] for row in copied.lost), sum((row[2] for row in copied.lost), Decimal(0))
    if missing:
        checkup.problem(f"{missing} of {last_batch} batch rows are missing", "the manifest was damaged", action)
    if promised != accounted + lost_spans or promised_cost != cost + lost_cost or highest_seq > last_seq:
        what = (
            f"batches promise {promised} spans up to number {last_seq} and {promised_cost} USD; segments and expired "
            f"spans add up to {accounted} up to {highest_seq} and {cost} USD"
        )
        checkup.problem(what, meaning, action)
    for file, rows, lost in copied.lost:
        what = f"{file} was lost: {rows} spans, {lost} USD"
        checkup.problem(what, "its file was missing or damaged; totals leave it out", "put an intact copy in its place")
    checkup.facts["manifest"] = {
        "spans": accounted - sum(row[1] for row in copied.expired), "last_seq": last_seq, "cost_usd": f"{cost:f}",
        "amendments": copied.amendments.num_rows, "segments": len(copied.segments),
        "segments_by_tier": dict(sorted(Counter(str(each.tier) for each in copied.segments).items())),
        "archived_segments": sum(each.cold for each in copied.segments),
        "expired": [{"org_id": org, "spans": int(n), "cost_usd": f"{usd:f}"} for org, n, usd in copied.expired],
    }  # fmt: skip


def _files(checkup: Checkup, layout: Layout, copied: Copied) -> None:
    checkup.checked.append("size and row count of every segment's file")
    away: list[Segment] = []
    for segment in copied.segments:
        path = path_of(layout.segments, segment.file)
        if segment.cold and not path.exists():
            away.append(segment)
            continue
        if (wrong := _wrong_file(path, segment)) is not None:
            meaning = f"{segment.rows} spans that cost {segment.cost_usd} USD cannot be trusted"
            checkup.problem(f"{path}: {wrong}", meaning, "put an intact copy in its place and start the collector")
    if away:
        what = f"{len(away)} archived files are not there, such as {away[0].file}"
        meaning = f"reports leave out {sum(segment.rows for segment in away)} spans"
        checkup.problem(what, meaning, "mount the disk of the archive")
    known = {segment.file for segment in copied.segments} | copied.retired | {row[0] for row in copied.lost}
    strays = [path for path in layout.segments.iterdir() if path.name not in known] if layout.segments.is_dir() else []
    if strays:
        what = f"{len(strays)} files in {layout.segments} belong to nothing"
        checkup.note(what, "a crash left them; the next start removes them")


def _price_runs(checkup: Checkup, layout: Layout, copied: Copied) -> None:
    """The figures that runs have replaced: what undoing them needs, and the prices as billed."""
    checkup.facts["price_runs"] = [name for name, _, _ in copied.price_runs]
    if copied.price_runs:
        checkup.checked.append("the file of every price run")
    for name, file, size_bytes in copied.price_runs:
        path = layout.price_runs / file
        if not path.exists() or path.stat().st_size != size_bytes:
            what = f"{path}: is {'damaged' if path.exists() else 'missing'}"
            meaning = f"price run {name} cannot be undone, and prices as billed are not known; all else is right"
            checkup.problem(what, meaning, "put an intact copy in its place")


def _wrong_file(path: Path, segment: Segment) -> str | None:
    try:
        size_bytes = path.stat().st_size
        rows = parquet.read_metadata(path).num_rows
    except FileNotFoundError:
        return "is missing"
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read: {_first_line(error)}"
    if size_bytes != segment.size_bytes:
        return f"has {size_bytes} bytes, {segment.size_bytes} were written"
    return None if rows == segment.rows else f"has {rows} rows, the manifest says {segment.rows}"


def _left_aside(checkup: Checkup, layout: Layout) -> None:
    """What earlier troubles and migrations have left: named, because nothing removes it by itself."""
    torn = [path for path in layout.folder.glob("ledger.duckdb.wal*") if path != layout.wal]
    damaged = [*torn, *_inside(layout.folder / damage.FOLDER)]
    if damaged:
        what = f"{len(damaged)} damaged files were kept aside, such as {damaged[0]}"
        meaning = "something broke here once; what they held may be missing from the totals"
        action = (
            f"put intact copies of Parquet files into {layout.segments} and start the collector again; keep the "
            "damaged ones until the cause is known"
        )
        checkup.warn(what, meaning, action)
    backups = _inside(layout.backups)
    if backups:
        what = f"{len(backups)} backups in {layout.backups}"
        checkup.note(what, "made before a migration", "delete them once the new version has proved itself")
    checkup.facts["damaged_files"] = [str(path) for path in damaged]
    checkup.facts["backups"] = [str(path) for path in backups]


def _space(checkup: Checkup, layout: Layout) -> None:
    found = space(layout)
    checkup.facts["space"] = asdict(found)
    floor_bytes = StoreConfig(layout.published).free_space_floor_bytes
    if found.free_bytes < 2 * floor_bytes:
        what = f"{found.free_bytes >> 20} MiB of disk are left"
        meaning = f"files are not merged any more; below {floor_bytes >> 20} MiB nothing new is accepted"
        checkup.warn(what, meaning, "make room, or set a retention")


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error).strip().splitlines()[0] if str(error).strip() else repr(error))
