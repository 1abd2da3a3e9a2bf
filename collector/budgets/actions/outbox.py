"""The outbox: rows of `_ledger.budget_delivery`, one for each event and channel.

An event is written in the transaction of the spans that cause it. As long as it has no row here it is to be planned;
a row is `pending` until its channel has taken it, or never will. So whenever the process ends, what is missing is done
after the next start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import pyarrow as pa

from collector.budgets.actions.messages import delivery_key
from collector.budgets.actions.receivers import Tried, Verdict
from collector.budgets.event_rows import events_of
from collector.budgets.ledger import Snapshot
from collector.budgets.model import Event
from collector.budgets.statements import insert, statement

NOBODY = ""
"""The channel of events that nobody is told of."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 900.0
"""Waits double from the first to this. Longer: a receiver that is back hears late. Shorter: a dead one costs more."""
GIVE_UP_NS = 24 * 3600 * 10**9
"""After so long a message is a dead letter. An alert of yesterday does not help anybody who was not asked to wait."""
MAX_PLANNED = 1000
"""Events in one transaction; the store's writer is busy for some milliseconds with so many."""


class DeliveryState(StrEnum):
    """What became of a message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel, as its row says."""

    id: str
    event_id: str
    channel: str
    state: DeliveryState
    attempts: int
    created_at_ns: int
    next_try_at_ns: int
    give_up_at_ns: int
    tried_at_ns: int | None = None
    last_error: str | None = None


def planned(event_id: str, channel: str, now_ns: int) -> Delivery:
    """A message that is to be sent at once; one to `NOBODY` is done."""
    state = DeliveryState.PENDING if channel else DeliveryState.DELIVERED
    return Delivery(delivery_key(event_id, channel), event_id, channel, state, 0, now_ns, now_ns, now_ns + GIVE_UP_NS)


def after(delivery: Delivery, tried: Tried, now_ns: int, chance: float) -> Delivery:
    """What a delivery is after a try. `chance`, of 0 to 1, spreads what would else be tried at the same moment."""
    attempts = delivery.attempts + 1
    done = replace(delivery, attempts=attempts, tried_at_ns=now_ns, last_error=tried.error or None)
    if tried.verdict is Verdict.DELIVERED:
        return replace(done, state=DeliveryState.DELIVERED)
    wait_seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempts - 1, 30)) * (0.5 + 0.5 * chance)
    hint_seconds = min(tried.retry_after_seconds, LONGEST_WAIT_SECONDS)
    next_ns = now_ns + int(max(wait_seconds, hint_seconds) * 10**9)
    if tried.verdict is Verdict.DEAD or next_ns > delivery.give_up_at_ns:
        return replace(done, state=DeliveryState.DEAD)
    return replace(done, next_try_at_ns=next_ns)


def renewed(delivery: Delivery, now_ns: int) -> Delivery:
    """A dead letter that somebody wants to be tried again, for as long as a new one."""
    return replace(delivery, state=DeliveryState.PENDING, next_try_at_ns=now_ns, give_up_at_ns=now_ns + GIVE_UP_NS)


def unplanned(snapshot: Snapshot) -> list[Event]:
    """The oldest events without a row."""
    return events_of(snapshot.table(statement("unplanned_events"), [MAX_PLANNED]))


def pending(snapshot: Snapshot) -> list[tuple[Delivery, Event]]:
    """Every message that is to be sent, with its event."""
    rows = snapshot.rows(statement("pending_deliveries"))
    events = events_of(snapshot.table(statement("pending_events")))
    known = {event.event_id: event for event in events}
    return [(found, known[found.event_id]) for found in map(_delivery, rows) if found.event_id in known]


def found(snapshot: Snapshot, delivery_id: str) -> tuple[Delivery, Event] | None:
    """One message and its event."""
    rows = snapshot.rows(statement("delivery_by_id"), [delivery_id])
    if not rows:
        return None
    delivery = _delivery(rows[0])
    events = events_of(snapshot.table(statement("events_by_id"), [[delivery.event_id]]))
    return (delivery, events[0]) if events else None


def listed(snapshot: Snapshot, states: Sequence[str], limit: int) -> list[tuple[Delivery, Event]]:
    """The newest messages in some states, with their events."""
    rows = snapshot.rows(statement("listed_deliveries"), [list(states), limit])
    deliveries = [_delivery(row) for row in rows]
    ids = list({delivery.event_id for delivery in deliveries})
    events = events_of(snapshot.table(statement("events_by_id"), [ids]))
    known = {event.event_id: event for event in events}
    return [(delivery, known[delivery.event_id]) for delivery in deliveries if delivery.event_id in known]


def add(connection: Any, deliveries: Iterable[Delivery]) -> None:
    """Write new rows, inside the transaction that is under way."""
    rows = [_row(delivery) for delivery in deliveries]
    if not rows:
        return
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), _TYPES, strict=True)]
    insert(connection, "insert_deliveries", pa.Table.from_arrays(columns, names=list(_NAMES)))


def record(connection: Any, delivery: Delivery) -> None:
    """Write what became of one, inside the transaction that is under way."""
    # Not an update: that holds checkpoints up.
    connection.execute(statement("forget_delivery"), [delivery.id])
    add(connection, [delivery])


_NAMES = Delivery.__slots__
_TYPES = (*[pa.string()] * 4, *[pa.int64()] * 5, pa.string())


def _delivery(row: tuple[Any, ...]) -> Delivery:
    delivery_id, event_id, channel, state, *rest = row
    return Delivery(delivery_id, event_id, channel, DeliveryState(state), *rest)


def _row(delivery: Delivery) -> list[Any]:
    values = (getattr(delivery, name) for name in _NAMES)
    return [str(value) if isinstance(value, DeliveryState) else value for value in values]
