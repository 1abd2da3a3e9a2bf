"""What proposed rules would have done to calls of the past: pure, batch by batch, in the order of time.

A call that a rule refuses is taken as not made: it counts in no rule, as if its app had given up. One that waits for an
approval is refused, as nobody approves. One for which a cheaper model is named is made with that, by as many tokens,
at its price. Each call is judged by what it cost in the end, as guards with exact estimates would; and what one process
knows, all know at once. Which rules decide, and how, is `collector.budgets.deciding`.

A threshold fires at the call with which so much was spent, or would have been with one that was refused for it.

Most calls of most batches are far from any limit: whether they are made is found in columns. Only calls that may be
over one if all before them are made are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from collector.budgets.counting import MOVED_SCHEMA, Batch, Ints, WorstRates
from collector.budgets.model import Event, Rule
from collector.budgets.outcome import Outcome
from collector.budgets.replay import Prices, replay
from collector.budgets.simulated_rule import Calls, SimulatedRule, Tally

_NO_TIME = -(2**63)


@dataclass(slots=True)
class Total:
    """What all rules together do to the calls that are told of. Money is that of the calls as they were made."""

    calls: int = 0
    cost_pico_usd: int = 0
    unpriced_calls: int = 0
    refused_calls: int = 0
    refused_pico_usd: int = 0
    approval_calls: int = 0
    replaced_calls: int = 0
    replaced_saved_pico_usd: int = 0
    throttled_calls: int = 0


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule does. Of several rules that refuse a call, each has it."""

    rule: Rule
    events: Sequence[Event]
    tallies: Mapping[tuple[str, str], Tally]  # by organization and scope value


@dataclass(frozen=True, slots=True)
class Simulated:
    """The answer."""

    total: Total
    rules: Sequence[RuleResult]
    first_ns: int | None  # when the first and the last call that is told of started
    last_ns: int | None


@dataclass(slots=True)
class Simulation:
    """Rules that calls are fed to. Calls before `from_ns` count, and are not told of."""

    rules: Sequence[Rule]
    prices: Prices = lambda rows, model: np.full(rows.num_rows, -1)
    from_ns: int = _NO_TIME
    worst: WorstRates = field(default_factory=WorstRates)
    total: Total = field(default_factory=Total)
    _states: list[SimulatedRule] = field(default_factory=list)
    _first_ns: int | None = None
    _last_ns: int = _NO_TIME

    def __post_init__(self) -> None:
        self._states = [SimulatedRule(rule, self.from_ns, self.worst) for rule in self.rules]

    def feed(self, calls: pa.Table) -> None:
        """The next calls: `MOVED_SCHEMA`, all with the sign 1 or none, and what `prices` needs.

        Raises:
            ValueError: they are not in the order of time.
        """
        if not calls.num_rows:
            return
        start_ns = np.asarray(calls.column("start_time_ns").to_numpy(), np.int64)
        if start_ns[0] < self._last_ns or (np.diff(start_ns) < 0).any():
            raise ValueError("calls must come in the order in which they started")
        self._last_ns = int(start_ns[-1])
        batch = Batch(_signed(calls))
        laid = [state.lay(batch) for state in self._states]
        outcome = replay(calls, batch, self._states, laid, self.prices)
        self._count(batch, outcome)
        row_of = None
        if outcome.changes:
            made, row_of = outcome.made(calls)
            made_batch = Batch(_signed(made))
            laid = [state.lay(made_batch) if made.num_rows else None for state in self._states]
        self._take(laid, outcome, row_of, start_ns)

    def result(self) -> Simulated:
        """What came of it; nothing is fed afterwards."""
        for state in self._states:
            state.judge(self._last_ns)
        results = [
            RuleResult(state.rule, sorted(state.events, key=lambda event: event.happened_at_ns), state.tallies)
            for state in self._states
        ]
        return Simulated(self.total, results, self._first_ns, None if self._first_ns is None else self._last_ns)

    def _take(self, laid: Sequence[Calls | None], outcome: Outcome, row_of: Ints | None, start_ns: Ints) -> None:
        times = start_ns if row_of is None else start_ns[row_of]
        for number, (state, calls) in enumerate(zip(self._states, laid, strict=True)):
            state.fire(calls, outcome.asked.get(number, ()), row_of, start_ns)
            if calls is not None:
                state.take(calls, times)

    def _count(self, batch: Batch, outcome: Outcome) -> None:
        told = batch.start_ns >= self.from_ns
        if not told.any():
            return
        if self._first_ns is None:
            self._first_ns = int(batch.start_ns[told][0])
        total = self.total
        total.calls += int(told.sum())
        total.cost_pico_usd += sum(batch.cost[told].tolist())
        total.unpriced_calls += int(batch.unpriced[told].sum())
        costs = batch.cost.tolist()
        for row, verdict in outcome.verdicts.items():
            if not told[row]:
                continue
            cost = costs[row]
            verdict.add_to(total, cost)
            for number, owner in verdict.by:
                verdict.add_to(self._states[number].tally(owner), cost)


def _signed(calls: pa.Table) -> pa.Table:
    known = [name for name in MOVED_SCHEMA.names if name in calls.column_names]
    calls = calls.select(known)
    return calls if "sign" in known else calls.append_column("sign", pa.array(np.ones(calls.num_rows, np.int64)))
