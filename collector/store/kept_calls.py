"""Calls that are kept in memory for questions, as rows that statements sum: planned and read in a fraction of the time
that files take.

Two kinds: calls of the publication that are in no sums yet, taken on from one publication to the next, so that each
adds what is new alone; and calls of single days, for windows that begin or end within a day. Segments never change, so
what was read of one, as certain amendments leave it, stays right.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from collector.questions import buckets
from collector.questions.scope import call_rows
from collector.store.pieces import Piece, calls_of
from collector.store.rolled import Ends, meets
from collector.store.rollups import FEW, SUMS, local_times

MOST_ROWS = 400_000
"""Spans without sums whose calls are kept: 0.5 KB each. More are left unsummed only where questions have just begun, or
cannot be summed up."""
MOST_GONE_ROWS = 100_000
"""Of spans that no publication has any more (they were merged, or summed up), before the table is written anew."""
MOST_ROWS_OF_DAYS = 200_000
"""Calls of days that are kept. Fewer: the days that a page's windows cut push each other out."""
MOST_CUT_DAYS = 2
"""Days that a window may meet to be read from days that are kept."""

_SUMS = "_summed"


class Left(NamedTuple):
    """Relations of the calls of some pieces: rows as `call_rows` gives them, and their sums per local day, hour, and
    combination of the names that have few values, with what is summed of rows, and the first's `start_time`."""

    rows: str
    sums: str
    table: str
    """What both read."""


@dataclass(slots=True)
class _Table:
    """Calls of pieces, and beside them their sums; numbers are given in order and never again."""

    name: str
    numbers: dict[Piece, int] = field(default_factory=dict)
    last: int = 0

    @property
    def sums(self) -> str:
        return f"{self.name}{_SUMS}"


