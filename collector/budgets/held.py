"""What one lease keeps of each counter: its open slice, and calls that are known but not in the ledger yet. Pure.

A call under a lease is, at any time, exactly one of: part of the open slice (not begun, or under way), settled (it
keeps what it cost until its span is in the ledger), or stored (the counter has it). What a call cost above its
reservation is not taken from the slice but kept on top of it: the holder's other reservations stand as they are.

Each call has a number under its lease, so telling the same twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from collector.budgets.model import CounterKey, Grant, Unit


class Amounts(NamedTuple):
    """What a call takes, by unit. `cost_pico_usd` None: not known."""

    cost_pico_usd: int | None
    tokens: int
    calls: int


class SettledCall(NamedTuple):
    """What a call under a lease really cost, said by its holder."""

    number: int
    reserved: Amounts
    real: Amounts


class CallUnderWay(NamedTuple):
    """A call that has begun under a lease which is given back."""

    number: int
    reserved: Amounts


class State(NamedTuple):
    """All that a lease is, to be written down. Times but `until_ns` are a steady clock's."""

    lease_id: str
    holder: str
    grants: Sequence[tuple[str, str, str, int, str, int]]  # key, unit, amount
    each: Sequence[int]
    is_open: bool
    ends_ns: int
    until_ns: int
    is_released: bool
    charged: Sequence[int]
    settled: Sequence[int]
    stored: Sequence[tuple[int, Sequence[int]]]
    pending: Sequence[tuple[int, int, Sequence[int]]]
    under_way: Sequence[tuple[int, Sequence[int]]]
    job: str | None = None


