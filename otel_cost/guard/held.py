"""A lease that this process holds: slices of budgets, taken from by calls and given back to when they are done.

The rules are those of docs/budgets-protocol.md, "What a holder keeps". No I/O; whoever uses one holds the book's lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from otel_cost.call import ATTRIBUTE
from otel_cost.pricing.money import format_usd, pico_usd

LOW_SHARE = 4
"""A lease with less than a quarter left is renewed before it is used up."""
KEEP_SECONDS = 5.0
"""How often leases are kept alive whose calls take long: the protocol asks for 10 at the least."""
IDLE_SECONDS = 15.0
"""A lease that nothing was taken from for so long is given back."""


class Claim(NamedTuple):
    """A call that is about to be made: for whom, with what, and what it will need at most as far as one can tell."""

    values: Mapping[str, str | None]
    """What rules may match: owners by dimension, `provider`, `model`, and attributes as `otel_cost.call.ATTRIBUTE`."""
    cost_pico_usd: int | None  # None: the model has no price
    tokens: int
    calls: int = 1
    has_waited: bool = False
    """It was slowed down for long enough."""

    def body(self) -> dict[str, Any]:
        """As the protocol says it."""
        owners: dict[str, str | None] = {}
        attributes: dict[str, str | None] = {}
        for name, value in self.values.items():
            if name.startswith(ATTRIBUTE):
                attributes[name[len(ATTRIBUTE) :]] = value
            elif name not in ("provider", "model"):
                owners[name] = value
        said = {"owners": owners, "attributes": attributes} if attributes else {"owners": owners}
        return {
            **said,
            "provider": self.values.get("provider"),
            "model": self.values.get("model"),
            "estimate": {"usd": usd(self.cost_pico_usd), "tokens": self.tokens, "calls": self.calls},
            **({"has_waited": True} if self.has_waited else {}),
        }


class Slice:
    """What is left of one budget's slice."""

    __slots__ = ("amount", "each", "rest", "rule", "unit")

    def __init__(self, rule: str, unit: str, amount: int, each: int) -> None:
        self.rule, self.unit = rule, unit
        self.amount = self.rest = amount
        self.each = each

    def needs(self, cost_pico_usd: int | None, tokens: int) -> int:
        """What a call takes, in the slice's unit."""
        if self.unit == "USD":
            return self.each if cost_pico_usd is None else cost_pico_usd
        return tokens if self.unit == "tokens" else 1


class Taken(NamedTuple):
    """What a call under way has taken."""

    cost_pico_usd: int | None
    tokens: int
    calls: int = 1

    def body(self) -> dict[str, Any]:
        """As the protocol says it."""
        return {"usd": usd(self.cost_pico_usd), "tokens": self.tokens, "calls": self.calls}


