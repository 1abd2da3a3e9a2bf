"""What is said about an event: a sentence for people, JSON for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

from collector.budgets.counting import dimensions_of
from collector.budgets.model import Event, EventKind, Rule, Unit
from collector.budgets.tickets import Ticket
from collector.budgets.windows import window_at
from otel_cost.pricing.money import format_usd

MAX_VALUE_CHARACTERS = 200
"""Of a name in a sentence. A customer's name is what an app sends: it may be a page, or try to look like one."""


class Notice(NamedTuple):
    """An event, and what is known beside it."""

    event: Event
    rule: Rule | None = None  # None: it is gone
    ticket: Ticket | None = None

    @property
    def key(self) -> str:
        """The same for the same event, for ever; 32 hex digits, which fit into any header."""
        return delivery_key(self.event.event_id)


def delivery_key(*parts: str) -> str:
    """32 hex digits that stand for some texts."""
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def amount(value: int, unit: Unit) -> str:
    """`4.2 USD`, `2000000 tokens`."""
    return f"{format_usd(value) if unit is Unit.USD else value} {unit.value}"


def json_amount(value: int, unit: Unit) -> str | int:
    """Money as an exact decimal string of dollars, tokens and calls as numbers."""
    return format_usd(value) if unit is Unit.USD else value


def iso(at_ns: int | None) -> str | None:
    """Seconds in UTC; None for None, and for windows that never began."""
    return None if not at_ns else datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(text: str) -> str:
    """One line that cannot act: no control characters, nothing that turns the direction of writing, not too long."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= MAX_VALUE_CHARACTERS else shown[: MAX_VALUE_CHARACTERS - 1] + "…"


def scope_of(rule: Rule | None, scope_value: str) -> Mapping[str, str]:
    """The values that a counter is for, by dimension."""
    names = ("scope",) if rule is None else dimensions_of(rule)
    found = [scope_value] if len(names) == 1 else _list(scope_value)
    return dict(zip(names, found, strict=True)) if len(found) == len(names) else {"scope": scope_value}


def subject(notice: Notice) -> str:
    """What happened, in a line."""
    event = notice.event
    name = f"Budget {plain(event.key.rule)}, {_who(notice)}"
    percent = f"{(Decimal(event.threshold_ppm) / 10_000).normalize():f}"
    said = {
        EventKind.WARN: f"{percent}% of {amount(event.limit, event.unit)} is used",
        EventKind.EXCEED: f"the limit of {amount(event.limit, event.unit)} is used up",
        EventKind.APPROVAL_REQUESTED: f"more than {amount(event.limit, event.unit)} is asked for",
        EventKind.APPROVED: f"raised to {amount(event.limit, event.unit)}",
        EventKind.DENIED: f"a raise above {amount(event.limit, event.unit)} is denied",
        EventKind.RULE_CHANGED: "the rule has changed",
    }
    return f"{name}: {said[event.kind]}"


def text(notice: Notice) -> str:
    """A sentence or two for people."""
    event, ticket = notice.event, notice.ticket
    parts = [f"{subject(notice)}.", f"Spent: {amount(event.spent, event.unit)}."]
    if event.key.window_start_ns:
        parts.append(f"Since: {iso(event.key.window_start_ns)}.")
    if resets := iso(_resets_at_ns(notice)):
        parts.append(f"Starts anew: {resets}.")
    if ticket is not None:
        parts.append(f"Ticket: {ticket.ticket}, asked by {plain(ticket.asked_by)}.")
        if ticket.decided_by is not None:
            note = f" ({plain(ticket.note)})" if ticket.note else ""
            parts.append(f"Decided by {plain(ticket.decided_by)}{note}.")
        if ticket.raise_ends_at_ns is not None:
            parts.append(f"Until: {iso(ticket.raise_ends_at_ns)}.")
    elif event.detail:
        parts.append(plain(event.detail))
    return " ".join(parts)


def body(notice: Notice) -> dict[str, object]:
    """The JSON of a webhook."""
    event, ticket = notice.event, notice.ticket
    said: dict[str, object] = {
        "id": notice.key,
        "kind": event.kind.value,
        "organization": event.key.org_id,
        "rule": event.key.rule,
        "scope": scope_of(notice.rule, event.key.scope_value),
        "scope_value": event.key.scope_value,
        "threshold_percent": float(Decimal(event.threshold_ppm) / 10_000),
        "unit": event.unit.value,
        "spent": json_amount(event.spent, event.unit),
        "limit": json_amount(event.limit, event.unit),
        "window_start": iso(event.key.window_start_ns),
        "resets_at": iso(_resets_at_ns(notice)),
        "happened_at": iso(event.happened_at_ns),
        "detail": event.detail,
        "text": text(notice),
    }
    if ticket is not None:
        said["ticket"] = ticket_body(ticket)
    return said


def ticket_body(ticket: Ticket) -> dict[str, object]:
    """A ticket as JSON."""
    unit, raised = ticket.unit, ticket.raise_amount
    return {
        "ticket": ticket.ticket,
        "state": ticket.state.value,
        "organization": ticket.key.org_id,
        "rule": ticket.key.rule,
        "scope_value": ticket.key.scope_value,
        "window_start": iso(ticket.key.window_start_ns),
        "unit": unit.value,
        "limit": json_amount(ticket.limit, unit),
        "spent": json_amount(ticket.spent, unit),
        "asked_at": iso(ticket.asked_at_ns),
        "asked_by": ticket.asked_by,
        "ends_at": iso(ticket.ends_at_ns),
        "decided_at": iso(ticket.decided_at_ns),
        "decided_by": ticket.decided_by,
        "note": ticket.note,
        "raise": None if raised is None else json_amount(raised, unit),
        "raise_ends_at": iso(ticket.raise_ends_at_ns),
    }


def _who(notice: Notice) -> str:
    scope = scope_of(notice.rule, notice.event.key.scope_value)
    return ", ".join(f"{name} {plain(value)}" for name, value in scope.items())


def _resets_at_ns(notice: Notice) -> int | None:
    rule = notice.rule
    if rule is None or rule.window.rolling_ns or not notice.event.key.window_start_ns:
        return None
    return window_at(rule.window, notice.event.key.window_start_ns).end_ns


def _list(scope_value: str) -> Sequence[str]:
    try:
        found = json.loads(scope_value)
    except ValueError:
        return [scope_value]
    return [str(item) for item in found] if isinstance(found, list) else [scope_value]
