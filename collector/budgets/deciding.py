"""May this call be made? Pure: what the budgets that a call counts in say, given what is spent and leased.

A rule looks at `spent + leased + need`: what is in the ledger, what others (and the caller) may still spend by live
leases, and what this call takes. Up to the first `warn_at` it says nothing. Above, the deciding actions of `on_warn`
hold, above the limit those of `on_exceed`, and still those of `on_warn` where `on_exceed` neither blocks nor asks for
approval: passing the limit never lets a call through that the warning refuses. Only `block` and `approval` of
`on_exceed` make a limit that holds.

`cheaper_model` is for models that have a replacement which passes all rules, or whose replacement has one, and so on:
the first that passes is named. To other models it says nothing, and the rule's next action decides: approval, else
block, else throttle. Of several rules the strongest refusal counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from collector.budgets.counting import dimensions_of, scope_value
from collector.budgets.model import PPM, Action, Claim, CounterKey, Decision, Refusal, Rule, Unit, Unpriced, WindowKind
from collector.budgets.windows import window_at

_FIRST_OF_A_RULE = (
    (Action.APPROVAL, Decision.APPROVAL),  # before block: who wants both wants calls refused until somebody approves
    (Action.BLOCK, Decision.BLOCK),
    (Action.THROTTLE, Decision.THROTTLE),
)
_STRENGTH = {decision: strength for strength, decision in enumerate(Decision)}  # from allow to block


class HardRule:
    """A rule made ready for many claims: it keeps the window that it was last asked for. Not thread-safe."""

    __slots__ = (
        "_end_ns",
        "_from_ns",
        "_is_rolling",
        "_name",
        "_name_ns",
        "_organization",
        "_start_ns",
        "_wanted",
        "decides_at_warn",
        "holds_at_limit",
        "rule",
    )

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.decides_at_warn = bool(rule.warn_at_ppm) and any(action in DECIDING for action in rule.on_warn)
        self.holds_at_limit = not _HOLDING.isdisjoint(rule.on_exceed)
        self._is_rolling = rule.window.kind is WindowKind.ROLLING
        wanted = dict(rule.scope)
        self._wanted = tuple((name, wanted.get(name)) for name in dimensions_of(rule))
        self._name, self._organization, self._from_ns = rule.name, rule.organization, rule.from_ns
        self._start_ns, self._end_ns, self._name_ns = 0, 0, 0  # holds no time yet

    def key(self, claim: Claim, at_ns: int) -> CounterKey | None:
        """The counter of a call that starts then, as `collector.budgets.counting.key_of`; None: it is in none.

        Of a rolling window the start is 0: leases are of the whole window, whichever buckets it has.
        """
        organization = self._organization
        if (organization is not None and organization != claim.org_id) or at_ns < self._from_ns:
            return None
        found: list[str] = []
        for name, wanted in self._wanted:
            value = _value(claim, name) if name in _NO_OWNERS else claim.owners.get(name)
            if value is None or (wanted is not None and wanted != value):
                return None
            found.append(value)
        value = found[0] if len(found) == 1 else scope_value(tuple(found))
        start_ns = self._name_ns if self._start_ns <= at_ns < self._end_ns else self._window_start(at_ns)
        return CounterKey(claim.org_id, self._name, value, start_ns)

    def matches(self, org_id: str, at_ns: int) -> dict[str, str | None] | None:
        """What calls of an organisation that count in it have: dimension -> value, None: any. None: there are none."""
        if at_ns < self._from_ns or not self.is_for(org_id):
            return None
        return {name: wanted for name, wanted in self._wanted if name != "organization"}

    def is_for(self, org_id: str) -> bool:
        """Whether calls of an organisation can count in it."""
        return self._organization in (None, org_id) and dict(self._wanted).get("organization") in (None, org_id)

    def quiet(self, limit: int) -> int:
        """Up to this amount the rule says nothing, of a limit."""
        return self.rule.warn_at_ppm[0] * limit // PPM if self.decides_at_warn else limit

    def end_ns(self, at_ns: int) -> int:
        """When the window of a time is over; of a rolling one, which ends bit by bit, and of others: `NEVER_NS`."""
        if self._is_rolling:
            return NEVER_NS
        if not self._start_ns <= at_ns < self._end_ns:
            self._window_start(at_ns)
        return self._end_ns

    def _window_start(self, at_ns: int) -> int:
        if not self._start_ns <= at_ns < self._end_ns:
            start_ns, end_ns = window_at(self.rule.window, at_ns)
            self._name_ns = 0 if self._is_rolling or end_ns is None else start_ns
            self._start_ns, self._end_ns = (-NEVER_NS, NEVER_NS) if end_ns is None else (start_ns, end_ns)
        return self._name_ns


NEVER_NS = 2**63


class Standing(NamedTuple):
    """One counter that a call would move. Amounts are in the rule's unit."""

    hard: HardRule
    key: CounterKey
    need: int | None  # None: a call without a price is not let through
    spent: int
    leased: int
    limit: int
    holders: int  # that have open leases of it

    @property
    def free(self) -> int:
        """What is left for new leases; negative if more was spent than allowed."""
        return self.limit - self.spent - self.leased


def hard_rules(rules: Sequence[Rule]) -> tuple[HardRule, ...]:
    """Those that decide about calls."""
    return tuple(HardRule(rule) for rule in rules if rule.is_hard)


