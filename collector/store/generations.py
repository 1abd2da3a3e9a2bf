"""One publication after the other, as a process that stays open reads them: a question sees one of them, whole.

Each generation of the published file is attached under a name of its own, from a link to it that is removed at once, so
that the file may be replaced; it is detached when the last question on it has ended.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from collector.errors import StoreUnavailable
from collector.questions.scope import call_rows
from collector.store.kept_calls import KeptCalls
from collector.store.layout import Layout
from collector.store.pieces import Piece, calls_of, pieces
from collector.store.rolled import NOBODYS_ENDS, Rolled
from collector.store.rollups import UNSUMMED_ROWS, Rollups
from collector.store.statements import execute, literal

LOOK_SECONDS = 0.5
"""So often the published file is looked at: an answer is so much older than the publication at most."""

SUMMING_SECONDS = 5.0
"""Then a generation is made of what has been summed up so far, and a newer publication is looked for."""

BUSY_SECONDS = 60.0
"""So long after a question more are expected, and the newest calls are made ready for them."""

HOLD_SECONDS = 300.0
"""So long after its last question a hold keeps its generation. Files of spans stay for `segment_grace_seconds`."""
MOST_HELD = 8
"""Holds at once: each keeps a generation, and the calls that were copied into it."""

State = tuple[datetime, int]
"""When it was published (UTC), and the last seq in it."""


def _ignore(_: State) -> None:
    return


@dataclass(slots=True, eq=False)
class Generation:
    """One publication, attached as `name`, and what is summed up of it."""

    name: str
    identity: tuple[int, ...]
    published_at: datetime
    last_seq: int
    pieces: list[Piece]
    rolled: Rolled
    table: str | None
    """Of `KeptCalls`, if `rolled` reads one."""
    users: int = 0


@dataclass(slots=True)
class _Hold:
    generation: Generation
    ends_seconds: float


class Cursor:
    """An `Ask` on one generation. None of what it reads ever changes, so that statements need no common transaction."""

    def __init__(self, connection: Any, generation: Generation) -> None:
        self._connection = connection
        self.published_at, self.last_seq = generation.published_at, generation.last_seq
        self.rolled: Rolled | None = generation.rolled
        self._interrupted = False

    def __call__(self, statement: str, parameters: Mapping[str, object]) -> pa.Table:
        if self._interrupted:
            raise duckdb.InterruptException("interrupted")
        return execute(self._connection, statement, parameters)

    def interrupt(self) -> None:
        """End the statement under way, and all that would follow."""
        self._interrupted = True
        self._connection.interrupt()


class Generations:
    """Follows the published file, and sums its segments up. `told` hears of each new publication.

    `follow` does that for ever, `step` once; questions may come from any thread meanwhile.
    """

    def __init__(
        self,
        published: Path,
        zone: ZoneInfo,
        told: Callable[[State], None] = _ignore,
        *,
        memory_limit_mib: int = 768,
        unsummed_rows: int = UNSUMMED_ROWS,
    ) -> None:
        self._published = published
        self._memory_limit_mib = memory_limit_mib
        self._told = told
        self._rollups = Rollups(Layout.of(published).rollups, zone, unsummed_rows)
        self._kept = KeptCalls(zone)
        self._attaching = threading.Lock()
        """Held while a publication is made ready, which takes a moment; questions go on meanwhile."""
        self._lock = threading.Lock()
        self._current: Generation | None = None
        self._attached: dict[str, Generation] = {}
        self._holds: dict[int, _Hold] = {}
        self._busy_until_seconds = 0.0
        self._count = 0
        self._connection: Any = None

    def open(self) -> None:
        """Raises duckdb.Error."""
        config = {"threads": 2, "memory_limit": f"{self._memory_limit_mib}MiB", "temp_directory": ""}
        self._connection = duckdb.connect(config=config)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET parquet_metadata_cache = true")
        self._connection.execute("SET preserve_insertion_order = false")
        self._rollups.open(self._connection)
        self._kept.open(self._connection)

    def close(self) -> None:
        """No question may be under way."""
        self._connection.close()

    def follow(self) -> None:
        """Look for publications for ever. What goes wrong is tried again; questions read calls meanwhile."""
        pause = threading.Event()
        while True:
            with suppress(duckdb.Error, OSError):
                self.step()
            pause.wait(LOOK_SECONDS)

    def step(self) -> None:
        """Attach a new publication, if there is one, and sum up what it lacks, some seconds long."""
        with self._lock:
            for hold in [key for key, each in self._holds.items() if each.ends_seconds < time.monotonic()]:
                self._drop(hold)
        with self._attaching:
            self._look()
            self._tidy()
        self._sum_up()

    @contextmanager
    def current(self, hold: int | None = None) -> Iterator[Cursor]:
        """An `Ask` on the newest generation, or on the one of the first question of a hold.

        Raises StoreUnavailable, duckdb.Error.
        """
        if self._current is None:
            with self._attaching:
                self._look()
        with self._lock:
            generation = self._current if hold is None else self._held(hold)
            if generation is None:
                raise StoreUnavailable("the ledger has not been published yet")
            generation.users += 1
            self._busy_until_seconds = time.monotonic() + BUSY_SECONDS
            number = self._kept.question_begins()
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"USE {generation.name}")
            yield Cursor(cursor, generation)
        finally:
            cursor.close()
            self._kept.question_ends(number)
            with self._lock:
                generation.users -= 1
                self._detach(generation)

    def let_go(self, hold: int) -> None:
        """The generation of a hold is not needed for it any more."""
        with self._lock:
            self._drop(hold)

    def _held(self, hold: int) -> Generation | None:
        """The generation of a hold, which begins with the newest. Under the lock. Raises StoreUnavailable."""
        held = self._holds.get(hold)
        if held is None:
            if self._current is None:
                return None
            if len(self._holds) >= MOST_HELD:
                raise StoreUnavailable("too many files are read at once; ask again in a moment")
            held = self._holds[hold] = _Hold(self._current, 0.0)
            held.generation.users += 1
        held.ends_seconds = time.monotonic() + HOLD_SECONDS
        return held.generation

    def _drop(self, hold: int) -> None:
        """Under the lock."""
        held = self._holds.pop(hold, None)
        if held is not None:
            held.generation.users -= 1
            self._detach(held.generation)

    def _sum_up(self) -> None:
        """What the current generation lacks; it is attached once more with the new sums, now and then."""
        generation, began_seconds = self._current, time.monotonic()
        if generation is None:
            return
        summed = 0
        while (piece := self._rollups.next(generation.pieces)) is not None:
            self._rollups.sum_up(generation.name, piece)
            summed += 1
            if time.monotonic() - began_seconds > SUMMING_SECONDS:
                break
        if summed:
            with self._attaching:
                self._replace(generation.identity)
        with self._lock:
            if len(self._attached) == 1 and self._current is not None:
                self._rollups.forget(self._current.pieces)

    def _look(self) -> None:
        """Attach the published file if it is another one. While attaching."""
        found = self._published.stat()
        identity = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._current is None or self._current.identity != identity:
            self._replace(identity)

    def _replace(self, identity: tuple[int, ...]) -> None:
        """While attaching."""
        made = self._attach(identity)
        with self._lock:
            old, self._current = self._current, made
            self._attached[made.name] = made
            if old is not None:
                self._detach(old)
        if old is None or old.published_at != made.published_at:
            self._told((made.published_at, made.last_seq))

    def _attach(self, identity: tuple[int, ...]) -> Generation:
        self._count += 1
        name = f"generation_{self._count}"
        link = self._published.with_name(f".{self._published.name}.{os.getpid()}.{self._count}")
        os.link(self._published, link)
        try:
            self._connection.execute(f"ATTACH {literal(link)} AS {name} (READ_ONLY)")
        finally:
            link.unlink()
        try:
            said = f"SELECT published_at, last_seq FROM {name}.publication"
            published_at, last_seq = self._connection.execute(said).fetchall()[0]
            found, amendments = pieces(self._connection, name)
            rolled, table = self._rolled(name, found, amendments)
        except BaseException:
            self._let_detach(name)
            raise
        return Generation(name, identity, published_at.replace(tzinfo=UTC), last_seq, found, rolled, table)

    def _rolled(self, name: str, found: list[Piece], amendments: Piece | None) -> tuple[Rolled, str | None]:
        """What helps to answer, and the table that it reads."""
        parts, ends = self._rollups.parts(found), self._rollups.ends()
        left = [piece for piece in found if piece not in parts]
        kept = None
        if time.monotonic() < self._busy_until_seconds:
            with suppress(duckdb.Error):  # there is no memory for them
                kept = self._kept.left([*left, *([] if amendments is None else [amendments])], name)
        rows = call_rows(calls_of(left, name, amendments=True)) if kept is None else kept.rows
        rolled = Rolled(
            self._rollups.zone,
            name,
            {piece: ends[part] for piece, part in parts.items() if part in ends},
            tuple(parts.values()),
            rows,
            kept and kept.sums,
            None if kept is None else self._kept.ends(kept.rows) or NOBODYS_ENDS,
            self._kept.cut,
        )
        return rolled, kept and kept.table

    def _tidy(self) -> None:
        """Forget calls that no generation reads. While attaching."""
        with self._lock:
            self._kept.keep({generation.table for generation in self._attached.values()})

    def _detach(self, generation: Generation) -> None:
        """If nobody reads it any more, and nobody will. Under the lock."""
        if generation.users == 0 and generation is not self._current and generation.name in self._attached:
            self._let_detach(generation.name)
            del self._attached[generation.name]

    def _let_detach(self, name: str) -> None:
        with suppress(duckdb.Error), self._connection.cursor() as cursor:  # another thread may be attaching
            cursor.execute(f"DETACH {name}")
