"""Calls without a price, or with one for a part only, by reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from collector.questions.selection import Ask, Selection


@dataclass(frozen=True, slots=True)
class Reason:
    """As the view `unpriced` has it (docs/sql.md), for the calls of the selection."""

    provider: str | None
    model: str | None
    request_model: str | None
    response_model: str | None
    cost_status: str
    cost_reason: str | None
    calls: int
    input_tokens: int | None
    output_tokens: int | None
    suggested_override: str | None
    first_call_at: datetime
    last_call_at: datetime


@dataclass(frozen=True, slots=True)
class Unpriced:
    """`rows` are those with the most calls; `calls` and `groups` are of all."""

    rows: tuple[Reason, ...]
    calls: int
    groups: int


def unpriced(ask: Ask, selection: Selection, limit: int = 200) -> Unpriced:
    """Ask the ledger."""
    raise NotImplementedError
