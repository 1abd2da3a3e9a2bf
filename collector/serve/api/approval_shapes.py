"""Types of the answers about approvals and messages of budgets, for the description of the API."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from collector.serve.api.budget_shapes import MAX_LISTED, Amount, UnitName
from collector.serve.api.parameters import choice, whole
from collector.serve.api.shapes import Says

TicketShown = TypedDict(
    "TicketShown",
    {
        "ticket": str,
        "state": Literal["open", "approved", "denied", "expired"],
        "organization": str,
        "rule": str,
        "scope_value": str,
        "window_start": str | None,
        "unit": UnitName,
        "limit": Amount,
        "spent": Amount,
        "asked_at": str | None,
        "asked_by": str | None,
        "ends_at": str | None,
        "decided_at": str | None,
        "decided_by": str | None,
        "note": str | None,
        "raise": Amount | None,
        "raise_ends_at": str | None,
        "scope": dict[str, str],
        "raise_at_most": Amount | None,
    },
)


class Tickets(TypedDict):
    """Requests to raise a limit."""

    approvals: list[TicketShown]


class DecidedTicket(TypedDict):
    """A request that somebody has decided on."""

    approval: TicketShown


Approval = TypedDict(
    "Approval",
    {
        "raise": Annotated[Amount, Says(description="by how much: dollars as a decimal string, others as a number")],
        "expires_in": NotRequired[str | None],
        "by": NotRequired[str | None],
        "note": NotRequired[str | None],
    },
)


class Denial(TypedDict):
    """Who refuses, and why."""

    by: NotRequired[str | None]
    note: NotRequired[str | None]


class DeliveredEvent(TypedDict):
    """What a message is about."""

    id: str
    kind: str
    organization: str
    rule: str
    scope_value: str
    happened_at: str | None


DeliveryWord = Literal["pending", "delivered", "dead"]


class DeliveryShown(TypedDict):
    """One message to one channel."""

    id: str
    channel: str
    state: DeliveryWord
    attempts: int
    created_at: str | None
    tried_at: str | None
    next_try_at: str | None
    last_error: str | None
    event: DeliveredEvent


class Messages(TypedDict):
    """Messages about budgets."""

    deliveries: list[DeliveryShown]


class SentAgain(TypedDict):
    """Which message."""

    id: str
    channel: str
    state: DeliveryWord


class Retried(TypedDict):
    """A message that is sent again."""

    delivery: SentAgain


STATES_OF_TICKETS = ("open", "approved", "denied", "expired", "all")
STATES_OF_MESSAGES = ("pending", "delivered", "dead", "all")
TICKET_STATE = choice("state", "In this state", STATES_OF_TICKETS, "open")
MESSAGE_STATE = choice("state", "In this state", STATES_OF_MESSAGES, "dead")
LISTED = whole("limit", "Rows at most", 100, 1, MAX_LISTED)
