"""A request that kills the process itself would do so at every start: what is replayed now is noted before it is tried.

A start that finds such a note knows that the one before died there. After a few, the range is replayed in ever smaller
pieces, until a single request is left; then that one is put aside.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from collector.journal.record import Record

DEATHS = 3
"""Starts that may die in one range: the first ones may have been killed from outside. Higher: more downtime."""

HOPELESS = DEATHS + 2
"""Deaths after which a single record is put aside: it was alone in the last two."""

_PIECES = 256
"""Into how many a range is cut then. Lower: more starts until one record is left. Higher: each piece is a commit."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Records `first` to `last`, and how many starts have died in applying them."""

    first: int
    last: int
    deaths: int

    def concerns(self, records: Sequence[Record]) -> bool:
        """Whether one of these records, which follow each other, is in the range."""
        return records[0].number <= self.last and records[-1].number >= self.first


class Attempts:
    """The note, a small file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> Attempt | None:
        """Where the run before died, that death counted; None when it did not die in a replay."""
        try:
            found = json.loads(self._path.read_bytes())
            return Attempt(int(found["first"]), int(found["last"]), int(found["deaths"]) + 1)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, attempt: Attempt) -> None:
        """Note what is tried next; on disk when this returns. On a disk that refuses, nothing is counted."""
        draft = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(OSError):
            with draft.open("w") as file:
                json.dump(asdict(attempt), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)

    def end(self) -> None:
        """The replay is over, or was stopped in order."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def pieces(records: list[Record], died: Attempt | None) -> Iterator[tuple[list[Record], Attempt]]:
    """`records` as a whole, or, if too many starts died in some of them, those in pieces."""
    if died is None or not died.concerns(records):
        yield records, _attempt(records, 0)
    elif died.deaths < DEATHS:
        yield records, _attempt(records, died.deaths)
    else:
        before = [record for record in records if record.number < died.first]
        inside = [record for record in records if died.first <= record.number <= died.last]
        after = records[len(before) + len(inside) :]
        if before:
            yield before, _attempt(before, 0)
        step = -(-len(inside) // _PIECES)
        for at in range(0, len(inside), step):
            part = inside[at : at + step]
            # A piece of several that kills once is cut at once; a single record is counted on.
            deaths = DEATHS - 1 if len(part) > 1 else max(DEATHS, died.deaths if len(inside) == 1 else 0)
            yield part, _attempt(part, deaths)
        if after:
            yield after, _attempt(after, 0)


def _attempt(records: Sequence[Record], deaths: int) -> Attempt:
    return Attempt(records[0].number, records[-1].number, deaths)
