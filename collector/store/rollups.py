"""Sums of calls per day, kept beside the ledger, so that questions about months need not read every call.

Segments never change, so the sums of one stay right as long as the same amendments speak of it. They are a cache in a
DuckDB file of their own: what is there is used only if it is of a segment and a state of amendments that the
publication has; all else is read from the calls themselves. A file that is damaged, or of another version, is made
anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from collector.questions import buckets
from collector.questions.scope import statement as question
from collector.questions.waste import LONGEST
from collector.store.pieces import Piece, calls_of
from collector.store.statements import identifier, literal, statement

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
RATED = ("card", "rate_row", "provider", "model")
"""What priced a call; of few values, and a row of a card prices few models."""
OWNERS = ("agent", "feature", "team", "project", "environment")
"""Those of them by which runs are counted: a run has few combinations of these."""
MODELS = ("provider", "model")
"""Runs are counted by these too, apart: a run has several of them with each of its owners."""
MANY = ("run", "customer", "user", "conversation")
"""Names that have many values; a run mostly has one of each other."""

UNSUMMED_ROWS = 300_000
"""Spans in segments without sums, at most, before the next one is summed up. Lower than what a merge joins under load
(sixteen groups of 16,384): each small segment is summed up, at three times the CPU per span of a merged one, and again
when it is merged a moment later. Higher than what is kept in memory (`kept_calls.MOST_ROWS`): questions read files
again. In between questions take as long with as without sums, where each call has names of its own."""

MONEY = ("cost_usd", "estimated_cost_usd", "retry_cost_usd", "wasted_cost_usd")
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
SUMMED = (*_COUNTS, *_TOKENS)
SUMS = ", ".join(
    [
        *(f"CAST(sum({name}) AS DECIMAL(38, 12)) AS {name}" for name in MONEY),
        *(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in SUMMED),
        "min(first_ns) AS first_ns",
        "max(last_ns) AS last_ns",
    ]
)
_TABLES = ("few", "months", "many", "whole", "rated", "ran", "ran_on", "long")


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
        calls = calls_of([piece], generation)
        with self._connection.cursor() as cursor:
            cursor.execute("USE rollups")
            part = max(self._known.values(), default=0) + 1
            times = local_times(cursor, calls, self.zone)
            cursor.begin()
            self._insert(cursor, part, calls, times)
            cursor.execute("INSERT INTO part VALUES (?, ?, ?)", [part, piece.file, piece.amended])
            cursor.commit()
        self._known[(piece.file, piece.amended)] = part

    def ends(self) -> dict[int, tuple[int, int]]:
        """Part -> start of its first and of its last call, epoch nanoseconds."""
        said = "SELECT part, min(first_ns), max(last_ns) FROM rollups.whole GROUP BY part"
        return {part: (first, last) for part, first, last in self._connection.execute(said).fetchall()}

    def forget(self, kept: Sequence[Piece]) -> None:
        """Remove the sums of everything else. Nobody may be reading them."""
        gone = self._known.keys() - {(piece.file, piece.amended) for piece in kept}
        if gone:
            parts = [self._known.pop(key) for key in gone]
            with self._connection.cursor() as cursor:
                cursor.execute("USE rollups")
                cursor.begin()
                for table in (*_TABLES, "part"):
                    cursor.execute(f"DELETE FROM {table} WHERE part IN (SELECT unnest(?::INTEGER[]))", [parts])
                cursor.commit()

    def _insert(self, cursor: Any, part: int, calls: str, times: Mapping[str, str]) -> None:
        day = times[buckets.DAY]

        def read(kind: str, names: str) -> str:
            return question(kind).format(names=f"{names}, ", calls=calls, spans="", where="TRUE")

        def summed(table: str, names: Sequence[str], units: Sequence[str] = (buckets.DAY,)) -> None:
            named = ", ".join([*units, "org_id", *map(identifier, names)])
            facts = read("facts", ", ".join([*(times[unit] for unit in units), *map(_of_calls, ("org_id", *names))]))
            cursor.execute(f"INSERT INTO {table} SELECT {part}, {named}, {SUMS} FROM ({facts}) GROUP BY {named}")

        self._insert_few(cursor, part, read("facts", ", ".join([day, *map(_of_calls, ("org_id", *FEW))])))
        summed("whole", (), (buckets.DAY, buckets.HOUR))
        summed("many", MANY)
        summed("rated", RATED)
        for table, names in (("ran", OWNERS), ("ran_on", MODELS)):
            ran = read("ran", ", ".join([day, *map(_of_calls, ("org_id", *names))]))
            named = ", ".join(map(identifier, names))
            cursor.execute(f"INSERT INTO {table} SELECT DISTINCT {part}, day, org_id, {named}, execution FROM ({ran})")
        lengths = read("lengths", f"{day}, calls.org_id")
        cursor.execute(statement("rollups", "longest").format(part=part, lengths=lengths, longest=LONGEST))

    def _insert_few(self, cursor: Any, part: int, facts: str) -> None:
        """What is summed by the names that have few values, beside their combinations."""
        few = ", ".join(map(identifier, FEW))
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE summed AS "
            f"SELECT hash(org_id, {few}) AS combination, day, org_id, {few}, {SUMS} "
            f"FROM ({facts}) GROUP BY day, org_id, {few}"
        )
        other = " OR ".join(f"known.{name} IS DISTINCT FROM summed.{name}" for name in ("org_id", *few.split(", ")))
        alike = f"SELECT count(*) FROM summed JOIN combination AS known USING (combination) WHERE {other}"
        cursor.execute(
            f"INSERT INTO combination SELECT DISTINCT combination, org_id, {few} FROM summed "
            "WHERE combination NOT IN (SELECT combination FROM combination)"
        )
        if cursor.execute(alike).fetchall() != [(0,)]:
            raise duckdb.InvalidInputException("two combinations have one hash")
        names = ", ".join([*MONEY, *SUMMED, "first_ns", "last_ns"])
        cursor.execute(f"INSERT INTO few SELECT {part}, day, combination, {names} FROM summed")
        month = buckets.sql_of_day(buckets.MONTH, "day")
        cursor.execute(
            f"INSERT INTO months SELECT {part}, {month} AS month, combination, {SUMS} FROM summed GROUP BY ALL"
        )
        cursor.execute("DROP TABLE summed")

    def _attach(self, place: str) -> None:
        self._connection.execute(f"ATTACH {literal(place)} AS rollups")
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
            *(f"{name} DECIMAL(38, 12)" for name in MONEY),
            *(f"{name} BIGINT" for name in (*SUMMED, "first_ns", "last_ns")),
        ]
        said = {"few": FEW, "many": MANY, "rated": RATED, "owners": OWNERS, "models": MODELS}
        names = {name: " VARCHAR, ".join(f'"{column}"' for column in columns) for name, columns in said.items()}
        return statement("rollups", "tables").format(**names, sums=", ".join(sums))

    def _version(self) -> str:
        """Changes whenever the sums would."""
        texts = [
            self._tables(),
            question("facts"),
            question("ran"),
            question("lengths"),
            statement("rollups", "longest"),
            statement("views", "attempts"),
            statement("views", "calls"),
        ]
        said = "\n".join([*texts, self.zone.key, duckdb.__version__])
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()

    def _remove(self) -> None:
        for path in (self._path, self._path.with_name(self._path.name + ".wal")):
            path.unlink(missing_ok=True)


def local_times(connection: Any, calls: str, zone: ZoneInfo) -> dict[str, str]:
    """The numbers of the local day and hour of each of some calls, as SQL."""
    said = f"SELECT min(epoch_ns(start_time)), max(epoch_ns(start_time)) FROM {calls}"
    first, last = (int(end or 0) // 10**9 for end in connection.execute(said).fetchall()[0])
    offsets = buckets.pieces(zone, first, last)
    second = "(epoch_ns(calls.start_time) // 1000000000)"
    return {unit: f"{buckets.sql(unit, second, offsets)} AS {unit}" for unit in (buckets.DAY, buckets.HOUR)}


def _of_calls(name: str) -> str:
    return f"calls.{identifier(name)}"
