"""What the log of leases says: one JSON list per line, `[kind, time, ...]`.

Times are those of one steady clock: a file is begun anew by each process that writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from collector.budgets.held import Amounts, CallUnderWay, Held, SettledCall, State

_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class StoredCall(NamedTuple):
    """A call whose span is in the ledger; `number` None: not numbered."""

    lease_id: str
    number: int | None
    real: Amounts


class StateLine(NamedTuple):
    """A lease as it was then: a new one, or, at the head of a file, an older one."""

    at_ns: int
    state: State


class SettledLine(NamedTuple):
    """A holder spoke of a lease, and said what calls cost."""

    at_ns: int
    lease_id: str
    calls: Sequence[SettledCall]


class ClosedLine(NamedTuple):
    """A lease was given back."""

    at_ns: int
    lease_id: str
    under_way: Sequence[CallUnderWay]


class StoredLine(NamedTuple):
    """Spans of leased calls are in the ledger."""

    at_ns: int
    calls: Sequence[StoredCall]


class TimeLine(NamedTuple):
    """Until then leases have ended by time."""

    at_ns: int


Line = TimeLine | StateLine | SettledLine | ClosedLine | StoredLine


def state_line(at_ns: int, held: Held) -> str:
    """See `StateLine`."""
    return _dumps(["lease", at_ns, *held.state()])


def settled_line(at_ns: int, lease_id: str, calls: Sequence[SettledCall]) -> str:
    """See `SettledLine`."""
    return _dumps(["settled", at_ns, lease_id, calls])


def closed_line(at_ns: int, lease_id: str, under_way: Sequence[CallUnderWay]) -> str:
    """See `ClosedLine`."""
    return _dumps(["closed", at_ns, lease_id, under_way])


def time_line(at_ns: int) -> str:
    """See `TimeLine`."""
    return _dumps(["time", at_ns])


def stored_line(at_ns: int, calls: Sequence[StoredCall]) -> str:
    """See `StoredLine`."""
    return _dumps(["stored", at_ns, calls])


def read_line(text: str) -> Line:
    """Raises ValueError for what is no whole line."""
    try:
        kind, at_ns, *rest = json.loads(text)
        return _READERS[kind](int(at_ns), rest)
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"no line of a log of leases: {error}") from error


def _state(at_ns: int, rest: list[Any]) -> Line:
    state = State(*rest)
    Held.of_state(state, 0)  # raises what `read_line` expects if it is none
    return StateLine(at_ns, state)


def _settled(at_ns: int, rest: list[Any]) -> Line:
    lease_id, calls = rest
    found = [SettledCall(number, Amounts(*reserved), Amounts(*real)) for number, reserved, real in calls]
    return SettledLine(at_ns, lease_id, found)


def _closed(at_ns: int, rest: list[Any]) -> Line:
    lease_id, calls = rest
    return ClosedLine(at_ns, lease_id, [CallUnderWay(number, Amounts(*reserved)) for number, reserved in calls])


def _stored(at_ns: int, rest: list[Any]) -> Line:
    return StoredLine(at_ns, [StoredCall(lease_id, number, Amounts(*real)) for lease_id, number, real in rest[0]])


def _time(at_ns: int, _: list[Any]) -> Line:
    return TimeLine(at_ns)


_READERS = {"time": _time, "lease": _state, "settled": _settled, "closed": _closed, "stored": _stored}
