"""The split of `otel_cost.usage` for one set of keys, worked out once, for counts that fit each other.

Where no part is larger than its whole, every cell is a sum of some counts less some others. `plan_of` is given what the
rules of the split made of such sums instead of numbers: a comparison went the usual way, and that is its condition.
What is left is a function of a few additions; where a condition does not hold, or a count is no clean number, it
answers None, and the rules are run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from otel_cost.pricing import units

Terms = tuple[tuple[str, int], ...]
"""Key of a count, or "" for the constant -> how often it is added; sorted, none of them zero."""

Cells = tuple[dict[str, int], int]
"""Cells with a quantity, in the order of a receipt, and the total of input tokens."""

Plan = Callable[[Mapping[str, int]], Cells | None]


class Sum:
    """A sum of counts, and the sums that must not be negative for it to be right. Counts are never negative."""

    __slots__ = ("conditions", "terms")

    def __init__(self, terms: Mapping[str, int], conditions: frozenset[Terms] = frozenset()) -> None:
        self.terms: Terms = tuple(sorted((key, times) for key, times in terms.items() if times))
        self.conditions = conditions

    def _plus(self, other: Any, times: int) -> Sum:
        added = _sum_of(other)
        terms = dict(self.terms)
        for key, count in added.terms:
            terms[key] = terms.get(key, 0) + times * count
        return Sum(terms, self.conditions | added.conditions)

    def __add__(self, other: Any) -> Sum:
        return self._plus(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Sum:
        return self._plus(other, -1)

    def __rsub__(self, other: Any) -> Sum:
        return _sum_of(other) - self

    def __mul__(self, other: Any) -> Sum:
        """Used only to switch something on or off: one factor is a constant, and nothing counts beside a zero."""
        value = self.constant
        if value is None:
            return _sum_of(other) * self
        factor = _sum_of(other)
        if not value:
            return Sum({}, self.conditions)
        return Sum({key: value * times for key, times in factor.terms}, self.conditions | factor.conditions)

    __rmul__ = __mul__

    def __or__(self, other: Any) -> Sum:
        """Of two constants, as flags are."""
        added = _sum_of(other)
        return Sum({"": (self.constant or 0) | (added.constant or 0)}, self.conditions | added.conditions)

    __ror__ = __or__

    def __gt__(self, other: Any) -> Sum:
        """Usually no part is larger than its whole, and nothing is left over."""
        return self._unless(_sum_of(other) - self)

    def __lt__(self, other: Any) -> Sum:
        return _sum_of(other) > self

    def __eq__(self, other: Any) -> Sum:  # type: ignore[override]
        """Asked only of a total: whether it is missing."""
        return self._unless(self - 1) if self.terms else Sum({"": 1}, self.conditions)

    __hash__ = None  # type: ignore[assignment]

    def _unless(self, rest: Sum) -> Sum:
        """No, if `rest` is not negative."""
        return Sum({}, self.conditions | rest.conditions | _not_negative(rest))

    @property
    def constant(self) -> int | None:
        """Its value, if no count is in it."""
        if not self.terms:
            return 0
        return self.terms[0][1] if self.terms[0][0] == "" and len(self.terms) == 1 else None


def _sum_of(value: Any) -> Sum:
    return value if isinstance(value, Sum) else Sum({"": int(value)})


def _not_negative(rest: Sum) -> frozenset[Terms]:
    return frozenset((rest.terms,)) if any(times < 0 for _, times in rest.terms) else frozenset()


def low(one: Any, other: Any) -> Any:
    """The smaller of two: usually the first, which is a part of the second."""
    one, other = _sum_of(one), _sum_of(other)
    if not one.terms:
        return 0
    rest = other - one
    return Sum(dict(one.terms), rest.conditions | _not_negative(rest))


def high(one: Any, other: Any) -> Any:
    """The larger of two: usually the first, the whole of which the second is a part."""
    one, other = _sum_of(one), _sum_of(other)
    if not one.terms or not other.terms:
        return one + other
    rest = one - other
    return Sum(dict(one.terms), rest.conditions | _not_negative(rest))


def plan_of(keys: Iterable[str], cells: Iterable[tuple[str, Any]], total: Any, flags: Any) -> Plan:
    """The function of a split of usage with these keys, which was run over sums."""
    sums = {leaf: _sum_of(found) for leaf, found in cells}
    whole = _sum_of(total)
    conditions = whole.conditions.union(_sum_of(flags).conditions, *(found.conditions for found in sums.values()))
    names = {key: f"n{i}" for i, key in enumerate(sorted(keys))}
    body = [f"{name} = usage[{key!r}]" for key, name in names.items()]
    body.append(f"if not ({' is '.join(f'type({name})' for name in names.values())} is int): return None")
    body.append(f"if not 0 <= {' | '.join(names.values())} <= {units.MAX_QUANTITY}: return None")
    conditions = conditions.union(*map(_not_negative, sums.values()))
    body += [f"if {_source(c, names, -1)} > {_source(c, names, 1)}: return None" for c in sorted(conditions)]
    body.append("cells = {}")
    for leaf in sorted(sums, key=units.LEAF_ORDER.__getitem__):
        terms = sums[leaf].terms
        if terms:
            less = f" - ({_source(terms, names, -1)})" if _not_negative(sums[leaf]) else ""
            body.append(f"if n := {_source(terms, names, 1)}{less}: cells[{leaf!r}] = n")
    body.append(f"return cells, {_source(whole.terms, names, 1)}")
    scope: dict[str, Any] = {}
    # The text is made of unit keys and whole numbers, nothing from a span.
    exec("def plan(usage):\n    " + "\n    ".join(body), scope)
    plan: Plan = scope["plan"]
    return plan


def _source(terms: Terms, names: Mapping[str, str], sign: int) -> str:
    """What of a sum is added (or, with -1, taken away) as Python."""
    added = [(names[key], abs(times)) if key else (str(abs(times)), 1) for key, times in terms if times * sign > 0]
    return " + ".join(name if times == 1 else f"{times} * {name}" for name, times in added) or "0"
