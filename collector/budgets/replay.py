"""Which calls of a batch are let through, when each is known to cost what it did: those near a limit, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.budgets.counting import Amounts, Batch, Ints, dimensions_of, key_of
from collector.budgets.deciding import Standing, decide
from collector.budgets.model import CounterKey, Decision, Rule, Unit, Unpriced
from collector.budgets.outcome import REFUSING, Outcome, Verdict
from collector.budgets.running import Running, after_each
from collector.budgets.simulated_rule import Asked, Calls, Owner, SimulatedRule, needs_of
from collector.budgets.windows import bucket_ns

Prices = Callable[[pa.Table, str], Ints]
"""What calls would have cost with another model, in pico-USD; -1: not known."""

_STRENGTH = {decision: strength for strength, decision in enumerate(Decision)}


def replay(
    calls: pa.Table,
    batch: Batch,
    states: Sequence[SimulatedRule],
    laid: Sequence[Calls | None],
    prices: Prices,
) -> Outcome:
    """What becomes of the calls of a batch; `laid`: where each rule counts them, if all are made."""
    deciding = [number for number, state in enumerate(states) if state.hard is not None]
    if not any(laid[number] is not None for number in deciding):
        return Outcome()
    others = _Replacements(calls, [states[number].rule for number in deciding], prices)
    rules = [_Deciding(number, states[number], laid[number], batch, others) for number in deciding]
    return _Replay(calls, rules, others).run()


class _Replacements:
    """Which calls could have been made with another model, and what they would have cost."""

    def __init__(self, calls: pa.Table, rules: Sequence[Rule], prices: Prices) -> None:
        pairs = _replaced({pair for rule in rules if _may_replace(rule) for pair in rule.cheaper.items()})
        self.any = bool(pairs)
        self.no_price = np.asarray(pc.is_null(calls.column("cost_pico_usd")).to_numpy(), np.bool_)
        self.models: Sequence[str | None] = calls.column("model").to_pylist() if pairs else ()
        self._costs: dict[tuple[int, str], int] = {}
        self.dearer = np.zeros(calls.num_rows, np.int64)
        """By how much a call may cost more than it did."""
        known = np.array(calls.column("cost_pico_usd").fill_null(0).to_numpy(), np.int64) if pairs else self.dearer
        for model, other in sorted(pairs):
            rows = np.flatnonzero(np.array([each == model for each in self.models], np.bool_))
            if not len(rows):
                continue
            costs = np.asarray(prices(calls.take(pa.array(rows)), other), np.int64)
            self._costs.update(zip(((row, other) for row in rows.tolist()), costs.tolist(), strict=True))
            self.dearer[rows] = np.maximum(self.dearer[rows], costs - known[rows])

    def cost(self, row: int, model: str) -> int | None:
        """What a call costs with a model; None: not known."""
        found = self._costs.get((row, model), -1)
        return None if found < 0 else found


def _replaced(steps: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Models and what they may be replaced by, in one step or in several, of whichever rules."""
    found: set[tuple[str, str]] = set()
    added = steps
    while added:
        found |= added
        added = {(model, other) for model, by in added for one, other in steps if one == by and other != model} - found
    return found


def _may_replace(rule: Rule) -> bool:
    return bool(rule.cheaper) and "cheaper_model" in (*rule.on_warn, *rule.on_exceed)


class _Entry(NamedTuple):
    """A call in one rule."""

    deciding: _Deciding
    at: int  # its place among the rule's calls
    total: int  # what counts with it


