"""Approvals and deliveries over HTTP, and the page on which people decide."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.budgets.actions.deliveries import CannotRetry, Deliveries
from collector.budgets.actions.messages import Notice, iso, json_amount, scope_of, ticket_body
from collector.budgets.actions.outbox import Delivery, DeliveryState
from collector.budgets.approvals import Approvals, CannotDecide
from collector.budgets.model import Event, Unit
from collector.budgets.requests import BadRequest, Fields
from collector.budgets.tickets import Ticket, TicketState
from collector.config.problems import BadValue
from collector.config.values import duration_ns
from collector.serve.api import approval_shapes as shapes
from collector.serve.api.app import Path
from collector.serve.api.budgets import in_thread, read_query
from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid, not_found
from collector.serve.api.identity import ANYBODY
from collector.serve.api.path import Returns
from collector.serve.api.responses import json_of, whole_body

MAX_BODY_BYTES = 16 * 1024
MAX_NOTE_CHARS = 1000
MAX_BY_CHARS = 200
MAX_RAISE_NS = 366 * 86_400 * 10**9
MIN_RAISE_NS = 60 * 10**9
"""A raise shorter than that is over before whoever asked tries again."""


class Desk(Protocol):
    """What the routes need."""

    @property
    def approvals(self) -> Approvals:
        """Who keeps tickets."""

    @property
    def deliveries(self) -> Deliveries:
        """Who sends messages."""


def approval_paths(desk: Desk) -> list[Path]:
    """The routes of approvals and deliveries."""

    async def tickets(request: Request) -> Response:
        given = read_query(request, shapes.TICKET_STATE, shapes.LISTED)
        states, limit = _states(given[shapes.TICKET_STATE], TicketState), given[shapes.LISTED]
        org = request.state.org
        found = [each for each in desk.approvals.listed(states) if _is_own(each.key.org_id, org)][:limit]
        return JSONResponse({"approvals": [_ticket(desk, each) for each in found]})

    async def approve(request: Request) -> Response:
        known = _own_ticket(desk, request)
        fields = await _fields(request)
        with _Understood():
            amount = fields.usd("raise") if known.unit is Unit.USD else fields.count("raise")
            for_ns = _duration(fields.optional_text("expires_in", 40))
            by, note = _by_and_note(request, fields)
            fields.close()
        if amount is None:
            raise invalid("is required", where="raise")
        return await _decided(desk, lambda: desk.approvals.approve(known.ticket, amount, for_ns, by, note))

    async def deny(request: Request) -> Response:
        ticket = _own_ticket(desk, request).ticket
        fields = await _fields(request)
        with _Understood():
            by, note = _by_and_note(request, fields)
            fields.close()
        return await _decided(desk, lambda: desk.approvals.deny(ticket, by, note))

    async def deliveries(request: Request) -> Response:
        given = read_query(request, shapes.MESSAGE_STATE, shapes.LISTED)
        states, limit = _states(given[shapes.MESSAGE_STATE], DeliveryState), given[shapes.LISTED]
        org = request.state.org
        found = await in_thread(lambda: desk.deliveries.listed(states, limit, org))
        return JSONResponse({"deliveries": [_delivery(delivery, event) for delivery, event in found]})

    async def retry(request: Request) -> Response:
        wanted = request.path_params["id"]
        try:
            again = await in_thread(lambda: desk.deliveries.retry(wanted, request.state.caller, request.state.org))
        except CannotRetry as error:
            raise _refused(str(error), is_unknown=error.is_unknown, where="id") from None
        return JSONResponse({"delivery": {"id": again.id, "channel": again.channel, "state": again.state.value}})

    return [
        Path("GET", "/approvals", Role.VIEWER, tickets, "requests to raise a limit")
        .of(None, Returns(shapes.Tickets))
        ._replace(parameters=(shapes.TICKET_STATE, shapes.LISTED)),
        Path("POST", "/approvals/{ticket}/approve", Role.EDITOR, approve, "raise the limit for a while").of(
            shapes.Approval, Returns(shapes.DecidedTicket)
        ),
        Path("POST", "/approvals/{ticket}/deny", Role.EDITOR, deny, "refuse a raise").of(
            shapes.Denial, Returns(shapes.DecidedTicket)
        ),
        Path("GET", "/budgets/deliveries", Role.VIEWER, deliveries, "messages that could not be delivered")
        .of(None, Returns(shapes.Messages))
        ._replace(parameters=(shapes.MESSAGE_STATE, shapes.LISTED)),
        Path("POST", "/budgets/deliveries/{id}/retry", Role.EDITOR, retry, "send a dead letter again").of(
            None, Returns(shapes.Retried)
        ),
    ]


def _own_ticket(desk: Desk, request: Request) -> Ticket:
    """The ticket of the path. Raises ApiError unless there is one that the caller may see."""
    known = desk.approvals.get(request.path_params["ticket"])
    if known is None or not _is_own(known.key.org_id, request.state.org):
        raise not_found("there is no such ticket", where="ticket")
    return known


def _is_own(organization: str, org: str | None) -> bool:
    return org is None or organization == org


class _Understood:
    """Turns what cannot be read into the API's own error."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BadRequest):
            raise invalid(str(error), where=error.where or "body", allowed=error.allowed or None) from None


