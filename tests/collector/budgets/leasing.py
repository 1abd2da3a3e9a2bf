"""A world in which leases are used: exact counters, clocks that are set, holders that keep the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import RLock

from collector.budgets.counting import WorstRates, key_of
from collector.budgets.held import Amounts
from collector.budgets.model import Action, Claim, CounterKey, Lease, Rule, Spent, Unit, Window, WindowKind

NOON_NS = 1_790_000_000 * 10**9 - (1_790_000_000 * 10**9) % (86_400 * 10**9) + 43_200 * 10**9
SECOND_NS = 10**9


@dataclass
class Clocks:
    """A steady one, and one on the wall that can be put forward and back."""

    steady_ns: int = 5_000 * SECOND_NS
    wall_ns: int = NOON_NS

    def steady(self) -> int:
        return self.steady_ns

    def wall(self) -> int:
        return self.wall_ns

    def advance(self, seconds: float) -> None:
        self.steady_ns += int(seconds * SECOND_NS)
        self.wall_ns += int(seconds * SECOND_NS)


@dataclass
class Spending:
    """Counters as simple as can be; `collector.budgets.spent_reader.SpentReader`."""

    rules: tuple[Rule, ...]
    spends: dict[CounterKey, Spent] = field(default_factory=dict)
    raised: dict[str, int] = field(default_factory=dict)
    worst: Mapping[str, WorstRates] = field(default_factory=dict)
    lock: AbstractContextManager[bool] = field(default_factory=RLock)

    def amount(self, key: CounterKey, at_ns: int) -> int:
        found = next(each for each in self.rules if each.name == key.rule)
        return self.spends.get(key, Spent()).of(found.unit)

    def room_at(self, rule: str, org_id: str, scope_value: str, at_ns: int, most: int) -> int | None:
        return None

    def limit(self, rule: Rule, key: CounterKey, at_ns: int) -> int:
        return rule.limit + self.raised.get(rule.name, 0)

    def raised_until_ns(self, rule: Rule, key: CounterKey, at_ns: int) -> int | None:
        return None

    def count(self, claim: Claim, started_ns: int, real: Amounts) -> None:
        """A call is in the ledger."""
        moved = Spent(real.cost_pico_usd or 0, real.tokens, real.calls)
        for key in self.keys(claim, started_ns).values():
            self.spends[key] = self.spends.get(key, Spent()).plus(moved)

    def keys(self, claim: Claim, started_ns: int) -> dict[str, CounterKey]:
        """By rule, the counters that a call moves which starts then."""
        values = {**claim.owners, "provider": claim.provider, "model": claim.model}
        found = ((rule.name, key_of(rule, claim.org_id, values, started_ns)) for rule in self.rules)
        return {name: key for name, key in found if key is not None}


def rule_of(
    name: str,
    limit: int,
    unit: Unit = Unit.USD,
    scope: tuple[tuple[str, str | None], ...] = (("organization", None),),
    on_exceed: tuple[Action, ...] = (Action.BLOCK,),
    kind: WindowKind = WindowKind.DAY,
    **more: object,
) -> Rule:
    """A hard rule."""
    return Rule(name, scope, limit, unit, Window(kind), on_exceed=on_exceed, **more)  # type: ignore[arg-type]


def claim_of(cost: int | None = 10, tokens: int = 10, model: str = "gpt-4o", **owners: str) -> Claim:
    """A call of an organization called `o`."""
    return Claim("o", owners, "openai", model, cost, tokens)


def in_unit(amounts: Amounts, unit: Unit) -> int:
    """An amount in a rule's unit."""
    return {Unit.USD: amounts.cost_pico_usd or 0, Unit.TOKENS: amounts.tokens, Unit.CALLS: amounts.calls}[unit]


@dataclass(eq=False)
class MadeCall:
    """A call that a holder has begun under a lease."""

    claim: Claim
    number: int
    lease: UsedLease
    reserved: Amounts
    real: Amounts
    started_ns: int
    is_ended: bool = False
    settled_ns: int | None = None  # by the steady clock
    is_stored: bool = False

    @property
    def overrun(self) -> Amounts:
        """What it costs above what was reserved."""
        return Amounts(*(max(0, (a or 0) - (b or 0)) for a, b in zip(self.real, self.reserved, strict=True)))


@dataclass(eq=False)
class UsedLease:
    """A lease as its holder keeps it."""

    lease: Lease
    holder: str
    use_until_ns: int
    heard_ns: int
    rest: list[int]
    calls: list[MadeCall] = field(default_factory=list)
    is_released: bool = False
    is_dead: bool = False

    @property
    def under_way(self) -> list[MadeCall]:
        return [call for call in self.calls if not call.is_ended]

    def begin(self, claim: Claim, real: Amounts, started_ns: int) -> MadeCall | None:
        """Take a call from the rest; None: there is not enough."""
        reserved = Amounts(claim.cost_pico_usd, claim.tokens, claim.calls)
        needs = [in_unit(reserved, grant.unit) for grant in self.lease.grants]
        if any(rest < need for rest, need in zip(self.rest, needs, strict=True)):
            return None
        self.rest = [rest - need for rest, need in zip(self.rest, needs, strict=True)]
        call = MadeCall(claim, len(self.calls), self, reserved, real, started_ns)
        self.calls.append(call)
        return call

    def end(self, call: MadeCall) -> None:
        """A call is over: what it did not need goes back."""
        call.is_ended = True
        for place, grant in enumerate(self.lease.grants):
            self.rest[place] += max(0, in_unit(call.reserved, grant.unit) - in_unit(call.real, grant.unit))
