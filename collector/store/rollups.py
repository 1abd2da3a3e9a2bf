"""Sums of calls per day, kept beside the ledger, so that questions about months need not read every call.

Segments never change, so the sums of one stay right as long as the same amendments speak of it. They are a cache in a
DuckDB file of their own: what is there is used only if it is of a segment and a state of amendments that the
publication has; all else is read from the calls themselves. A file that is damaged, or of another version, is made
anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from collector.questions import buckets
from collector.questions.scope import statement as question
from collector.store import views
from collector.store.amendment_versions import Versions
from collector.store.statements import statement

FEW = (
    "provider",
    "model",
    "request_model",
    "response_model",
    "operation",
    "service_tier",
    "service_name",
    "cost_status",
    "agent",
    "feature",
    "team",
    "project",
    "environment",
)
"""Names that have so few values, and go together so often, that a day has few combinations of them."""
RATES = ("card", "rate_row")
"""What priced a call."""
OWNERS = ("agent", "feature", "team", "project", "environment")
"""Those of them by which runs are counted: a run has few combinations of these."""
MANY = ("run", "customer", "user", "conversation")
"""Names that have many values; a run mostly has one of each other."""

UNSUMMED_ROWS = 60_000
"""Spans in segments without sums, at most, before the next one is summed up. Lower: small segments, which are merged
soon, are summed up several times. Higher: each question reads more of them."""

_MONEY = ("cost_usd", "estimated_cost_usd", "retry_cost_usd", "wasted_cost_usd")
_COUNTS = (
    "calls",
    "unpriced_calls",
    "partial_calls",
    "estimated_calls",
    "reported_calls",
    "failed_calls",
    "retries",
    "unpriced_retries",
)
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "useful_output_tokens",
    "cacheable_tokens",
    "cached_tokens",
    "uncached_tokens",
)
_SUMMED = (*_COUNTS, *_TOKENS)
_SEQS = re.compile(r"(\d+)-(\d+)-[0-9a-f]+\.parquet")
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment as the amendments of one publication leave it."""

    file: str
    rows: int  # about
    amended: str  # digest of the amendments that speak of it; empty: none does


