"""New segments in the place of old ones: one transaction of the writer, after the new files are complete on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from collector.store.folding import Read, Seqs, delete_folded
from collector.store.manifest import Segment, path_of, replace
from collector.store.statements import registered

T = TypeVar("T")

Write = Callable[[Callable[[Any], None]], None]
"""Runs something on the writer's connection and waits."""

Replaced = Callable[[Sequence[Segment], Sequence[Segment]], None]
"""Told in the writer thread, after the commit, which segments went and which stand in their place."""

NO_SEQS = np.empty(0, dtype=np.int64)
NONE_FOLDED = pa.table({"seq": pa.array([], pa.int64()), "revision": pa.array([], pa.int64())})


class Outdated(RuntimeError):
    """The segments to be replaced are not part of the ledger any more; nothing was changed."""


def swap(
    read: Read,
    write: Write,
    folder: Path,
    replaced: Replaced,
    old: Sequence[Segment],
    new: Sequence[Segment],
    *,
    folded: pa.Table = NONE_FOLDED,
    expired: Seqs = NO_SEQS,
    expiry: Sequence[Sequence[object]] = (),
    also: Callable[[Any], None] = lambda _: None,
) -> None:
    """Replace `old` by `new`.

    Args:
        folded: (seq, revision) of amendments that the new files contain.
        expired: seq of the rows that are in no new file.
        expiry: rows of `_ledger.expiry` that say so.
        also: what else belongs to the same transaction.

    Raises whatever the writer raises; the new files are removed then, unless they may be part of the ledger.
    """

    def work(connection: Any) -> None:
        connection.begin()
        try:
            _replace(connection, old, new)
            delete_folded(connection, folded)
            _expire(connection, expired, expiry)
            also(connection)
            connection.commit()
        except BaseException:
            rollback(connection)
            raise
        replaced(old, new)

    try:
        write(work)
    except BaseException:
        _remove_unnamed(read, folder, new)
        raise


def _replace(connection: Any, old: Sequence[Segment], new: Sequence[Segment]) -> None:
    names = [segment.file for segment in old]
    found = connection.execute(
        "SELECT count(*) FROM _ledger.segment WHERE retired_at IS NULL AND list_contains(?::VARCHAR[], file)", [names]
    ).fetchall()
    if found != [(len(names),)]:
        raise Outdated(f"of {len(names)} segments to be replaced, {found[0][0]} are part of the ledger")
    replace(connection, old, new)


def _expire(connection: Any, expired: Seqs, expiry: Sequence[Sequence[object]]) -> None:
    if len(expired):
        with registered(connection, expired_row=pa.table({"seq": expired})):
            connection.execute(
                "DELETE FROM _ledger.amendment USING expired_row WHERE amendment.seq = expired_row.seq "
                "AND amendment.seq BETWEEN ? AND ?",
                [int(expired.min()), int(expired.max())],
            )
    for row in expiry:
        connection.execute("INSERT INTO _ledger.expiry VALUES (?, ?, ?, ?, ?)", list(row))


def _remove_unnamed(read: Read, folder: Path, new: Sequence[Segment]) -> None:
    """A commit that reports an error may have happened: only what the manifest surely does not name is removed."""
    names = [segment.file for segment in new]
    sql = "SELECT file FROM _ledger.segment WHERE list_contains(?::VARCHAR[], file)"
    try:
        named = {row[0] for row in read(lambda reader: reader.rows(sql, [names]))}
    except Exception:  # the next start removes what nobody names
        return
    for name in names:
        if name not in named:
            path_of(folder, name).unlink(missing_ok=True)


def rollback(connection: Any) -> None:
    """End a transaction that failed."""
    try:
        connection.rollback()
    except Exception:  # the instance may be dead already; the error that matters is on its way up
        return


def in_transaction(connection: Any, work: Callable[[Any], T]) -> T:
    """Run `work` in a transaction of its own. Raises whatever it raises; nothing was changed then."""
    connection.begin()
    try:
        result = work(connection)
        connection.commit()
    except BaseException:
        rollback(connection)
        raise
    return result