async def _decided(desk: Desk, decide: Callable[[], Ticket]) -> Response:
    try:
        ticket = await in_thread(decide)
    except CannotDecide as error:
        if error.where:
            raise invalid(str(error), where=error.where, allowed=error.allowed or None) from None
        raise _refused(str(error), is_unknown=error.is_unknown, where="ticket") from None
    return JSONResponse({"approval": _ticket(desk, ticket)})


def _refused(what: str, *, is_unknown: bool, where: str) -> ApiError:
    if is_unknown:
        return not_found(what, where=where)
    return ApiError(HTTPStatus.CONFLICT, "conflict", what, where=where)


async def _fields(request: Request) -> Fields:
    """The JSON object of a request; nothing at all is an empty one."""
    payload = await whole_body(request, MAX_BODY_BYTES)
    data = json_of(payload) if payload.strip() else {}
    with _Understood():
        return Fields(data)


def _by_and_note(request: Request, fields: Fields) -> tuple[str, str]:
    """Who decides: the token's name; where there are none, what they say."""
    said = fields.optional_text("by", MAX_BY_CHARS)
    caller = str(request.state.caller)
    by = (said or caller) if caller == ANYBODY.name else f"{said} ({caller})" if said else caller
    return by, fields.optional_text("note", MAX_NOTE_CHARS) or ""


def _duration(written: str | None) -> int | None:
    if written is None:
        return None
    try:
        found = duration_ns(written)
    except BadValue as error:
        raise BadRequest("expires_in", error.what) from None
    if not MIN_RAISE_NS <= found <= MAX_RAISE_NS:
        raise BadRequest("expires_in", "is too short or too long", "1m to 366d")
    return found


State = TypeVar("State", TicketState, DeliveryState)


def _states(said: str | None, states: type[State]) -> list[State]:
    return [state for state in states if said in (state.value, "all")]


def _ticket(desk: Desk, ticket: Ticket) -> dict[str, Any]:
    room = desk.approvals.room(ticket)
    return {
        **ticket_body(ticket),
        "scope": scope_of(desk.approvals.rule_of(ticket), ticket.key.scope_value),
        "raise_at_most": None if room is None else json_amount(room, ticket.unit),
    }


def _delivery(delivery: Delivery, event: Event) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": iso(delivery.created_at_ns),
        "tried_at": iso(delivery.tried_at_ns),
        "next_try_at": iso(delivery.next_try_at_ns) if delivery.state is DeliveryState.PENDING else None,
        "last_error": delivery.last_error,
        "event": {
            "id": Notice(event).key,
            "kind": event.kind.value,
            "organization": event.key.org_id,
            "rule": event.key.rule,
            "scope_value": event.key.scope_value,
            "happened_at": iso(event.happened_at_ns),
        },
    }