def match_on(rules: Sequence[HardRule]) -> tuple[str, ...]:
    """The dimensions, `provider`, `model` and `organization` that tell which counters a call moves, and what of them.

    The model also matters where it has a replacement, or where models without a price are treated otherwise.
    """
    names = {name for hard in rules for name in dimensions_of(hard.rule)}
    for rule in (hard.rule for hard in rules):
        if Action.CHEAPER_MODEL in (*rule.on_warn, *rule.on_exceed):
            names |= {"model"}
        if rule.unit is Unit.USD and rule.unpriced is not Unpriced.ALLOW:
            names |= {"provider", "model"}
    return tuple(sorted(names))


def need_of(rule: Rule, claim: Claim, worst_pico_usd_per_token: int) -> int | None:
    """What a claim takes of a rule's unit; None: it has no price, and the rule lets no such call through."""
    if rule.unit is Unit.TOKENS:
        return claim.tokens
    if rule.unit is Unit.CALLS:
        return claim.calls
    if claim.cost_pico_usd is not None:
        return claim.cost_pico_usd
    if rule.unpriced is Unpriced.ALLOW:
        return 0
    if rule.unpriced is Unpriced.REFUSE:
        return None
    if claim.worst_case_pico_usd is not None:
        return claim.worst_case_pico_usd
    return claim.tokens * worst_pico_usd_per_token


def decide(
    standings: Sequence[Standing],
    model: str | None,
    at_ns: int,
    passes: Callable[[str], bool],
    room_at: Callable[[Standing, int], int | None],
    *,
    has_waited: bool = False,
) -> Refusal | None:
    """None: the call may be made. THROTTLE is a refusal too, unless the caller `has_waited`.

    `passes`: whether all rules let the call through with another model. `room_at`: when no more than an amount counts
    in a rolling window, if nothing is added.
    """
    found: list[tuple[Standing, Decision, str | None]] = []
    for standing in standings:
        if standing.need is not None and standing.spent + standing.leased + standing.need <= standing.hard.quiet(
            standing.limit
        ):
            continue
        decision, named = _decision(standing, model, passes)
        if decision is not Decision.ALLOW and not (has_waited and decision is Decision.THROTTLE):
            found.append((standing, decision, named))
    if not found:
        return None
    strongest = max((decision for _, decision, _ in found), key=_STRENGTH.__getitem__)
    same = [(standing, named) for standing, decision, named in found if decision is strongest]
    if strongest is Decision.THROTTLE:
        same = [max(same, key=lambda each: each[0].hard.rule.throttle_seconds)]
    resets = [(_resets_at(standing, strongest, at_ns, room_at), standing, named) for standing, named in same]
    resets_at_ns, last, named = max(resets, key=lambda each: NEVER_NS if each[0] is None else each[0])
    rule = last.hard.rule
    return Refusal(
        strongest,
        rule.name,
        last.key.scope_value,
        rule.unit,
        last.limit,
        last.spent,
        last.leased,
        resets_at_ns,
        model=named,
        retry_after_seconds=rule.throttle_seconds if strongest is Decision.THROTTLE else None,
    )


def _decision(standing: Standing, model: str | None, passes: Callable[[str], bool]) -> tuple[Decision, str | None]:
    """What one rule says, and the cheaper model that it names."""
    rule = standing.hard.rule
    need = standing.need
    if need is None:
        return Decision.BLOCK, None
    if need == 0 and rule.unit is Unit.USD:
        return Decision.ALLOW, None
    actions = _actions(standing.hard, standing.spent + standing.leased + need, standing.limit)
    if Action.CHEAPER_MODEL in actions:
        replacement = next(filter(passes, rule.replacements(model)), None)
        if replacement is not None:
            return Decision.CHEAPER_MODEL, replacement
    return next((decision for action, decision in _FIRST_OF_A_RULE if action in actions), Decision.ALLOW), None


def _actions(hard: HardRule, total: int, limit: int) -> tuple[Action, ...]:
    """Those that decide at the stage that a rule is at, and perhaps others."""
    rule = hard.rule
    at_limit = rule.on_exceed if total > limit else ()
    if hard.holds_at_limit and at_limit:
        return at_limit
    if hard.decides_at_warn and total * PPM > rule.warn_at_ppm[0] * limit:
        return (*at_limit, *rule.on_warn)
    return at_limit


_HOLDING = frozenset({Action.BLOCK, Action.APPROVAL})
DECIDING = frozenset({Action.CHEAPER_MODEL, *(action for action, _ in _FIRST_OF_A_RULE)})


def _resets_at(
    standing: Standing, decision: Decision, at_ns: int, room_at: Callable[[Standing, int], int | None]
) -> int | None:
    """When the rule would let the call through by itself, if nothing else happened; None: never."""
    hard, need = standing.hard, standing.need
    warning = hard.rule.on_warn if hard.decides_at_warn else ()
    is_refused_below = not _HOLDING.isdisjoint(warning) or Action(decision.value) in warning
    most = hard.quiet(standing.limit) if is_refused_below else standing.limit
    if need is None or need > most:
        return None
    if hard.rule.window.kind is WindowKind.ROLLING:
        return room_at(standing, most - need)
    end_ns = hard.end_ns(at_ns)
    return end_ns if end_ns < NEVER_NS else None


def _value(claim: Claim, name: str) -> str | None:
    if name == "organization":
        return claim.org_id
    if name == "provider":
        return claim.provider
    return claim.model


_NO_OWNERS = frozenset({"organization", "provider", "model"})
