"""`processors.budget.rules`: read and validated as a whole, so that a typing error is found when the file is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from collector.config import values
from collector.config.problems import BadValue
from collector.config.reader import Section
from otel_cost.call import DIMENSIONS

SCOPES = ("organization", *DIMENSIONS, "provider", "model")
UNITS = ("USD", "tokens", "calls")
WINDOWS = ("run", "hour", "day", "week", "month", "total")
ACTIONS = ("notify", "webhook", "email", "slack", "approval", "cheaper_model", "throttle", "block")

_RULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LIMIT = re.compile(r"([+-]?[0-9.]+)\s*([A-Za-z]+)\s*/\s*(\S+)")
_ROLLING = re.compile(r"[1-9]\d*[hd]")


@dataclass(frozen=True, slots=True)
class Limit:
    """So much of a unit in a window. `amount` is exact; `window` is one of `WINDOWS` or rolling, such as `7d`."""

    amount: Decimal
    unit: str
    window: str


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """One rule. `scope` pairs a dimension with the value it must have, or None for "each value has its own budget"."""

    name: str
    scope: tuple[tuple[str, str | None], ...]
    limit: Limit
    warn_at: tuple[Decimal, ...] = (Decimal("0.80"),)
    on_warn: tuple[str, ...] = ("notify",)
    on_exceed: tuple[str, ...] = ("notify",)


def read_rules(section: Section) -> tuple[BudgetRule, ...]:
    """The rules of the budget processor; names are unique."""
    rules: list[BudgetRule] = []
    taken: set[str] = set()
    for part in section.sections("rules"):
        rule = _rule(part)
        if rule.name and rule.name in taken:
            part.problem(BadValue("another rule has this name"), rule.name, key="name")
        taken.add(rule.name)
        rules.append(rule)
    section.close()
    return tuple(rules)


def _rule(part: Section) -> BudgetRule:
    rule = BudgetRule(
        name=part.require("name", _name, ""),
        scope=part.require("scope", scope, (("organization", None),)),
        limit=part.require("limit", limit, Limit(Decimal(1), "USD", "month")),
        warn_at=part.take("warn_at", _thresholds, (Decimal("0.80"),)),
        on_warn=part.take("on_warn", values.choices(ACTIONS, "action"), ("notify",)),
        on_exceed=part.take("on_exceed", values.choices(ACTIONS, "action"), ("notify",)),
    )
    part.close()
    return rule


def scope(value: object) -> tuple[tuple[str, str | None], ...]:
    """`customer` (each has its own budget), `[customer, feature]`, or `{agent: vision_v3}` (that one)."""
    pairs: list[tuple[str, str | None]] = []
    if isinstance(value, dict):
        given: list[tuple[object, object]] = list(value.items())
    else:
        given = [(word, None) for word in (value if isinstance(value, list) else [value])]
    if not given:
        raise BadValue("must name at least one dimension", words=SCOPES)
    for dimension, wanted in given:
        if dimension not in SCOPES:
            raise BadValue("unknown scope", words=SCOPES, got=dimension)
        if wanted is not None and (not isinstance(wanted, str) or not wanted):
            raise BadValue(f"the {dimension} must be text; put it in quotes", got=wanted)
        pairs.append((str(dimension), None if wanted is None else str(wanted)))
    return tuple(pairs)


def limit(value: object) -> Limit:
    """`500 USD/month`, `2000000 tokens/day`, `100 calls/hour`, `0.50 USD/run`, `20 USD/7d` (rolling)."""
    match = _LIMIT.fullmatch(values.text(value).strip())
    try:
        amount = Decimal(match.group(1)) if match else None
    except ArithmeticError:
        amount = None
    if match is None or amount is None:
        raise BadValue("must be an amount, a unit and a window", allowed='for example "500 USD/month"')
    unit, window = match.group(2), match.group(3)
    if unit not in UNITS:
        raise BadValue("unknown unit", words=UNITS, got=unit)
    if window not in WINDOWS and not _ROLLING.fullmatch(window):
        raise BadValue("unknown window", words=(*WINDOWS, "rolling such as 7d"), got=window)
    if amount <= 0:
        raise BadValue("must be above 0")
    pico = amount * 10**12 if unit == "USD" else amount
    if pico != int(pico):
        raise BadValue("is finer than one pico-dollar" if unit == "USD" else f"must be a whole number of {unit}")
    return Limit(amount, unit, window)


def _name(value: object) -> str:
    written = values.text(value)
    if not _RULE_NAME.fullmatch(written):
        raise BadValue("must be letters, digits, dots, dashes and underscores")
    return written


def _thresholds(value: object) -> tuple[Decimal, ...]:
    return tuple(sorted({values.percent(item) for item in (value if isinstance(value, list) else [value])}))
