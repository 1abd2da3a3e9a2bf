"""One publication after the other, as a process that stays open reads them: a question sees one of them, whole.

Each generation of the published file is attached under a name of its own, from a link to it that is removed at once, so
that the file may be replaced; it is detached when the last question on it has ended.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from collector.errors import StoreUnavailable

LOOK_SECONDS = 0.5
"""So often the published file is looked at: an answer is so much older than the publication at most."""

State = tuple[datetime, int]
"""When it was published (UTC), and the last seq in it."""


@dataclass(slots=True)
class Generation:
    """One publication, attached as `name`."""

    name: str
    published_at: datetime
    last_seq: int
    users: int = 0
    identity: tuple[int, ...] = field(default=())


class Cursor:
    """An `Ask` on one generation, in one transaction."""

    def __init__(self, connection: Any, generation: Generation) -> None:
        self._connection = connection
        self.published_at, self.last_seq = generation.published_at, generation.last_seq
        self._interrupted = False

    def __call__(self, statement: str, parameters: Mapping[str, object]) -> pa.Table:
        if self._interrupted:
            raise duckdb.InterruptException("interrupted")
        return self._connection.sql(statement, params=dict(parameters)).to_arrow_table()

    def interrupt(self) -> None:
        """End the statement under way, and all that would follow."""
        self._interrupted = True
        self._connection.interrupt()


class Generations:
    """Follows the published file in a thread. `told` hears of each new generation."""

    def __init__(self, published: Path, memory_limit_mib: int, told: Callable[[State], None]) -> None:
        self._published = published
        self._memory_limit_mib = memory_limit_mib
        self._told = told
        self._lock = threading.Lock()
        self._current: Generation | None = None
        self._count = 0
        self._connection: Any = None

    def start(self) -> None:
        self._connection = duckdb.connect(config={"threads": 2, "memory_limit": f"{self._memory_limit_mib}MiB"})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET temp_directory = ''")
        threading.Thread(target=self._follow, name="generations", daemon=True).start()

    @contextmanager
    def current(self) -> Iterator[Cursor]:
        """An `Ask` on the newest generation. Raises StoreUnavailable, duckdb.Error."""
        with self._lock:
            if self._current is None:
                self._look()
            generation = self._current
            if generation is None:
                raise StoreUnavailable("the ledger has not been published yet")
            generation.users += 1
        cursor = self._connection.cursor()
        try:
            cursor.execute(f"USE {generation.name}")
            cursor.begin()
            yield Cursor(cursor, generation)
        finally:
            with suppress(duckdb.Error):
                cursor.rollback()
            cursor.close()
            with self._lock:
                generation.users -= 1
                self._detach(generation)

    def _follow(self) -> None:
        pause = threading.Event()
        while True:
            with suppress(duckdb.Error, OSError), self._lock:
                self._look()
            pause.wait(LOOK_SECONDS)

    def _look(self) -> None:
        """Attach the published file if it is another one. Under the lock."""
        found = self._published.stat()
        identity = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._current is not None and self._current.identity == identity:
            return
        old, self._current = self._current, self._attach(identity)
        if old is not None:
            self._detach(old)
        self._told((self._current.published_at, self._current.last_seq))

    def _attach(self, identity: tuple[int, ...]) -> Generation:
        self._count += 1
        name = f"generation_{self._count}"
        link = self._published.with_name(f".{self._published.name}.{os.getpid()}.{self._count}")
        os.link(self._published, link)
        try:
            self._connection.execute(f"ATTACH '{_quoted(link)}' AS {name} (READ_ONLY)")
        finally:
            link.unlink()
        said = f"SELECT published_at, last_seq FROM {name}.publication"
        published_at, last_seq = self._connection.execute(said).fetchall()[0]
        return Generation(name, published_at.replace(tzinfo=UTC), last_seq, identity=identity)

    def _detach(self, generation: Generation) -> None:
        """If nobody reads it any more, and nobody will. Under the lock."""
        if generation.users == 0 and generation is not self._current:
            with suppress(duckdb.Error):
                self._connection.execute(f"DETACH {generation.name}")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
