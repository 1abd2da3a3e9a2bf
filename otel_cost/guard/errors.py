"""What the guard raises into the app, on purpose: a call that a budget does not let through.

Nothing else of otel-cost ever raises there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from otel_cost.errors import OtelCostError

_MAX_CAUSES = 32
"""Most exceptions that are followed: chains of causes may be circular."""


class BudgetError(OtelCostError):
    """A call that was not made, because of a budget. Amounts are in `unit`: `USD` as exact decimal text, else numbers.

    Attributes:
        rule: the budget's name.
        scope_value: of which of its counters, as in `acme` of a budget for each customer.
        unit: `USD`, `tokens` or `calls`.
        limit, spent, leased: the limit, what is spent of it, and what guards hold for calls under way.
        resets_at: when the budget begins anew; None: not by itself.
        ticket: of the approval that was asked for; where `BudgetExceeded` has one, it was denied.
    """

    def __init__(
        self,
        message: str = "the budget is used up",
        *,
        rule: str | None = None,
        scope_value: str | None = None,
        unit: str | None = None,
        limit: str | int | None = None,
        spent: str | int | None = None,
        leased: str | int | None = None,
        resets_at: datetime | None = None,
        ticket: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule
        self.scope_value = scope_value
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.leased = leased
        self.resets_at = resets_at
        self.ticket = ticket

    def __reduce__(self) -> tuple[object, ...]:
        """Errors pass between processes with what they know."""
        return _rebuilt, (type(self), self.message, dict(vars(self)))

    @staticmethod
    def within(error: BaseException | None) -> BudgetError | None:
        """The budget's error that `error` is or was caused by: frameworks raise their own around it."""
        for _ in range(_MAX_CAUSES):
            if error is None or isinstance(error, BudgetError):
                return error
            error = error.__cause__ or error.__context__
        return None


class BudgetExceeded(BudgetError):
    """The budget has no room for the call until it begins anew, or somebody raises it."""


class ApprovalRequired(BudgetError):
    """The budget has no room for the call until somebody approves `ticket`."""


def refusal_text(known: Mapping[str, object], resets_at: datetime | None, *, is_denied: bool = False) -> str:
    """What a refusal says to people; `known` by the names of `BudgetError`; `is_denied`: its ticket was."""
    of = f" of {known['scope_value']}" if known.get("scope_value") else ""
    reserved = known.get("leased")
    held = f", {reserved} reserved" if reserved not in (None, 0, "0") else ""
    ends = f"; it begins anew at {resets_at.astimezone(UTC).isoformat(timespec='seconds')}" if resets_at else ""
    ticket = f"; approval {known['ticket']} was {'denied' if is_denied else 'asked for'}" if known.get("ticket") else ""
    spent = f"{known.get('spent')} of {known.get('limit')} {known.get('unit')} spent"
    return f"budget {known.get('rule')!r}{of}: {spent}{held}{ends}{ticket}"


def _rebuilt(kind: type[BudgetError], message: str, state: dict[str, object]) -> BudgetError:
    error = kind(message)
    vars(error).update(state)
    return error
