"""The chosen calls themselves, some at a time, for files that other programs read."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pyarrow as pa

from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection

Form = Literal["calls", "focus"]
SEQS_AT_ONCE = 50_000
"""Of the ledger's numbering, in one table. More: the memory of each table. Fewer: each one is a query."""


class Extent(NamedTuple):
    """Numbers of the first and last chosen call; None: there are none."""

    first_seq: int | None
    last_seq: int | None


def extent(ask: Ask, selection: Selection) -> Extent:
    """Between which numbers the chosen calls are."""
    return Extent(**Scope(ask, selection).rows("export_extent")[0])


def exported(ask: Ask, selection: Selection, form: Form, first_seq: int, last_seq: int) -> pa.Table:
    """The chosen calls with numbers from one to another, both included, in their order; no rows where there are none.

    `calls`: columns of the view `calls`. `focus`: those of FOCUS 1.2 (docs/focus.md).
    """
    given: dict[str, object] = {"first_seq": first_seq, "last_seq": last_seq}
    return Scope(ask, selection).table(f"export_{form}", given)
