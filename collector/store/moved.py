"""Telling somebody, after a commit, which calls count from now on, and which do not count any more as they did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa

from collector.store.attribution import Judged


class Moved(NamedTuple):
    """Rows of calls, with those that are not counted."""

    rows: pa.Table  # the listener's columns, `counted` among them
    sign: int  # 1: they count from now on, -1: they do not count so any more
    are_new: bool  # their spans have come with this commit


class Listener(NamedTuple):
    """`moved` is called in the writer's thread, after the commit, with the ledger's last span. It must be quick and
    must not raise."""

    columns: Sequence[str]
    moved: Callable[[int, Sequence[Moved]], None]


def tell(listener: Listener | None, judged: Judged, last_seq: int) -> None:
    """Hand over references to columns; nothing is read here."""
    if listener is None:
        return
    names = list(listener.columns)
    moves: list[Moved] = []
    if judged.rows.num_rows and judged.rows.column("counted").null_count < judged.rows.num_rows:
        moves.append(Moved(judged.rows.select(names), 1, True))
    if judged.amendments is not None and judged.before is not None:
        moves.append(Moved(judged.amendments.select(names), 1, False))
        moves.append(Moved(_as_they_were(judged.amendments, judged.before, names), -1, False))
    listener.moved(last_seq, moves)


def _as_they_were(now: pa.Table, before: pa.Table, names: Sequence[str]) -> pa.Table:
    """`now` with what `before` says of the same calls."""
    known = set(before.column_names)
    return pa.table([before.column(name) if name in known else now.column(name) for name in names], names=list(names))