class _Deciding:
    """A rule that decides, and the calls of the batch that count in it."""

    def __init__(
        self, number: int, state: SimulatedRule, laid: Calls | None, batch: Batch, others: _Replacements
    ) -> None:
        assert state.hard is not None
        self.number, self.state, self.hard = number, state, state.hard
        self.rule: Rule = state.rule
        self.laid = laid
        self.quiet = self.hard.quiet(self.rule.limit)
        self.by_model = others.any and bool({"model"} & set(dimensions_of(self.rule)))
        """Whether a call with another model counts elsewhere: then it is counted call by call."""
        self.counted: Running[Owner] = Running(state.held)
        self.less: Running[int] = Running()
        self.is_money = self.rule.unit is Unit.USD
        self.refuses = self.is_money and self.rule.unpriced is Unpriced.REFUSE
        self.needs = needs_of(self.rule, batch, state.worst) if self.by_model else None
        self.place = np.full(batch.rows, -1, np.int64)
        self.asked: list[Asked] = []
        self._most_asked: dict[tuple[int, int], int] = {}
        self._plain: dict[bool, Decision] = {}
        if laid is not None:
            self.place[laid.rows] = np.arange(len(laid.rows))
            self.no_price = others.no_price[laid.rows] & self.refuses

    def contested(self, others: _Replacements) -> Ints:
        """The calls that the rule may not let through, if all before them are made."""
        laid = self.laid
        if laid is None:
            return np.empty(0, np.int64)
        if self.by_model:
            return np.arange(len(laid.rows))
        most: Amounts = laid.after
        dearer = others.dearer[laid.rows]
        if self.is_money and dearer.any():
            most = most + after_each(laid.owner, laid.bucket_ns, None, dearer, ())
        over = most > self.quiet
        if self.is_money:
            over &= laid.needs != 0
        return np.flatnonzero(np.asarray(over, np.bool_) | self.no_price)

    def open(self) -> None:
        """Calls are asked for one by one from now on: columns as lists, which is five times as fast then."""
        self.at_row: list[int] = self.place.tolist()
        if self.laid is not None:
            _, owner, self.owners, bucket_ns, needs, after = self.laid
            begins = self.state.begin_ns(bucket_ns)
            self.owner, self.bucket, self.need = owner.tolist(), bucket_ns.tolist(), needs.tolist()
            self.before: list[int] = (after - needs).tolist()
            self.begin = self.bucket if begins is None else begins.tolist()

    def spent(self, at: int) -> int:
        """What counts before a call."""
        if self.by_model:
            return self.counted.at(self.owners[self.owner[at]], self.begin[at])
        return self.before[at] - self.less.at(self.owner[at], self.begin[at])

    def leave_out(self, at: int, amount: int) -> None:
        """So much of a call does not count after all."""
        self.less.add(self.owner[at], self.bucket[at], amount)

    def decide(
        self, total: int, need: int, model: str | None, passes: Callable[[str], bool]
    ) -> tuple[Decision, str | None]:
        """What the rule says of a call with which `total` counts, and the model that it names."""
        if total <= self.quiet or (self.is_money and need == 0):
            return Decision.ALLOW, None
        if model is not None and model in self.rule.cheaper and _may_replace(self.rule):
            return self._ask(total, need, model, passes)
        over = total > self.rule.limit
        if over not in self._plain:
            self._plain[over] = self._ask(total, need, None, passes)[0]
        return self._plain[over], None

    def _ask(
        self, total: int, need: int, model: str | None, passes: Callable[[str], bool]
    ) -> tuple[Decision, str | None]:
        nobody = CounterKey("", self.rule.name, "", 0)
        standing = Standing(self.hard, nobody, need, total - need, 0, self.rule.limit, 0)
        refusal = decide([standing], model, 0, passes, lambda *_: None)
        return (Decision.ALLOW, None) if refusal is None else (refusal.decision, refusal.model)

    def ask_for(self, row: int, at: int, total: int) -> None:
        """A call was asked for with which `total` would have counted."""
        counter = self.owner[at], self.bucket[at]
        most = self._most_asked.get(counter, -1)
        if most < total and most < self.rule.limit:
            self._most_asked[counter] = total
            self.asked.append(Asked(row, self.owners[counter[0]], counter[1], total))


class _Said(NamedTuple):
    """What one rule says of a call that it does not simply let through."""

    decision: Decision
    model: str | None
    rule: _Deciding
    at: int
    total: int  # what would count with the call; -1: it is not let through for want of a price


