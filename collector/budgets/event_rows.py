"""Events and the audit trail as rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from collector.budgets.model import CounterKey, Event, EventKind, Unit
from collector.budgets.statements import insert, statement

_USD = pa.decimal128(38, 12)
_WHOLE = pa.decimal128(38, 0)

EVENT_SCHEMA = pa.schema(
    [
        pa.field("org_id", pa.string(), nullable=False),
        pa.field("budget", pa.string(), nullable=False),
        pa.field("scope_value", pa.string()),
        pa.field("happened_at", pa.timestamp("us"), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("spent_usd", _USD),
        pa.field("limit_usd", _USD),
        pa.field("detail", pa.string()),
        pa.field("event_id", pa.string()),
        pa.field("happened_at_ns", pa.int64()),
        pa.field("window_start_ns", pa.int64()),
        pa.field("threshold_ppm", pa.int64()),
        pa.field("spent", _WHOLE),
        pa.field("limit_amount", _WHOLE),
        pa.field("unit", pa.string()),
    ]
)
"""Rows of `_ledger.budget_event`."""

_NO_ROWS = EVENT_SCHEMA.empty_table()


def event_rows(events: Sequence[Event]) -> pa.Table:
    """`EVENT_SCHEMA`."""
    return _NO_ROWS if not events else pa.Table.from_pylist([_row(event) for event in events], schema=EVENT_SCHEMA)


def events_of(rows: pa.Table) -> list[Event]:
    """The events in rows of `_ledger.budget_event`; rows of older versions, which have no `event_id`, are left out."""
    return [_event(row) for row in rows.to_pylist() if row["event_id"] is not None]


def insert_events(connection: Any, events: Sequence[Event]) -> None:
    """Add events, inside a transaction of the ledger's writer."""
    insert(connection, "insert_events", event_rows(events))


def insert_audit(
    connection: Any, at_ns: int, actor: str, action: str, subject: str, before: str | None, after: str | None
) -> None:
    """Note who changed what, inside a transaction of the ledger's writer. `before` and `after` are JSON."""
    connection.execute(statement("insert_audit"), [at_ns, actor, action, subject, before, after])


def _row(event: Event) -> dict[str, Any]:
    is_money = event.unit is Unit.USD
    return {
        "org_id": event.key.org_id,
        "budget": event.key.rule,
        "scope_value": event.key.scope_value,
        "happened_at": datetime.fromtimestamp(event.happened_at_ns // 1_000_000_000, UTC).replace(
            tzinfo=None, microsecond=event.happened_at_ns // 1000 % 1_000_000
        ),
        "event": event.kind.value,
        "spent_usd": Decimal(event.spent).scaleb(-12) if is_money else None,
        "limit_usd": Decimal(event.limit).scaleb(-12) if is_money else None,
        "detail": event.detail,
        "event_id": event.event_id,
        "happened_at_ns": event.happened_at_ns,
        "window_start_ns": event.key.window_start_ns,
        "threshold_ppm": event.threshold_ppm,
        "spent": Decimal(event.spent),
        "limit_amount": Decimal(event.limit),
        "unit": event.unit.value,
    }


def _event(row: dict[str, Any]) -> Event:
    return Event(
        CounterKey(row["org_id"], row["budget"], row["scope_value"], row["window_start_ns"]),
        EventKind(row["event"]),
        row["threshold_ppm"],
        row["happened_at_ns"],
        int(row["spent"]),
        int(row["limit_amount"]),
        Unit(row["unit"]),
        row["detail"] or "",
    )
