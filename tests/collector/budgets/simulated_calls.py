"""Rules applied to calls one by one, in plain Python: what a simulation must find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from collector.budgets.counting import key_of
from collector.budgets.model import PPM, Action, CounterKey, Decision, Event, EventKind, Rule, Unit, Unpriced
from collector.budgets.windows import window_at

PRICES = {"gpt-4o-mini": 3, "claude-haiku": 40}
"""Pico-USD a token."""

_ORDER = (Decision.ALLOW, Decision.CHEAPER_MODEL, Decision.THROTTLE, Decision.APPROVAL, Decision.BLOCK)
_ACTIONS = ((Action.APPROVAL, Decision.APPROVAL), (Action.BLOCK, Decision.BLOCK), (Action.THROTTLE, Decision.THROTTLE))


class Became(NamedTuple):
    """What became of one call."""

    decision: Decision
    model: str | None
    was_throttled: bool


def price(call: Mapping[str, Any], model: str) -> int | None:
    rate = PRICES.get(model)
    return None if rate is None else rate * ((call["input_tokens"] or 0) + (call["output_tokens"] or 0))


class Plain:
    """Keeps every call that was made, and adds them up again for each question."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.made: dict[str, list[tuple[CounterKey, int]]] = {rule.name: [] for rule in rules}
        self.fired: set[tuple[CounterKey, EventKind, int]] = set()
        self.events: list[Event] = []
        self.became: list[Became] = []

    def feed(self, call: dict[str, Any]) -> None:
        now, other = self._judged(call, call["model"])
        throttled = Decision.THROTTLE in [decision for decision, *_ in now]
        strongest = max((each[0] for each in now), key=_ORDER.index, default=Decision.ALLOW)
        if strongest is Decision.THROTTLE:
            rest = [each[0] for each in now if each[0] is not Decision.THROTTLE]
            strongest = max(rest, key=_ORDER.index, default=Decision.THROTTLE)
        else:
            throttled = False
        asked = [(rule, key, total) for decision, rule, key, total in now if decision is strongest]
        if strongest is not Decision.THROTTLE:
            self._fire(call, [each for each in asked if each[2] >= 0])
        model = self._called(call, other[asked[0][0].name]) if strongest is Decision.CHEAPER_MODEL else None
        self.became.append(Became(strongest, model, throttled))
        if strongest not in (Decision.BLOCK, Decision.APPROVAL):
            self._make(call if model is None else _with(call, model))

    def _judged(self, call: dict[str, Any], model: str | None) -> tuple[list[Any], dict[str, str]]:
        found, named = [], {}
        for rule in self.rules:
            decision, key, total = self._decide(rule, call, model, may_replace=True)
            if decision is Decision.CHEAPER_MODEL:
                named[rule.name] = self._replacement(rule, call, model) or ""
            if decision is not Decision.ALLOW:
                found.append((decision, rule, key, total))
        return found, named

    def _decide(self, rule: Rule, call: Mapping[str, Any], model: str | None, *, may_replace: bool) -> Any:
        key = key_of(rule, call["org_id"], {**call, "model": model}, call["start_time_ns"])
        if key is None or not rule.is_hard:
            return Decision.ALLOW, key, 0
        need = amount(rule, call)
        if rule.unit is Unit.USD and rule.unpriced is Unpriced.REFUSE and call["cost_pico_usd"] is None:
            return Decision.BLOCK, key, -1
        total = self.spent(rule, key, call["start_time_ns"]) + need
        deciding = {action for action, _ in _ACTIONS} | {Action.CHEAPER_MODEL}
        actions = rule.on_exceed if total > rule.limit else ()
        is_warned = deciding & set(rule.on_warn) and rule.warn_at_ppm and total * PPM > rule.warn_at_ppm[0] * rule.limit
        if is_warned and not {Action.BLOCK, Action.APPROVAL} & set(actions):
            actions = (*actions, *rule.on_warn)
        if not actions or (rule.unit is Unit.USD and need == 0):
            return Decision.ALLOW, key, total
        if may_replace and Action.CHEAPER_MODEL in actions and self._replacement(rule, call, model):
            return Decision.CHEAPER_MODEL, key, total
        return next((decision for action, decision in _ACTIONS if action in actions), Decision.ALLOW), key, total

    def _replacement(self, rule: Rule, call: Mapping[str, Any], model: str | None) -> str | None:
        """The first model of the rule's chain that all rules let through."""
        for _ in rule.cheaper:
            model = rule.cheaper.get(model or "")
            if model is None or self._passes(call, model):
                return model
        return None

    def _called(self, call: Mapping[str, Any], model: str) -> str:
        """As guards do: they ask with the model that they were told, and may be told another one."""
        met: list[str] = []
        while model not in met:
            met.append(model)
            named = list(self._judged(_with(call, model), model)[1].values())
            model = named[0] if named else model
        return model

    def _passes(self, call: Mapping[str, Any], model: str) -> bool:
        other = _with(call, model)
        decisions = [self._decide(rule, other, model, may_replace=False)[0] for rule in self.rules]
        return all(decision in (Decision.ALLOW, Decision.THROTTLE) for decision in decisions)

    def spent(self, rule: Rule, key: CounterKey, at_ns: int) -> int:
        window = window_at(rule.window, at_ns)
        same = [(k, n) for k, n in self.made[rule.name] if (k.org_id, k.scope_value) == (key.org_id, key.scope_value)]
        if rule.window.rolling_ns:
            return sum(n for k, n in same if window.start_ns <= k.window_start_ns < (window.end_ns or 0))
        return sum(n for k, n in same if k.window_start_ns == key.window_start_ns)

    def _make(self, call: Mapping[str, Any]) -> None:
        for rule in self.rules:
            key = key_of(rule, call["org_id"], call, call["start_time_ns"])
            if key is not None:
                self.made[rule.name].append((key, amount(rule, call)))
                self._fire(call, [(rule, key, self.spent(rule, key, call["start_time_ns"]))])

    def _fire(self, call: Mapping[str, Any], reached: Sequence[tuple[Rule, CounterKey, int]]) -> None:
        for rule, key, total in reached:
            for kind, ppm in (*((EventKind.WARN, warn) for warn in rule.warn_at_ppm), (EventKind.EXCEED, PPM)):
                if total < 1 or total * PPM < ppm * rule.limit:
                    continue
                near = {
                    k for k, *mark in self.fired
                    if mark == [kind, ppm] and k[:3] == key[:3]
                    and (
                        key.window_start_ns - k.window_start_ns < rule.window.rolling_ns
                        if rule.window.rolling_ns else k == key
                    )
                }  # fmt: skip
                if near:
                    continue
                self.fired.add((key, kind, ppm))
                self.events.append(Event(key, kind, ppm, call["start_time_ns"], total, rule.limit, rule.unit))


def amount(rule: Rule, call: Mapping[str, Any]) -> int:
    if rule.unit is Unit.CALLS:
        return 1
    if rule.unit is Unit.TOKENS:
        return (call["input_tokens"] or 0) + (call["output_tokens"] or 0)
    cost: int = call["cost_pico_usd"] or 0
    unpriced = call["cost_pico_usd"] is None or call["cost_status"] in ("unpriced", "partial")
    if unpriced and rule.unpriced is Unpriced.WORST_CASE:
        return max(cost, 7 * (call["input_tokens"] or 0) + 11 * (call["output_tokens"] or 0))
    return cost


def _with(call: Mapping[str, Any], model: str) -> dict[str, Any]:
    cost = price(call, model)
    return {**call, "model": model} | ({} if cost is None else {"cost_pico_usd": cost, "cost_status": "priced"})
