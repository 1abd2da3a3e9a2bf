"""Requests to raise a limit: what they are, and their rows in `_ledger.budget_approval`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any

from collector.budgets.model import CounterKey, Unit
from collector.budgets.statements import statement

_TICKET_DIGITS = 16


class TicketState(StrEnum):
    """What became of a request."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"  # nobody decided in time


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request. Amounts are in the rule's unit."""

    ticket: str
    key: CounterKey  # `window_start_ns` is 0 of rolling windows
    unit: Unit
    limit: int  # when it was asked
    spent: int  # when it was asked
    asked_at_ns: int
    asked_by: str
    ends_at_ns: int  # an open ticket expires then; a denial stands no longer
    state: TicketState = TicketState.OPEN
    decided_at_ns: int | None = None
    decided_by: str | None = None
    note: str | None = None
    raise_amount: int | None = None
    raise_ends_at_ns: int | None = None

    def is_in_force(self, now_ns: int) -> bool:
        """Whether it raises the limit now."""
        return self.raise_ends_at_ns is not None and now_ns < self.raise_ends_at_ns


def ticket_id(key: CounterKey, limit: int, number: int) -> str:
    """The same for the same request: one that a crash forgot gets its old name when it is made again."""
    named = "\n".join((*(repr(part) for part in key), str(limit), str(number)))
    return sha256(named.encode()).hexdigest()[:_TICKET_DIGITS]


def insert_tickets(connection: Any, tickets: Iterable[Ticket]) -> None:
    """Add new ones, inside the transaction that is under way."""
    for ticket in tickets:
        connection.execute(statement("insert_ticket"), _row(ticket))


def update_tickets(connection: Any, tickets: Iterable[Ticket]) -> None:
    """Write what became of them, inside the transaction that is under way."""
    for ticket in tickets:
        connection.execute(statement("forget_ticket"), [ticket.ticket])
        insert_tickets(connection, [ticket])


def tickets_of(rows: Sequence[tuple[Any, ...]]) -> list[Ticket]:
    """Rows of `SELECT * FROM _ledger.budget_approval`."""
    return [
        Ticket(
            ticket=row[0],
            key=CounterKey(*row[1:5]),
            unit=Unit(row[5]),
            limit=int(row[6]),
            spent=int(row[7]),
            asked_at_ns=row[8],
            asked_by=row[9],
            ends_at_ns=row[10],
            state=TicketState(row[11]),
            decided_at_ns=row[12],
            decided_by=row[13],
            note=row[14],
            raise_amount=None if row[15] is None else int(row[15]),
            raise_ends_at_ns=row[16],
        )
        for row in rows
    ]


def _row(ticket: Ticket) -> list[object]:
    raised = None if ticket.raise_amount is None else Decimal(ticket.raise_amount)
    return [
        ticket.ticket,
        *ticket.key,
        ticket.unit.value,
        Decimal(ticket.limit),
        Decimal(ticket.spent),
        ticket.asked_at_ns,
        ticket.asked_by,
        ticket.ends_at_ns,
        ticket.state.value,
        ticket.decided_at_ns,
        ticket.decided_by,
        ticket.note,
        raised,
        ticket.raise_ends_at_ns,
    ]