@dataclass(frozen=True, slots=True)
class Rolled:
    """The sums that one generation may use (`collector.questions.scope.Rolled`)."""

    zone: ZoneInfo
    covered: str
    uncovered: str
    parts: str  # relation of the parts that are of this publication

    def sums(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.scope.Rolled.sums`."""
        columns = ", ".join([*(f"sums.{name}" for name in (*_MONEY, *_SUMMED)), "sums.first_ns", "sums.last_ns"])
        if not names:
            return self._relation("whole", names, columns)
        if names <= set(RATES):
            return self._relation("rated", names, columns)
        return self._relation("many" if names <= set(MANY) else "few", names, columns)

    def runs(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.scope.Rolled.runs`."""
        if names <= set(MANY):
            return self._relation("many", names, "hash(sums.run) AS execution")
        if not names <= set(OWNERS):
            return None
        return self._relation("ran", names, "sums.execution")

    def _relation(self, table: str, names: frozenset[str], columns: str) -> str | None:
        valid = f"sums.part IN (SELECT part FROM {self.parts})"
        if table != "few":
            named = "".join(f'sums."{name}", ' for name in sorted(names))
            return f"(SELECT sums.org_id, sums.day, {named}{columns} FROM rollups.{table} AS sums WHERE {valid})"
        if not names <= set(FEW):
            return None
        named = "".join(f'named."{name}", ' for name in sorted(names))
        return (
            f"(SELECT named.org_id, sums.day, {named}{columns} FROM rollups.{table} AS sums "
            f"JOIN rollups.combination AS named ON named.combination = sums.combination WHERE {valid})"
        )


def pieces(connection: Any, generation: str) -> list[Piece]:
    """The segments of an attached publication."""
    amended = Versions.of(connection.sql(f"SELECT seq, revision FROM {generation}._ledger.amendment").to_arrow_table())
    found = []
    for (file,) in connection.execute(f"SELECT file FROM {generation}._ledger.segment_file").fetchall():
        seqs = _SEQS.fullmatch(Path(file).name)
        if seqs:
            first, last = map(int, seqs.groups())
            at = slice(*np.searchsorted(amended.seqs, [first, last + 1]).tolist())
            found.append(Piece(file, last + 1 - first, _digest(amended, at)))
    return found


def _digest(amended: Versions, at: slice) -> str:
    if at.start == at.stop:
        return ""
    said = amended.seqs[at].tobytes() + amended.revisions[at].tobytes()
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def relate(connection: Any, catalog: str, generation: str, some: Sequence[Piece], *, amendments: bool) -> str:
    """A catalog in memory whose `calls` are those of some segments; the relation."""
    connection.execute(f"ATTACH ':memory:' AS {catalog}")
    refer(connection, catalog, generation, some, amendments=amendments)
    return f"{catalog}.main.calls"


def copied(connection: Any, relation: str) -> str:
    """The calls of such a catalog as a table of it: planned and read in less time by each question."""
    copy = relation.removesuffix("calls") + "copied"
    connection.execute(f"CREATE TABLE {copy} AS SELECT * FROM {relation}")
    return copy


def refer(connection: Any, catalog: str, generation: str, some: Sequence[Piece], *, amendments: bool) -> None:
    """Make the `calls` of such a catalog those of other segments."""
    clean = [Path(piece.file) for piece in some if not piece.amended]
    amended = [Path(piece.file) for piece in some if piece.amended]
    nothing = [Path(_empty(connection, generation))] if not some and not amendments else []
    with connection.cursor() as cursor:
        cursor.execute(f"USE {catalog}")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS _ledger")
        cursor.execute(f"CREATE OR REPLACE VIEW _ledger.amendment AS SELECT * FROM {generation}._ledger.amendment")
        views.create_calls(cursor, [*clean, *nothing], amended, amendments=amendments)


def _empty(connection: Any, generation: str) -> str:
    """The file of a publication that has no rows."""
    said = f"SELECT file FROM {generation}._ledger.segment_file WHERE file LIKE '%empty.parquet'"
    return str(connection.execute(said).fetchall()[0][0])


class Rollups:
    """The cache of one ledger, attached as `rollups`. Used by one thread; what it commits others may read."""

    def __init__(self, path: Path, zone: ZoneInfo, unsummed_rows: int = UNSUMMED_ROWS) -> None:
        self._path = path
        self._unsummed_rows = unsummed_rows
        self.zone = zone
        self._connection: Any = None
        self._known: dict[tuple[str, str], int] = {}  # file, digest -> part

    def open(self, connection: Any) -> None:
        """Attach the file, made anew if it cannot be used. Where none can be kept, sums are kept in memory."""
        self._connection = connection
        try:
            self._attach(str(self._path))
        except duckdb.Error:
            with suppress(duckdb.Error):
                connection.execute("DETACH rollups")
            try:
                self._remove()
                self._attach(str(self._path))
            except (duckdb.Error, OSError):
                with suppress(duckdb.Error):
                    connection.execute("DETACH rollups")
                self._attach(":memory:")
        connection.execute("ATTACH ':memory:' AS summing")
        said = "SELECT file, amended, part FROM rollups.part"
        self._known = {(file, amended): part for file, amended, part in connection.execute(said).fetchall()}

    def parts(self, some: Sequence[Piece]) -> dict[Piece, int]:
        """Those that are summed up, and as what."""
        found = {piece: self._known.get((piece.file, piece.amended)) for piece in some}
        return {piece: part for piece, part in found.items() if part is not None}

    def next(self, some: Sequence[Piece]) -> Piece | None:
        """What is to be summed up next: the largest, while there is more than may be left."""
        left = [piece for piece in some if (piece.file, piece.amended) not in self._known]
        if sum(piece.rows for piece in left) <= self._unsummed_rows:
            return None
        return max(left, key=lambda piece: piece.rows)

    def sum_up(self, generation: str, piece: Piece) -> None:
        """Add the sums of one segment. Raises duckdb.Error; nothing is added then."""
        refer(self._connection, "summing", generation, [piece], amendments=False)
        with self._connection.cursor() as cursor:
            cursor.execute("USE rollups")
            part = max(self._known.values(), default=0) + 1
            day = self._day(cursor)
            cursor.begin()
            self._insert(cursor, part, day)
            cursor.execute("INSERT INTO part VALUES (?, ?, ?)", [part, piece.file, piece.amended])
            cursor.commit()
        self._known[(piece.file, piece.amended)] = part

    def forget(self, kept: Sequence[Piece]) -> None:
        """Remove the sums of everything else. Nobody may be reading them."""
        gone = self._known.keys() - {(piece.file, piece.amended) for piece in kept}
        if gone:
            parts = [self._known.pop(key) for key in gone]
            with self._connection.cursor() as cursor:
                cursor.execute("USE rollups")
                cursor.begin()
                for table in ("few", "many", "whole", "rated", "ran", "part"):
                    cursor.execute(f"DELETE FROM {table} WHERE part IN (SELECT unnest(?::INTEGER[]))", [parts])
                cursor.commit()

    def _day(self, cursor: Any) -> str:
        """The number of a call's day, as SQL."""
        said = "SELECT min(epoch_ns(start_time)), max(epoch_ns(start_time)) FROM summing.main.calls"
        first, last = (int(end or 0) // 10**9 for end in cursor.execute(said).fetchall()[0])
        offsets = buckets.pieces(self.zone, first, last)
        return buckets.sql(buckets.DAY, "(epoch_ns(calls.start_time) // 1000000000)", offsets)

    def _insert(self, cursor: Any, part: int, day: str) -> None:
        few, many = (", ".join(f'"{name}"' for name in names) for names in (FEW, MANY))
        sums = ", ".join(
            [
                *(f"CAST(sum({name}) AS DECIMAL(38, 12)) AS {name}" for name in _MONEY),
                *(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _SUMMED),
                "min(first_ns) AS first_ns",
                "max(last_ns) AS last_ns",
            ]
        )

        def facts(named: str) -> str:
            columns = "".join(f"calls.{name}, " for name in named.split(", "))
            return question("facts").format(
                names=f"{day} AS day, calls.org_id, {columns}", calls="summing.main.calls", spans="", where="TRUE"
            )

        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE summed AS "
            f"SELECT hash(org_id, {few}) AS combination, day, org_id, {few}, {sums} "
            f"FROM ({facts(few)}) GROUP BY day, org_id, {few}"
        )
        other = " OR ".join(f"known.{name} IS DISTINCT FROM summed.{name}" for name in ("org_id", *few.split(", ")))
        alike = f"SELECT count(*) FROM summed JOIN combination AS known USING (combination) WHERE {other}"
        cursor.execute(
            f"INSERT INTO combination SELECT DISTINCT combination, org_id, {few} FROM summed "
            "WHERE combination NOT IN (SELECT combination FROM combination)"
        )
        if cursor.execute(alike).fetchall() != [(0,)]:
            raise duckdb.InvalidInputException("two combinations have one hash")
        names = ", ".join([*_MONEY, *_SUMMED, "first_ns", "last_ns"])
        cursor.execute(f"INSERT INTO few SELECT {part}, day, combination, {names} FROM summed")
        cursor.execute(f"INSERT INTO whole SELECT {part}, day, org_id, {sums} FROM summed GROUP BY day, org_id")
        cursor.execute(
            f"INSERT INTO many SELECT {part}, day, org_id, {many}, {sums} "
            f"FROM ({facts(many)}) GROUP BY day, org_id, {many}"
        )
        rates = ", ".join(RATES)
        cursor.execute(
            f"INSERT INTO rated SELECT {part}, day, org_id, {rates}, {sums} "
            f"FROM ({facts(rates)}) GROUP BY day, org_id, {rates}"
        )
        owners = ", ".join(f'"{name}"' for name in OWNERS)
        ran = question("ran").format(
            names=f"{day} AS day, calls.org_id, {owners},", calls="summing.main.calls", spans="", where="TRUE"
        )
        cursor.execute(f"INSERT INTO ran SELECT DISTINCT {part}, day, org_id, {owners}, execution FROM ({ran})")
        cursor.execute("DROP TABLE summed")

    def _attach(self, place: str) -> None:
        quoted = place.replace("'", "''")
        self._connection.execute(f"ATTACH '{quoted}' AS rollups")
        with self._connection.cursor() as cursor:
            cursor.execute("USE rollups")
            version = self._version()
            tables = {name for (name,) in cursor.execute("SELECT name FROM (SHOW TABLES)").fetchall()}
            if "version" in tables:
                found = cursor.execute("SELECT version FROM version").fetchall()
                if found != [(version,)]:
                    raise duckdb.InvalidInputException("sums of another version")
                return
            if tables:
                raise duckdb.InvalidInputException("not a file of sums")
            cursor.begin()
            for text in self._tables().split(";"):
                cursor.execute(text)
            cursor.execute("CREATE TABLE version AS SELECT ? AS version", [version])
            cursor.commit()

    def _tables(self) -> str:
        sums = [
            *(f"{name} DECIMAL(38, 12)" for name in _MONEY),
            *(f"{name} BIGINT" for name in (*_SUMMED, "first_ns", "last_ns")),
        ]
        said = {"few": FEW, "many": MANY, "rates": RATES, "owners": OWNERS}
        names = {name: " VARCHAR, ".join(f'"{column}"' for column in columns) for name, columns in said.items()}
        return statement("rollups", "tables").format(**names, sums=", ".join(sums))

    def _version(self) -> str:
        """Changes whenever the sums would."""
        texts = [
            self._tables(),
            question("facts"),
            question("ran"),
            statement("views", "attempts"),
            statement("views", "calls"),
        ]
        said = "\n".join([*texts, self.zone.key, duckdb.__version__])
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()

    def _remove(self) -> None:
        for path in (self._path, self._path.with_name(self._path.name + ".wal")):
            path.unlink(missing_ok=True)
