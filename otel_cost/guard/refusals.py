"""What may come of asking the collector, other than yes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from otel_cost.guard.held import Claim
from otel_cost.recent import Recent

_MONEY = "USD"
MAX_POLICIES = 4096
"""Kinds of calls whose `unreachable` is remembered (twice as many at most)."""


class Refused(Exception):
    """The collector's answer to a claim, other than yes."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__()
        self.decision = str(answer.get("decision"))
        self.refusal: Mapping[str, Any] = answer.get("refusal") or {}


class Incomplete(Exception):
    """Budgets count by attributes that the claim does not speak of: it is to be made anew, with `Leases.attributes`."""


class ClosedError(Exception):
    """Nobody answers, and the rules said that nothing is let through then; the message is the rules' names."""


class _ClosedRule(NamedTuple):
    rule: str
    unit: str
    calls: Mapping[str, str | None]
    """Which calls it is about: dimension -> value; None: any."""

    def is_for(self, claim: Claim) -> bool:
        """Whether a call counts in it, as far as the claim tells."""
        for name, wanted in self.calls.items():
            value = claim.values.get(name)
            if value is None or wanted not in (None, value):
                return False
        return True


class Closed:
    """Which calls are not made when nobody answers, as last heard. A call that costs nothing is stopped by no budget of
    money, as when there is an answer."""

    def __init__(self) -> None:
        self._of: Recent[Hashable, Sequence[tuple[str, str]]] = Recent(MAX_POLICIES)
        """By kind of call: the rules that say so, and their units."""
        self._rules: Sequence[_ClosedRule] = ()

    def clear(self) -> None:
        """Rules have changed."""
        self._of.clear()
        self._rules = ()

    def heard(self, key: Hashable, answer: Mapping[str, Any]) -> None:
        """An answer of the collector to a claim for a kind of calls."""
        rules: Sequence[tuple[str, str]] = ()
        if answer.get("unreachable") == "closed":
            found = (answer.get("lease") or {}).get("grants") or [answer.get("refusal") or {}]
            rules = [(str(each.get("rule") or "?"), str(each.get("unit"))) for each in found]
        self._of.put(key, rules)
        told = answer.get("closed") or ()
        self._rules = [
            _ClosedRule(str(each.get("rule")), str(each.get("unit")), each.get("calls") or {}) for each in told
        ]

    def of(self, key: Hashable | None, claim: Claim) -> str:
        """The rules that let a call not pass. A kind of calls that was never asked for is looked for in them."""
        known = None if key is None else self._of.get(key)
        is_free = claim.cost_pico_usd == 0
        if known is None or (is_free and known):
            listed = [(each.rule, each.unit) for each in self._rules if each.is_for(claim)]
            known = listed if known is None else listed or known
        return ", ".join(rule for rule, unit in known if not (is_free and unit == _MONEY))
