"""Types of the answers about budgets, for the description of the API. Amounts of money are decimal strings of dollars,
those of tokens and calls are numbers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal, TypedDict

from collector.serve.api.parameters import Parameter, whole
from collector.serve.api.path import Returns

MAX_LISTED = 1000
Amount = str | int
UnitName = Literal["USD", "tokens", "calls"]
SINCE_NS: Parameter[int] = Parameter(
    "since_ns", "From this Unix time in nanoseconds on", {"type": "integer", "minimum": 0}, 0, int
)
LIMIT = whole("limit", "Rows at most", MAX_LISTED, 1, MAX_LISTED)


class BudgetCounter(TypedDict):
    """One counter of a budget in its present window."""

    org: str
    scope_value: str
    spent: Amount
    leased: Amount
    limit: Amount
    percent: float
    state: Literal["ok", "warning", "exceeded"]


Budget = TypedDict(
    "Budget",
    {
        "name": str,
        "unit": UnitName,
        "limit": Amount,
        "window": str,
        "starts_at": str | None,
        "resets_at": str | None,
        "is_hard": bool,
        "from": Literal["config", "api"],
        "counters": list[BudgetCounter],
        "counters_not_listed": int,
    },
)


class Budgets(TypedDict):
    """Every budget as it is now."""

    budgets: list[Budget]


class BudgetEvent(TypedDict):
    """A threshold that was crossed, or an approval."""

    id: str
    org: str
    rule: str
    scope_value: str
    kind: str
    threshold_percent: float
    happened_at: str | None
    unit: UnitName
    spent: Amount
    limit: Amount
    detail: str


class BudgetEvents(TypedDict):
    """The newest first."""

    events: list[BudgetEvent]


class BudgetRules(TypedDict):
    """Rules as a config writes them, each with `from`: config or api."""

    rules_revision: str
    rules: list[dict[str, Any]]


class BudgetRule(TypedDict):
    """A rule as a config writes it."""

    rule: dict[str, Any]


class Deleted(TypedDict):
    """The name of what is gone."""

    deleted: str


OVERVIEW, EVENTS, RULES, GONE = (Returns(each) for each in (Budgets, BudgetEvents, BudgetRules, Deleted))
CHANGED = Returns(BudgetRule, statuses=(HTTPStatus.OK, HTTPStatus.CREATED))
