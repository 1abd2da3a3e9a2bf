"""Calls without a price, or with one for a part only, by reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from collector.questions.runs import instant
from collector.questions.scope import Scope, statement
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
    lines = Scope(ask, selection).rows("reasons", {"limit": limit}, suggested_override=statement("suggested_override"))
    calls, groups = (lines[0]["all_calls"], lines[0]["groups"]) if lines else (0, 0)
    return Unpriced(tuple(map(_reason, lines)), calls, groups)


def _reason(line: Mapping[str, Any]) -> Reason:
    said = {field.name: line[field.name] for field in fields(Reason) if field.name in line}
    return Reason(**said, first_call_at=instant(line["first_ns"]), last_call_at=instant(line["last_ns"]))
