"""A budget rule as a config writes it: the inverse of `collector.config.budget.read_rule`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from collector.budgets.model import ASK_AGAIN_NS, Rule, Unit, Unpriced, Window, WindowKind
from collector.budgets.windows import DAY_NS, HOUR_NS
from collector.config.budget import NEVER, WEEKDAYS, read_rule
from collector.config.problems import ConfigError, Problems
from collector.config.reader import Section

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PPM_PER_PERCENT = 10_000


def written(rule: Rule) -> dict[str, Any]:
    """The rule as a mapping of plain values, in the order of the documentation. What is the default is left out."""
    plain = Rule(rule.name, rule.scope, rule.limit, rule.unit, Window(rule.window.kind, rule.window.rolling_ns))
    limits = f"{written_amount(rule.limit, rule.unit)}/{written_window(rule.window)}"
    said: dict[str, Any] = {"name": rule.name, "scope": _scope(rule), "limit": limits}
    said["warn_at"] = [written_share(ppm) for ppm in rule.warn_at_ppm]
    said["on_warn"] = [str(action) for action in rule.on_warn]
    said["on_exceed"] = [str(action) for action in rule.on_exceed]
    others = {
        "time_zone": rule.window.time_zone,
        "billing_day": rule.window.billing_day,
        "week_start": WEEKDAYS[rule.window.week_start],
        "unpriced": str(rule.unpriced),
        "start": written_start(rule.from_ns),
        "cheaper": dict(rule.cheaper),
        "throttle": written_seconds(rule.throttle_seconds),
        "when_unreachable": "closed" if rule.is_closed_when_unreachable else "open",
        "organization": rule.organization,
        "ask_again": NEVER if rule.ask_again_ns is None else written_seconds(rule.ask_again_ns / 10**9),
        "max_raise": None if rule.max_raise is None else written_amount(rule.max_raise, rule.unit),
    }
    defaults = {
        "time_zone": plain.window.time_zone,
        "billing_day": plain.window.billing_day,
        "week_start": WEEKDAYS[plain.window.week_start],
        "unpriced": str(Unpriced.ALLOW),
        "start": written_start(plain.from_ns),
        "cheaper": {},
        "throttle": written_seconds(plain.throttle_seconds),
        "when_unreachable": "open",
        "organization": None,
        "ask_again": written_seconds(ASK_AGAIN_NS / 10**9),
        "max_raise": None,
    }
    return said | {key: value for key, value in others.items() if value != defaults[key]}


def as_json(rule: Rule) -> str:
    """The same as JSON text, as the ledger keeps it."""
    return json.dumps(written(rule), ensure_ascii=False)


def from_json(text: str) -> Rule:
    """The rule of such a text.

    Raises:
        ConfigError: it is no rule that this version understands.
    """
    problems = Problems("ledger")
    rule = read_rule(Section(problems, "rule", json.loads(text)))
    if problems.lines:
        raise ConfigError(problems.lines)
    return rule


def written_amount(amount: int, unit: Unit) -> str:
    """`5 USD`, `0.000001 USD`, `2000000 tokens`."""
    return f"{usd_text(amount)} USD" if unit is Unit.USD else f"{amount} {unit}"


def usd_text(pico_usd: int) -> str:
    """Dollars with every digit that counts, and no others: `5`, `0.5`."""
    text = f"{Decimal(pico_usd).scaleb(-12):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def written_window(window: Window) -> str:
    """`month`, `7d`, `36h`."""
    if window.kind is not WindowKind.ROLLING:
        return str(window.kind)
    length_ns = window.rolling_ns
    return f"{length_ns // DAY_NS}d" if length_ns % DAY_NS == 0 else f"{length_ns // HOUR_NS}h"


def written_share(ppm: int) -> str:
    """`80%`, `33.3333%`."""
    return f"{(Decimal(ppm) / _PPM_PER_PERCENT).normalize():f}%"


def written_start(from_ns: int) -> str:
    """`history`, or an instant in UTC."""
    return (_EPOCH + timedelta(seconds=from_ns // 10**9)).isoformat() if from_ns else "history"


def written_seconds(seconds: float) -> str:
    """`1s`, `0.25s`."""
    return f"{(Decimal(round(seconds * 10**9)).scaleb(-9)).normalize():f}s"


def _scope(rule: Rule) -> str | list[str] | dict[str, str | None]:
    if any(value is not None for _, value in rule.scope):
        return dict(rule.scope)
    names = [name for name, _ in rule.scope]
    return names[0] if len(names) == 1 else names
