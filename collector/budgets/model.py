"""The words that all parts of budgets share: plain values, no I/O.

Amounts are whole numbers of a rule's unit: pico-USD, tokens or calls. Times are nanoseconds since 1970 UTC. Thresholds
are parts per million of a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from otel_cost.call import DIMENSIONS

SCOPES = ("organization", *DIMENSIONS, "provider", "model")
"""What a budget can be for, beside attributes (`otel_cost.call.ATTRIBUTE` and the key)."""
PPM = 1_000_000
DEFAULT_MAX_RAISE = 10
"""Times a rule's limit, by which approvals may raise it at most where the rule says nothing."""
ASK_AGAIN_NS = 3600 * 10**9
"""How long a denial stands where the rule says nothing. Longer: whoever denied too soon cannot make it good. Shorter: a
denied app asks people over and over."""


class Unit(StrEnum):
    """What a limit counts."""

    USD = "USD"
    TOKENS = "tokens"
    CALLS = "calls"


class WindowKind(StrEnum):
    """When a counter begins anew."""

    RUN = "run"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    ROLLING = "rolling"


class Unpriced(StrEnum):
    """What a call counts as whose cost is not known, in a budget of money."""

    ALLOW = "allow"  # nothing
    WORST_CASE = "worst_case"  # the dearest price that the rate card has for its tokens
    REFUSE = "refuse"  # it is not let through


class Action(StrEnum):
    """What happens at a threshold. The last four decide on calls, the others tell people."""

    NOTIFY = "notify"
    WEBHOOK = "webhook"
    EMAIL = "email"
    SLACK = "slack"
    APPROVAL = "approval"
    CHEAPER_MODEL = "cheaper_model"
    THROTTLE = "throttle"
    BLOCK = "block"


class Decision(StrEnum):
    """The answer to "may this call be made?"."""

    ALLOW = "allow"
    CHEAPER_MODEL = "cheaper_model"
    THROTTLE = "throttle"
    APPROVAL = "approval"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Window:
    """When a budget's counter begins anew, by the clock of a place."""

    kind: WindowKind
    rolling_ns: int = 0  # length of a rolling window
    time_zone: str = "UTC"  # IANA name
    billing_day: int = 1  # of months: 1 to 31; the last day where a month has fewer
    week_start: int = 0  # 0 is Monday


@dataclass(frozen=True, slots=True)
class Rule:
    """One budget. `scope` pairs a dimension with the value it must have, or None: each value has a counter of its own.

    A call without a value for a dimension of the scope is in no counter of the rule.
    """

    name: str
    scope: tuple[tuple[str, str | None], ...]
    limit: int  # 0 lets nothing through but what is free
    unit: Unit
    window: Window
    warn_at_ppm: tuple[int, ...] = (800_000,)  # ascending
    on_warn: tuple[Action, ...] = (Action.NOTIFY,)
    on_exceed: tuple[Action, ...] = (Action.NOTIFY,)
    unpriced: Unpriced = Unpriced.ALLOW
    from_ns: int = 0  # calls that started before do not count; 0: history counts
    is_closed_when_unreachable: bool = False  # what guards do without an answer of ours
    cheaper: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # model -> its replacement
    throttle_seconds: float = 1.0  # of THROTTLE: at least so long between two calls of a process
    organization: str | None = None  # None: of every organization, each by itself
    ask_again_ns: int | None = ASK_AGAIN_NS  # after a denial, so much later; None: not in that window
    max_raise: int | None = None  # by approvals together, above the limit; None: `DEFAULT_MAX_RAISE` times the limit

    @property
    def is_hard(self) -> bool:
        """Whether calls are decided upon: guards need a lease."""
        return any(action in _DECIDING for action in (*self.on_warn, *self.on_exceed))

    def replacements(self, model: str | None) -> Iterator[str]:
        """What may be called in place of a model: its replacement, the replacement's own, and so on; each one once."""
        met, other = {model}, self.cheaper.get(model or "")
        while other is not None and other not in met:
            yield other
            met.add(other)
            other = self.cheaper.get(other)