class _Replay:
    def __init__(self, calls: pa.Table, rules: Sequence[_Deciding], others: _Replacements) -> None:
        self._calls, self._rules, self._others = calls, rules, others
        self._verdicts: dict[int, Verdict] = {}

    def run(self) -> Outcome:
        contested = [rule.contested(self._others) for rule in self._rules]
        if not any(len(at) for at in contested):
            return Outcome()
        for rule in self._rules:
            rule.open()
        rows = np.concatenate(
            [rule.laid.rows[at] for rule, at in zip(self._rules, contested, strict=True) if rule.laid is not None]
        )
        numbers = np.concatenate([np.full(len(at), n) for n, at in enumerate(contested)])
        places = np.concatenate(contested)
        order = np.lexsort((numbers, rows))
        for row, entries in _grouped(rows[order].tolist(), numbers[order].tolist(), places[order].tolist()):
            self._call(row, entries)
        asked = {rule.number: rule.asked for rule in self._rules if rule.asked}
        return Outcome(self._verdicts, asked)

    def _call(self, row: int, entries: Sequence[tuple[int, int]]) -> None:
        replaceable = self._others.any
        model = self._others.models[row] if replaceable else None
        said: list[_Said] = []
        for number, at in entries:
            rule = self._rules[number]
            if rule.refuses and rule.no_price[at]:
                said.append(_Said(Decision.BLOCK, None, rule, at, -1))
                continue
            need = rule.need[at]
            total = rule.spent(at) + need
            if total > rule.quiet:
                decision, named = rule.decide(total, need, model, partial(self._passes, row))
                if decision is not Decision.ALLOW:
                    said.append(_Said(decision, named, rule, at, total))
        if said:
            self._verdict(row, said)
        elif replaceable:
            self._made(row, None)

    def _verdict(self, row: int, said: Sequence[_Said]) -> None:
        strongest = _strongest(said)
        waits = strongest is Decision.THROTTLE
        if waits:
            strongest = _strongest([each for each in said if each.decision is not Decision.THROTTLE])
        same = [each for each in said if each.decision is strongest]
        telling = said if waits else same
        model = None if same[0].model is None else self._called(row, same[0].model)
        cost = self._others.cost(row, model) if model is not None else None
        by = [(each.rule.number, each.rule.owners[each.rule.owner[each.at]]) for each in telling]
        self._verdicts[row] = Verdict(strongest, by, model, cost, waits)
        if strongest is not Decision.THROTTLE:
            for each in same:
                each.rule.ask_for(row, each.at, each.total)
        if strongest in REFUSING:
            for rule in self._rules:
                at = rule.at_row[row]
                if at >= 0 and not rule.by_model:
                    rule.leave_out(at, rule.need[at])
        else:
            self._made(row, model)

    def _made(self, row: int, model: str | None) -> None:
        """The call is made, with that model or its own."""
        cost = self._others.cost(row, model) if model is not None else None
        for rule in self._rules:
            at = rule.at_row[row]
            if rule.by_model:
                found = self._elsewhere(rule, row, model)
                if found is not None:
                    rule.counted.add(*found)
            elif cost is not None and rule.is_money and at >= 0:
                rule.leave_out(at, rule.need[at] - cost)

    def _called(self, row: int, model: str) -> str:
        """What a call is made with in the end: who asks with the model that was named may be told another one then."""
        met: set[str] = set()
        while model not in met:
            met.add(model)
            passes = partial(self._passes, row)
            model = next((named for _, named in self._decisions(row, model, passes) if named is not None), model)
        return model

    def _passes(self, row: int, model: str) -> bool:
        """Whether all rules let a call through with another model, perhaps after a wait."""
        said = self._decisions(row, model, None)
        return all(decision in (Decision.ALLOW, Decision.THROTTLE) for decision, _ in said)

    def _decisions(
        self, row: int, model: str, passes: Callable[[str], bool] | None
    ) -> Iterator[tuple[Decision, str | None]]:
        """What each rule says of a call with another model, and which one it names: none where `passes` is None."""
        has_no_price = self._others.no_price[row] and self._others.cost(row, model) is None
        for rule in self._rules:
            found = self._elsewhere(rule, row, model)
            if found is None:
                continue
            owner, bucket, need = found
            if rule.by_model:
                window = rule.rule.window
                spent = rule.counted.at(owner, bucket + bucket_ns(window) - window.rolling_ns if bucket else 0)
            else:
                spent = rule.spent(rule.at_row[row])
            if rule.refuses and has_no_price:
                yield Decision.BLOCK, None
            elif passes is None:
                yield rule.decide(spent + need, need, None, _never)
            else:
                yield rule.decide(spent + need, need, model, passes)

    def _elsewhere(self, rule: _Deciding, row: int, model: str | None) -> tuple[Owner, int, int] | None:
        """Where a call counts with a model, and what it takes; None: not in the rule."""
        at = rule.at_row[row]
        if model is None or not rule.by_model:
            if at < 0:
                return None
            owner, bucket, need = rule.owners[rule.owner[at]], rule.bucket[at], rule.need[at]
        else:
            values = self._calls.slice(row, 1).to_pylist()[0]
            key = key_of(rule.rule, values["org_id"], values | {"model": model}, values["start_time_ns"])
            if key is None or rule.needs is None:
                return None
            rolls = bool(rule.rule.window.rolling_ns)
            owner = (key.org_id, key.scope_value, 0 if rolls else key.window_start_ns)
            bucket, need = key.window_start_ns if rolls else 0, int(rule.needs[row])
        cost = self._others.cost(row, model) if model is not None and rule.is_money else None
        return owner, bucket, need if cost is None else cost


def _strongest(said: Sequence[_Said]) -> Decision:
    """Of several rules; a wait where there is none."""
    if len(said) == 1:
        return said[0].decision
    return max((each.decision for each in said), key=_STRENGTH.__getitem__, default=Decision.THROTTLE)


def _never(_: str) -> bool:
    return False


def _grouped(
    rows: Sequence[int], numbers: Sequence[int], places: Sequence[int]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Entries by row."""
    start = 0
    while start < len(rows):
        row, end = rows[start], start + 1
        while end < len(rows) and rows[end] == row:
            end += 1
        yield row, list(zip(numbers[start:end], places[start:end], strict=True))
        start = end