class Held:
    """One lease. Times are monotonic seconds."""

    __slots__ = (
        *("calls", "claim", "in_flight", "is_renewing", "is_retired", "is_used", "job", "key", "lease_id", "renew_at"),
        *("slices", "telling", "to_tell", "told_at", "until"),
    )

    def __init__(self, lease: Mapping[str, Any], claim: Claim, key: tuple[object, ...], asked_at: float) -> None:
        self.lease_id = str(lease["id"])
        self.claim = claim  # the last one, to renew by
        self.key = key
        self.slices = [_slice(grant) for grant in lease.get("grants", ())]
        self.calls = 0
        self.in_flight: dict[int, Taken] = {}
        self.to_tell: list[dict[str, Any]] = []
        self.telling: dict[int, dict[str, Any]] = {}  # on their way to the collector: nobody knows whether it has heard
        self.is_retired = False  # another is used instead: told and released when its calls are done
        self.is_renewing = False
        self.is_used = False  # since the collector was last told
        self.job: str | None = None  # that it is left to: nothing more is told of it by this process
        self.extend(asked_at, float(lease["expires_in_seconds"]))

    def extend(self, asked_at: float, expires_in_seconds: float) -> None:
        """No call begins `expires_in_seconds` after the request was sent."""
        self.told_at = asked_at
        self.until = asked_at + expires_in_seconds
        self.is_used = False

    def take(self, cost_pico_usd: int | None, tokens: int) -> int | None:
        """The number of a call that has taken what it needs, or None: there is not enough left."""
        for each in self.slices:
            if each.rest < each.needs(cost_pico_usd, tokens):
                return None
        for each in self.slices:
            each.rest -= each.needs(cost_pico_usd, tokens)
        number = self.calls
        self.calls = number + 1
        self.in_flight[number] = Taken(cost_pico_usd, tokens)
        self.is_used = True
        return number

    def take_whole(self) -> int:
        """The number of the claim that the lease was asked for, all of which it is for: nothing else takes from it."""
        self.is_retired, self.calls = True, 1
        self.in_flight[0] = Taken(self.claim.cost_pico_usd, self.claim.tokens, self.claim.calls)
        return 0

    def settle(self, number: int, cost_pico_usd: int | None, tokens: int, calls: int) -> None:
        """A call is done; what it needed beyond its reservation is the collector's to add. Again changes nothing."""
        taken = self.in_flight.pop(number, None)
        if taken is None:
            return
        for each in self.slices:
            reserved = each.needs(taken.cost_pico_usd, taken.tokens)
            real = calls if each.unit == "calls" else tokens if each.unit == "tokens" else cost_pico_usd
            if real is not None and real < reserved:
                each.rest += reserved - real
        told = {"call": number, "usd": usd(cost_pico_usd), "tokens": tokens, "reserved": taken.body()}
        self.to_tell.append(told if calls == 1 else {**told, "calls": calls})

    def begin_telling(self, most: int) -> list[dict[str, Any]]:
        """Calls to tell now, at most so many; `end_telling` says what came of it."""
        calls, self.to_tell = self.to_tell[:most], self.to_tell[most:]
        self.telling.update((call["call"], call) for call in calls)
        return calls

    def end_telling(self, calls: list[dict[str, Any]], *, has_heard: bool) -> None:
        """The collector knows of these calls, or they are to be told again."""
        for call in calls:
            self.telling.pop(call["call"], None)
        if not has_heard:
            self.to_tell = calls + self.to_tell

    @property
    def is_done(self) -> bool:
        """Whether the collector knows what each call cost."""
        return not (self.in_flight or self.to_tell or self.telling)

    @property
    def is_single(self) -> bool:
        """Whether it is for one call: as a throttled one, or the last that a budget has room for."""
        return bool(self.slices) and all(each.amount <= each.each for each in self.slices)

    def is_idle(self, now: float) -> bool:
        """Whether it is to be given back, as nothing is taken from it."""
        is_unused = not (self.is_retired or self.is_used or self.in_flight)
        return is_unused and now - self.told_at > IDLE_SECONDS

    def has_to_be_kept(self, now: float) -> bool:
        """Whether it ends too soon if the collector hears nothing of it."""
        return self.is_used or (bool(self.in_flight) and now - self.told_at > KEEP_SECONDS)

    @property
    def is_low(self) -> bool:
        """Whether it is time to ask for more."""
        return any(each.rest * LOW_SHARE < each.amount for each in self.slices)

    def release_body(self) -> dict[str, Any]:
        """As the protocol says it. Calls whose cost may not have been heard of keep what was reserved for them: a
        release may overtake a settlement."""
        in_flight = [{"call": number, "reserved": taken.body()} for number, taken in self.in_flight.items()]
        untold = (*self.to_tell, *self.telling.values())
        in_flight += [{"call": call["call"], "reserved": call["reserved"]} for call in untold]
        return {"lease": self.lease_id, "in_flight": in_flight} if in_flight else {"lease": self.lease_id}


def question(
    holder: str, told: list[tuple[Held, list[dict[str, Any]]]], given_back: Sequence[Held], *, is_whole: bool
) -> dict[str, Any]:
    """What a question for a lease says beside its claim, as the protocol says it: of whom, what calls that are over
    cost, and which leases are given back."""
    said: dict[str, Any] = {"holder": holder, **({"calls": 1} if is_whole else {})}
    if told:
        said["settle"] = [{"lease": held.lease_id, "calls": calls} for held, calls in told]
    if given_back:
        said["release"] = [held.release_body() for held in given_back]
    return said


def usd(amount_pico_usd: int | None) -> str | None:
    """Money as the protocol writes it."""
    return None if amount_pico_usd is None else format_usd(amount_pico_usd)


def _slice(grant: Mapping[str, Any]) -> Slice:
    unit = str(grant["unit"])
    amount, each = (pico_usd(grant[name]) if unit == "USD" else int(grant[name]) for name in ("amount", "each"))
    return Slice(str(grant["rule"]), unit, amount, each)
