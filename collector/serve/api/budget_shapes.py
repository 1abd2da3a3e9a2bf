"""Types of the answers about budgets, for the description of the API. Amounts of money are decimal strings of dollars,
those of tokens and calls are numbers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from collector.serve.api.parameters import whole
from collector.serve.api.path import Returns
from collector.serve.api.shapes import Says

MAX_LISTED = 1000
Amount = str | int
UnitName = Literal["USD", "tokens", "calls"]
SINCE_NS = whole("since_ns", "From this Unix time in nanoseconds on", 0, 0, 2**62)
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


Scope = str | list[str] | dict[str, str | None]
"""`customer`, `[customer, feature]`, or `{agent: vision_v3}`."""


class RuleOptions(TypedDict):
    """What a rule need not say."""

    time_zone: NotRequired[str]
    billing_day: NotRequired[Annotated[int, Says(minimum=1, maximum=31)]]
    week_start: NotRequired[str]
    unpriced: NotRequired[str]
    start: NotRequired[str]
    cheaper: NotRequired[dict[str, str]]
    throttle: NotRequired[str]
    when_unreachable: NotRequired[Literal["open", "closed"]]
    organization: NotRequired[str]
    ask_again: NotRequired[str]
    max_raise: NotRequired[str]


class WrittenRule(RuleOptions):
    """A rule as a config writes it (docs/config.md); what is left out is the default."""

    name: str
    scope: Scope
    limit: str
    warn_at: list[str]
    on_warn: list[str]
    on_exceed: list[str]


_Origin = TypedDict("_Origin", {"from": Literal["config", "api"]})


class ListedRule(WrittenRule, _Origin):
    """A rule, and where it is from."""


class RuleBody(RuleOptions):
    """What `PUT` takes: a rule without its name, or with the name of the path."""

    limit: Annotated[str, Says(description="`5 USD/day`, `2000000 tokens/month`")]
    scope: str | list[str] | dict[str, Any]
    name: NotRequired[str]
    warn_at: NotRequired[str | list[str]]
    on_warn: NotRequired[str | list[str]]
    on_exceed: NotRequired[str | list[str]]


class BudgetRules(TypedDict):
    """All rules, each with where it is from."""

    rules_revision: str
    rules: list[ListedRule]


class BudgetRule(TypedDict):
    """A rule as a config writes it."""

    rule: WrittenRule


class OneBudget(Budget):
    """A budget with its rule."""

    rule: WrittenRule


class RuleChange(TypedDict):
    """Who changed what. `before` and `after` are JSON values; null: there was, or is, none."""

    at_ns: int
    at: str
    actor: str
    action: str
    subject: str
    before: Any
    after: Any


class Audit(TypedDict):
    """The newest first."""

    audit: list[RuleChange]


class Deleted(TypedDict):
    """The name of what is gone."""

    deleted: str


class Estimate(TypedDict):
    """What a call will use; null: nobody knows."""

    usd: str | None
    tokens: int | None
    calls: NotRequired[int | None]
    worst_case_usd: NotRequired[str | None]


class Claim(TypedDict):
    """A call that is to be made, and who pays."""

    estimate: Estimate
    org: NotRequired[str | None]
    owners: NotRequired[dict[str, str | None] | None]
    attributes: NotRequired[dict[str, str | None] | None]
    provider: NotRequired[str | None]
    model: NotRequired[str | None]


class Used(TypedDict):
    """Of one call, meant or used."""

    usd: str | None
    tokens: int | None
    calls: NotRequired[int | None]


class SettledCall(Used):
    """A call that was made under a lease, and what had been kept for it."""

    call: int
    reserved: Used


class CallUnderWay(TypedDict):
    """A call that is not over yet, and what is kept for it."""

    call: int
    reserved: Used


class Settlement(TypedDict):
    """What calls under a lease cost."""

    lease: str
    calls: NotRequired[list[SettledCall] | None]
    job: NotRequired[Annotated[str | None, Says(description="what the lease is held for from now on")]]
    hold_seconds: NotRequired[Annotated[int | None, Says(description="for how long at most; with `job`")]]


class Release(TypedDict):
    """A lease that is given back, but for what calls under way may cost."""

    lease: str
    in_flight: NotRequired[list[CallUnderWay] | None]


class ReadJob(TypedDict):
    """The results of a job are known: what is held for it is free in a minute."""

    job: str


class LeaseClaim(Claim):
    """A call that is to be made, by whom, and what they settle and give back with it."""

    holder: str
    calls: NotRequired[Annotated[int, Says(minimum=1)] | None]
    has_waited: NotRequired[bool | None]
    settle: NotRequired[list[Settlement] | None]
    release: NotRequired[list[str | Release] | None]


DecisionName = Literal["allow", "cheaper_model", "throttle", "approval", "block"]
Unreachable = Literal["open", "closed"]


class RefusalShown(TypedDict):
    """Why not, by which rule, and what to do instead."""

    decision: DecisionName
    rule: str
    scope_value: str
    unit: UnitName
    limit: Amount
    spent: Amount
    leased: Amount
    resets_at: str | None
    ticket: str | None
    model: str | None
    retry_after_seconds: float | None


class ClosedRule(TypedDict):
    """A rule that refuses where no collector answers, and how many calls it lets pass until then."""

    rule: str
    calls: int | None


class Decided(TypedDict):
    """May this call be made?"""

    decision: DecisionName
    refusal: NotRequired[RefusalShown]
    rules_revision: str
    match_on: list[str]
    unreachable: Unreachable
    closed: NotRequired[list[ClosedRule]]


class Grant(TypedDict):
    """A slice of one counter; `each`: what one more call like this takes of it."""

    rule: str
    scope_value: str
    unit: UnitName
    amount: Amount
    each: Amount


class LeaseShown(TypedDict):
    """Slices that calls may be made under."""

    id: str
    expires_in_seconds: float
    match_on: list[str]
    unreachable: Unreachable
    grants: list[Grant]


class Leased(Decided):
    """The same, with a lease where the call may be made."""

    lease: NotRequired[LeaseShown]


class Settled(TypedDict):
    """`known` false: there is no such lease any more; what calls cost is counted when their spans come."""

    lease: str
    known: bool
    expires_in_seconds: float
    rules_revision: str


class Released(TypedDict):
    """`known` false: there was no such lease, or nothing is held for the job."""

    lease: NotRequired[str]
    job: NotRequired[str]
    known: bool
    rules_revision: str


OVERVIEW, EVENTS, RULES, GONE = (Returns(each) for each in (Budgets, BudgetEvents, BudgetRules, Deleted))
AUDIT, ONE = Returns(Audit), Returns(OneBudget)
CHECKED, LEASED, SETTLED, RELEASED = (Returns(each) for each in (Decided, Leased, Settled, Released))
CHANGED = Returns(BudgetRule, statuses=(HTTPStatus.OK, HTTPStatus.CREATED))
