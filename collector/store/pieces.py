"""The segments of a publication, each as the amendments leave it, and the calls in some of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collector.store import views
from collector.store.amendment_versions import Versions

_SEQS = re.compile(r"(\d+)-(\d+)-[0-9a-f]+\.parquet")


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment as the amendments of one publication leave it."""

    file: str
    rows: int  # about
    amended: str  # digest of the amendments that speak of it; empty: none does
    last_seq: int = 0  # no two segments of a publication have a seq in common


def pieces(connection: Any, generation: str) -> tuple[list[Piece], Piece | None]:
    """The segments of an attached publication, and its amendments, as a piece without a file; None: there are none."""
    amended = Versions.of(connection.sql(f"SELECT seq, revision FROM {generation}._ledger.amendment").to_arrow_table())
    found = []
    for (file,) in connection.execute(f"SELECT file FROM {generation}._ledger.segment_file").fetchall():
        seqs = _SEQS.fullmatch(Path(file).name)
        if seqs:
            first, last = map(int, seqs.groups())
            at = slice(*np.searchsorted(amended.seqs, [first, last + 1]).tolist())
            found.append(Piece(file, last + 1 - first, _digest(amended, at), last))
    count = len(amended.seqs)
    return found, Piece("", count, _digest(amended, slice(0, count))) if count else None


def _digest(amended: Versions, at: slice) -> str:
    if at.start == at.stop:
        return ""
    said = amended.seqs[at].tobytes() + amended.revisions[at].tobytes()
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def calls_of(some: Sequence[Piece], generation: str, *, amendments: bool = False) -> str:
    """The calls of some segments of an attached publication, as a relation; with those that it amends, if wanted.

    There has to be a segment, or `amendments`.
    """
    clean, amended = ([Path(piece.file) for piece in some if bool(piece.amended) is is_so] for is_so in (False, True))
    return views.calls_of(clean, amended, f"{generation}._ledger", amendments=amendments)