class KeptCalls:
    """In a database in memory, attached as `kept`. `left` is used by one thread, `cut` by any."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._connection: Any = None
        self._table: _Table | None = None
        self._tables: list[str] = []
        self._count = 0
        self._lock = threading.Lock()
        self._days: dict[tuple[int, frozenset[Piece]], tuple[str, int]] = {}
        self._running: set[int] = set()
        self._questions = 0
        self._unused: list[tuple[int, str]] = []

    def open(self, connection: Any) -> None:
        """Raises duckdb.Error."""
        self._connection = connection
        connection.execute("ATTACH ':memory:' AS kept")

    def left(self, some: Sequence[Piece], generation: str) -> Left | None:
        """The calls of some pieces of an attached publication, good for as long as `Left.table` is kept.

        None: there are too many. Raises duckdb.Error.
        """
        if sum(piece.rows for piece in some) > MOST_ROWS:
            self._table = None
            return None
        table = self._table or self._made(generation)
        gone = [piece for piece in table.numbers if piece not in set(some)]
        if sum(piece.rows for piece in gone) > MOST_GONE_ROWS:
            table = self._rewritten(table, gone)
        if missing := [piece for piece in some if piece not in table.numbers]:
            self._add(table, missing, generation)
        self._table = table
        where = _among(table, some)
        rows, sums = (f"(SELECT * EXCLUDE (piece) FROM {name} WHERE {where})" for name in (table.name, table.sums))
        return Left(rows, sums, table.name)

    def ends(self, relation: str) -> Ends | None:
        """Start of the first and of the last call of a relation. None: it has none."""
        said = f"SELECT min(first_ns), max(last_ns) FROM {relation}"
        first, last = self._connection.execute(said).fetchall()[0]
        return None if first is None else (first, last)

    def keep(self, tables: Collection[str | None]) -> None:
        """Drop all tables of `left` but these; also days that no question can know of any more."""
        for name in [name for name in self._tables if name not in tables]:
            self._tables.remove(name)
            self._connection.execute(f"DROP TABLE {name}")
            self._connection.execute(f"DROP TABLE {name}{_SUMS}")
        if self._table is not None and self._table.name not in self._tables:
            self._table = None
        with self._lock:
            oldest = min(self._running, default=self._questions + 1)
            unused = [name for question, name in self._unused if question < oldest]
            self._unused = [one for one in self._unused if one[0] >= oldest]
        for name in unused:
            self._connection.execute(f"DROP TABLE {name}")

    def question_begins(self) -> int:
        """A number to end it by: tables that it may know of are kept until then."""
        with self._lock:
            self._questions += 1
            self._running.add(self._questions)
            return self._questions

    def question_ends(self, number: int) -> None:
        with self._lock:
            self._running.discard(number)

    def cut(self, generation: str, summed: Mapping[Piece, Ends], since: datetime, until: datetime) -> str | None:
        """The calls of the days that a short window meets, as a relation of `call_rows`; `summed`: where they are.

        None: the window is too long, or has more calls than are kept.
        """
        first, last = (
            buckets.number(buckets.DAY, end, self._zone) for end in (since, until - timedelta(microseconds=1))
        )
        if last - first >= MOST_CUT_DAYS:
            return None
        tables = []
        for day in range(first, last + 1):
            begin, end = (buckets.start(buckets.DAY, number, self._zone) for number in (day, day + 1))
            some = {piece: ends for piece, ends in summed.items() if meets(ends, begin, end)}
            if some:
                table = None
                with self._lock, suppress(duckdb.Error):
                    table = self._day(generation, day, frozenset(some), begin, end)
                if table is None:
                    return None
                tables.append(table)
        if len(tables) == 1:
            return tables[0]
        return "(" + " UNION ALL ".join(f"SELECT * FROM {table}" for table in tables) + ")" if tables else None

    def _day(self, generation: str, day: int, some: frozenset[Piece], begin: datetime, end: datetime) -> str | None:
        """The table of a day. Under the lock."""
        found = self._days.pop((day, some), None)
        if found is None:
            found = self._read_day(generation, some, begin, end)
        self._days[(day, some)] = found
        while sum(rows for _, rows in self._days.values()) > MOST_ROWS_OF_DAYS:
            oldest = next(iter(self._days))
            self._unused.append((self._questions, self._days.pop(oldest)[0]))
        return found[0] or None

    def _read_day(self, generation: str, some: frozenset[Piece], begin: datetime, end: datetime) -> tuple[str, int]:
        """Name and rows of a new table; an empty name: there are too many."""
        since, until = (instant.astimezone(UTC).replace(tzinfo=None).isoformat() for instant in (begin, end))
        calls = calls_of(sorted(some, key=lambda piece: piece.file), generation)
        where = f"start_time >= CAST('{since}' AS TIMESTAMP_NS) AND start_time < CAST('{until}' AS TIMESTAMP_NS)"
        with self._connection.cursor() as cursor:
            rows = int(cursor.execute(f"SELECT count(*) FROM {calls} WHERE {where}").fetchall()[0][0])
            if rows > MOST_ROWS_OF_DAYS // 2:
                return "", 0
            name = self._name("day")
            cursor.execute(f"CREATE TABLE {name} AS SELECT * FROM {call_rows(calls)} WHERE {where}")
        return name, rows

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"kept.main.{kind}_{self._count}"

    def _made(self, generation: str) -> _Table:
        table = _Table(self._name("calls"))
        rows = call_rows(calls_of([], generation, amendments=True))
        self._connection.execute(f"CREATE TABLE {table.name} AS SELECT 0 AS piece, * FROM {rows} LIMIT 0")
        self._connection.execute(f"CREATE TABLE {table.sums} AS {self._summed(table)} LIMIT 0")
        self._tables.append(table.name)
        return table

    def _add(self, table: _Table, some: Sequence[Piece], generation: str) -> None:
        """Read pieces, all segments at once: each statement is planned for longer than a small one is read."""
        first = table.last + 1
        numbers = {piece: first + place for place, piece in enumerate(some)}
        table.last += len(some)  # whatever fails: nobody reads those rows then
        segments = [piece for piece in some if piece.file]
        if segments:
            *earlier, last = sorted(segments, key=_last_seq)
            cases = "".join(f"WHEN seq <= {piece.last_seq} THEN {numbers[piece]} " for piece in earlier)
            number = f"CASE {cases}ELSE {numbers[last]} END" if cases else str(numbers[last])
            self._insert(table, number, calls_of(segments, generation))
        for piece in some:
            if not piece.file:
                self._insert(table, str(numbers[piece]), calls_of([], generation, amendments=True))
        self._connection.execute(f"INSERT INTO {table.sums} {self._summed(table, first)}")
        table.numbers |= numbers

    def _insert(self, table: _Table, number: str, calls: str) -> None:
        self._connection.execute(f"INSERT INTO {table.name} SELECT {number}, * FROM {call_rows(calls)}")

    def _summed(self, table: _Table, first: int = 0) -> str:
        """The sums of pieces from a number on, as a statement."""
        names = ", ".join(f'calls."{name}"' for name in ("org_id", *FEW))
        calls = f"(SELECT * FROM {table.name} WHERE piece >= {first})"
        times = local_times(self._connection, calls, self._zone)
        columns = ", ".join(["calls.piece", *times.values(), "min(start_time) AS start_time", names, SUMS])
        units = ", ".join(times)
        grouped = f"SELECT {columns} FROM {calls} AS calls GROUP BY calls.piece, {units}, {names}"
        return f"SELECT * EXCLUDE ({units}) FROM ({grouped})"

    def _rewritten(self, table: _Table, gone: Sequence[Piece]) -> _Table:
        """The same without some pieces."""
        left = {piece: number for piece, number in table.numbers.items() if piece not in set(gone)}
        new = _Table(self._name("calls"), left, table.last)
        for made, old in ((new.name, table.name), (new.sums, table.sums)):
            self._connection.execute(f"CREATE TABLE {made} AS SELECT * FROM {old} WHERE {_among(table, list(left))}")
        self._tables.append(new.name)
        return new


def _among(table: _Table, some: Sequence[Piece]) -> str:
    """A condition for the rows of some pieces, mostly the newest."""
    wanted = {table.numbers[piece] for piece in some}
    if not wanted:
        return "FALSE"
    first, last = min(wanted), max(wanted)
    others = sorted(number for number in table.numbers.values() if first < number < last and number not in wanted)
    rest = f" AND piece NOT IN ({', '.join(map(str, others))})" if others else ""
    return f"piece >= {first} AND piece <= {last}{rest}"


def _last_seq(piece: Piece) -> int:
    return piece.last_seq