_DECIDING = frozenset({Action.APPROVAL, Action.CHEAPER_MODEL, Action.THROTTLE, Action.BLOCK})


class CounterKey(NamedTuple):
    """One counter. `scope_value`: the value, or, of several dimensions, a JSON list of them in the scope's order."""

    org_id: str
    rule: str
    scope_value: str
    window_start_ns: int  # of a rolling window: of one bucket; of run and total: 0


class Spent(NamedTuple):
    """What a counter holds. Money is that of priced calls (and of estimates, and of what providers reported)."""

    cost_pico_usd: int = 0
    tokens: int = 0
    calls: int = 0
    unpriced_calls: int = 0

    def plus(self, other: Spent) -> Spent:
        """Both together; `other` may be negative."""
        return Spent(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def of(self, unit: Unit) -> int:
        """The amount in a unit."""
        return {Unit.USD: self.cost_pico_usd, Unit.TOKENS: self.tokens, Unit.CALLS: self.calls}[unit]


class EventKind(StrEnum):
    """What is told about a budget."""

    WARN = "warn"
    EXCEED = "exceed"
    APPROVAL_REQUESTED = "approval_requested"
    APPROVED = "approved"
    DENIED = "denied"
    RULE_CHANGED = "rule_changed"


class Event(NamedTuple):
    """Something that happened to a counter. (key, kind, threshold, limit) happens once; the limit may be raised."""

    key: CounterKey
    kind: EventKind
    threshold_ppm: int  # 1,000,000 for EXCEED
    happened_at_ns: int  # when the collector saw it
    spent: int  # in the rule's unit
    limit: int
    unit: Unit
    detail: str = ""  # of approvals: the ticket

    @property
    def event_id(self) -> str:
        """The same for the same event, for ever: receivers may drop what they have seen."""
        key = self.key
        counter = (key.org_id, key.rule, key.scope_value, str(key.window_start_ns))
        parts = (*counter, self.kind, str(self.threshold_ppm), str(self.limit), *self._ticket)
        return "|".join(part.replace("|", "||") for part in parts)

    @property
    def _ticket(self) -> tuple[str, ...]:
        """An approval may be asked for again at the same limit, under another ticket."""
        return (self.detail,) if self.kind in _ABOUT_TICKETS else ()


_ABOUT_TICKETS = frozenset({EventKind.APPROVAL_REQUESTED, EventKind.APPROVED, EventKind.DENIED})


class Claim(NamedTuple):
    """A call that somebody wants to make: for whom, with what, and what it will need at most as far as one can tell."""

    org_id: str
    owners: Mapping[str, str]  # by dimension, as in `DIMENSIONS`, and attributes by `ATTRIBUTE` and their key
    provider: str | None
    model: str | None
    cost_pico_usd: int | None  # None: the model has no price
    tokens: int
    calls: int = 1
    worst_case_pico_usd: int | None = None  # of a model without a price, for rules with `Unpriced.WORST_CASE`


class Grant(NamedTuple):
    """A slice of one counter that a lease holds."""

    key: CounterKey
    unit: Unit
    amount: int


class Lease(NamedTuple):
    """Slices of every counter that a kind of call moves, for one process, until a time."""

    lease_id: str
    holder: str
    grants: tuple[Grant, ...]
    expires_at_ns: int
    expires_in_ns: int = 0  # the same, from when it was granted
    each: tuple[int, ...] = ()  # per grant: what a call takes like the one it was asked for


class Refusal(NamedTuple):
    """Why a call may not be made, or only otherwise."""

    decision: Decision
    rule: str
    scope_value: str
    unit: Unit
    limit: int
    spent: int
    leased: int
    resets_at_ns: int | None  # None: never by itself
    ticket: str | None = None  # of the approval that was asked for
    model: str | None = None  # of CHEAPER_MODEL: what to call instead
    retry_after_seconds: float | None = None  # of THROTTLE