class Held:
    """A lease. Amounts are lists in the order of its grants, each in its rule's unit. Not thread-safe."""

    __slots__ = (
        "_charged",
        "_pending",
        "_pending_sums",
        "_settled",
        "_stored",
        "_under_way",
        "_under_way_sums",
        "each",
        "ends_ns",
        "grants",
        "holder",
        "is_open",
        "is_released",
        "job",
        "lease_id",
        "until_ns",
    )

    def __init__(self, lease_id: str, holder: str, grants: tuple[Grant, ...], each: tuple[int, ...]) -> None:
        self.lease_id = lease_id
        self.holder = holder
        self.grants = grants
        self.each = each
        """What the claim takes that the lease was asked for."""
        self.is_open = True
        self.ends_ns = 0
        """By the book's steady clock: when it is closed unless it is renewed."""
        self.until_ns = 0
        """By the wall clock: the end of the first window of its counters."""
        self.is_released = False
        """Whether its holder gave it back."""
        self.job: str | None = None
        """What it is held for, where that takes hours: whether its holder is heard of does not matter then."""
        zeros = [0] * len(grants)
        self._charged = zeros  # what the slice has lost to calls that are settled or stored
        self._settled: set[int] = set()
        self._stored: dict[int, Sequence[int]] = {}  # call -> what the slice was charged by its span
        self._pending: dict[int, tuple[int, Sequence[int]]] = {}  # settled call -> given up at, cost
        self._pending_sums = zeros.copy()
        self._under_way: dict[int, Sequence[int]] = {}  # of a closed lease: call -> reserved
        self._under_way_sums = zeros.copy()

    @property
    def has_calls(self) -> bool:
        """Whether calls are kept that are not in the ledger."""
        return bool(self._pending or self._under_way)

    @property
    def has_calls_under_way(self) -> bool:
        """Whether the lease was given back with calls under way."""
        return bool(self._under_way)

    @property
    def first_deadline_ns(self) -> int | None:
        """When the first settled call is given up whose span has not come."""
        return next((deadline for deadline, _ in self._pending.values()), None)

    def outstanding(self) -> list[int]:
        """What it keeps of each counter."""
        kept = [a + b for a, b in zip(self._pending_sums, self._under_way_sums, strict=True)]
        if not self.is_open:
            return kept
        opened = (grant.amount - gone for grant, gone in zip(self.grants, self._charged, strict=True))
        return [more + max(0, rest) for more, rest in zip(kept, opened, strict=True)]

    def settle(self, call: SettledCall, deadline_ns: int) -> None:
        """Its holder says what a call cost."""
        number = call.number
        if number in self._settled:
            return
        self._settled.add(number)
        self._forget_under_way(number)
        reserved = self._of(call.reserved, self.each)
        real = self._of(call.real, reserved)
        charge = [min(a, b) for a, b in zip(real, reserved, strict=True)]
        before = self._stored.get(number)
        if before is not None:
            self._charge(charge, before)
            return
        self._charge(charge, ())
        if any(real):
            self._pending[number] = deadline_ns, real
            _add(self._pending_sums, real, 1)

    def store(self, number: int | None, real: Amounts) -> None:
        """The span of a call is in the ledger. `number` None: told once, of a holder that does not number its calls."""
        if number is None:
            self._charge(self._of(real, self.each), ())
            return
        if number in self._stored:
            return
        charge = () if number in self._settled else self._of(real, self.each)
        self._stored[number] = charge
        self._charge(charge, ())
        self._forget_under_way(number)
        pending = self._pending.pop(number, None)
        if pending is not None:
            _add(self._pending_sums, pending[1], -1)

    def close(self, under_way: Iterable[CallUnderWay] = ()) -> None:
        """The rest of the slice is free; calls under way keep what was reserved for them. Does nothing if closed."""
        if not self.is_open:
            return
        self.is_open = False
        for call in under_way:
            if call.number not in self._settled and call.number not in self._stored:
                reserved = self._of(call.reserved, self.each)
                self._forget_under_way(call.number)
                self._under_way[call.number] = reserved
                _add(self._under_way_sums, reserved, 1)

    def give_up(self, now_ns: int) -> None:
        """Keep settled calls no longer whose spans have not come in time."""
        while (deadline_ns := self.first_deadline_ns) is not None and deadline_ns <= now_ns:
            number = next(iter(self._pending))
            _add(self._pending_sums, self._pending.pop(number)[1], -1)

    def give_up_under_way(self) -> None:
        """Keep nothing for calls under way: the holder is gone."""
        for number in list(self._under_way):
            self._forget_under_way(number)

    def state(self) -> State:
        """What `of_state` makes the same lease of."""
        return State(
            self.lease_id,
            self.holder,
            [(*grant.key, grant.unit.value, grant.amount) for grant in self.grants],
            self.each,
            self.is_open,
            self.ends_ns,
            self.until_ns,
            self.is_released,
            self._charged,
            list(self._settled),
            list(self._stored.items()),
            [(number, deadline, cost) for number, (deadline, cost) in self._pending.items()],
            list(self._under_way.items()),
            self.job,
        )

    @staticmethod
    def of_state(state: State, offset_ns: int) -> Held:
        """`offset_ns`: from the clock of then to that of now."""
        grants = tuple(Grant(CounterKey(*found[:4]), Unit(found[4]), found[5]) for found in state.grants)
        held = Held(state.lease_id, state.holder, grants, tuple(state.each))
        held.is_open, held.until_ns, held.ends_ns = state.is_open, state.until_ns, state.ends_ns + offset_ns
        held.is_released, held.job = state.is_released, state.job
        held._charged = list(state.charged)
        held._settled = set(state.settled)
        held._stored = dict(state.stored)
        for number, deadline_ns, cost in state.pending:
            held._pending[number] = deadline_ns + offset_ns, cost
            _add(held._pending_sums, cost, 1)
        for number, reserved in state.under_way:
            held._under_way[number] = reserved
            _add(held._under_way_sums, reserved, 1)
        return held

    def _forget_under_way(self, number: int) -> None:
        reserved = self._under_way.pop(number, None)
        if reserved is not None:
            _add(self._under_way_sums, reserved, -1)

    def _charge(self, amounts: Sequence[int], instead_of: Sequence[int]) -> None:
        if amounts:
            _add(self._charged, amounts, 1)
        if instead_of:
            _add(self._charged, instead_of, -1)

    def _of(self, amounts: Amounts, unknown: Sequence[int]) -> list[int]:
        """Per grant; money that is not known is that of `unknown`."""
        cost, tokens, calls = amounts
        found: list[int] = []
        for grant, instead in zip(self.grants, unknown, strict=True):
            unit = grant.unit
            if unit is Unit.USD:
                found.append(instead if cost is None else cost)
            else:
                found.append(tokens if unit is Unit.TOKENS else calls)
        return found


def _add(sums: list[int], amounts: Sequence[int], sign: int) -> None:
    for place, amount in enumerate(amounts):
        sums[place] += sign * amount
