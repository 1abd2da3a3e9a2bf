"""`processors.budget.rules`: read and validated as a whole, so that a typing error is found when the file is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from collector.budgets.actions.config import AnyChannel
from collector.budgets.model import ASK_AGAIN_NS, PPM, SCOPES, Action, Rule, Unit, Unpriced, Window, WindowKind
from collector.budgets.windows import DAY_NS, HOUR_NS
from collector.config import values
from collector.config.channels import check_channels
from collector.config.problems import BadValue
from collector.config.reader import Section
from otel_cost.attributes import OTEL_COST_INGEST_TOKEN
from otel_cost.call import ATTRIBUTE
from otel_cost.pricing.money import PICO_PER_USD

UNITS = tuple(unit.value for unit in Unit)
WINDOWS = tuple(kind.value for kind in WindowKind if kind is not WindowKind.ROLLING)
ACTIONS = tuple(action.value for action in Action)
UNPRICED = tuple(each.value for each in Unpriced)
UNREACHABLE = ("open", "closed")
NEVER = "never"
NOW = "now"
ALIASES = {"ingest_token": f"{ATTRIBUTE}{OTEL_COST_INGEST_TOKEN}"}
"""Scopes that are attributes which the collector itself sets."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MAX_LIMIT = 10**18
"""In a rule's unit: a million dollars, or more tokens than anybody uses. Above, sums might not fit into a column."""
MAX_THROTTLE_SECONDS = 3600.0
MAX_ROLLING_DAYS = 400

_RULE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LIMIT = re.compile(r"([+-]?[0-9.]+)\s*([A-Za-z]+)\s*/\s*(\S+)")
_ROLLING = re.compile(r"([1-9]\d{0,4})([hd])")
_ATTRIBUTE_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,127}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_rules(section: Section, channels: Collection[AnyChannel] = ()) -> tuple[Rule, ...]:
    """The rules of the budget processor, which tell on `channels`; names are unique."""
    rules: list[Rule] = []
    taken: set[str] = set()
    for part in section.sections("rules"):
        rule = read_rule(part)
        check_channels(part, rule, channels)
        if rule.name and rule.name in taken:
            part.problem(BadValue("another rule has this name"), rule.name, key="name")
        taken.add(rule.name)
        rules.append(rule)
    section.close()
    return tuple(rules)


def read_rule(part: Section) -> Rule:
    """One rule, as the config and the API write it; what is wrong is noted with the section."""
    limit, unit, window = part.require("limit", _limit, (1, Unit.USD, Window(WindowKind.MONTH)))
    notify: tuple[Action, ...] = (Action.NOTIFY,)
    ask_again_ns: int | None = ASK_AGAIN_NS
    on_warn, on_exceed = (part.take(key, _actions, notify) for key in ("on_warn", "on_exceed"))
    rule = Rule(
        name=part.require("name", _name, ""),
        scope=part.require("scope", scope, (("organization", None),)),
        limit=limit,
        unit=unit,
        window=Window(
            window.kind,
            window.rolling_ns,
            part.take("time_zone", _time_zone, "UTC"),
            part.take("billing_day", values.integer(1, 31), 1),
            part.take("week_start", _weekday, 0),
        ),
        warn_at_ppm=part.take("warn_at", _thresholds, (800_000,)),
        on_warn=on_warn,
        on_exceed=on_exceed,
        unpriced=Unpriced(part.take("unpriced", values.choice(UNPRICED), Unpriced.ALLOW.value)),
        from_ns=part.take("start", start_ns, 0),
        is_closed_when_unreachable=part.take("when_unreachable", values.choice(UNREACHABLE), "open") == "closed",
        cheaper=part.take("cheaper", _replacements, MappingProxyType({})),
        throttle_seconds=part.take("throttle", values.seconds(0.001, MAX_THROTTLE_SECONDS), 1.0),
        organization=part.take("organization", values.text, "") or None,
        ask_again_ns=part.take("ask_again", _ask_again, ask_again_ns),
        max_raise=part.take("max_raise", lambda value: _raise(value, unit), None),
    )
    _check(part, rule)
    part.close()
    return rule


def _check(part: Section, rule: Rule) -> None:
    """What single keys cannot show."""
    actions = (*rule.on_warn, *rule.on_exceed)
    if Action.CHEAPER_MODEL in actions and not rule.cheaper:
        part.problem(BadValue("is required by cheaper_model, such as {gpt-4o: gpt-4o-mini}"), None, key="cheaper")
    if rule.window.kind is WindowKind.RUN and dict(rule.scope).get("run"):
        part.problem(BadValue("a window of a run needs no certain run; leave its name out"), None, key="scope")


def scope(value: object) -> tuple[tuple[str, str | None], ...]:
    """`customer` (each has its own budget), `[customer, feature]`, or `{agent: vision_v3}` (that one); of attributes
    `attribute.deployment.region`, `{attribute.deployment.region: eu}`, or `{attribute: {deployment.region: eu}}`."""
    pairs: list[tuple[str, str | None]] = []
    if isinstance(value, dict):
        given: list[tuple[object, object]] = [pair for entry in value.items() for pair in _flat(*entry)]
    else:
        given = [(word, None) for word in (value if isinstance(value, list) else [value])]
    if not given:
        raise BadValue("must name at least one dimension", words=SCOPES)
    for dimension, wanted in given:
        dimension = ALIASES.get(str(dimension), dimension)
        if dimension not in SCOPES and not _is_attribute(dimension):
            raise BadValue("unknown scope", words=(*SCOPES, *ALIASES, f"{ATTRIBUTE}KEY"), got=dimension)
        if any(dimension == known for known, _ in pairs):
            raise BadValue(f"names the {dimension} twice", got=dimension)
        if wanted is not None and (not isinstance(wanted, str) or not wanted):
            raise BadValue(f"the {dimension} must be text; put it in quotes", got=wanted)
        pairs.append((str(dimension), None if wanted is None else str(wanted)))
    return tuple(pairs)


def _flat(dimension: object, wanted: object) -> list[tuple[object, object]]:
    """`attribute: {key: value}` as `attribute.key: value`; others as they are."""
    if dimension != ATTRIBUTE.rstrip(".") or not isinstance(wanted, dict):
        return [(dimension, wanted)]
    return [(f"{ATTRIBUTE}{key}", value) for key, value in wanted.items()]


def _is_attribute(dimension: object) -> bool:
    return (
        isinstance(dimension, str)
        and dimension.startswith(ATTRIBUTE)
        and _ATTRIBUTE_KEY.fullmatch(dimension, len(ATTRIBUTE)) is not None
    )


def _limit(value: object) -> tuple[int, Unit, Window]:
    """`500 USD/month`, `2000000 tokens/day`, `100 calls/hour`, `0.50 USD/run`, `20 USD/7d` (rolling)."""
    match = _LIMIT.fullmatch(values.text(value).strip())
    if match is None or not _is_number(match.group(1)):
        raise BadValue("must be an amount, a unit and a window", allowed='for example "500 USD/month"')
    unit, window = match.group(2), match.group(3)
    if unit not in UNITS:
        raise BadValue("unknown unit", words=UNITS, got=unit)
    return amount(match.group(1), Unit(unit)), Unit(unit), _window(window)


def amount(written: str, unit: Unit) -> int:
    """A decimal number of dollars, tokens or calls, in whole units (pico-USD)."""
    if not _is_number(written):
        raise BadValue("must be a number", got=written)
    number = Decimal(written)
    if number < 0:
        raise BadValue("must be 0 or more")
    whole = number * PICO_PER_USD if unit == Unit.USD else number
    if whole != int(whole):
        raise BadValue("is finer than one pico-dollar" if unit == Unit.USD else f"must be a whole number of {unit}")
    if whole > MAX_LIMIT:
        raise BadValue("is above what can be counted", allowed="1000000 USD" if unit == Unit.USD else str(MAX_LIMIT))
    return int(whole)


def _is_number(written: str) -> bool:
    return re.fullmatch(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})", written) is not None


def _raise(value: object, unit: Unit) -> int:
    """`50 USD`, in the unit of the limit."""
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]+)", values.text(value).strip())
    if match is None or match.group(2) != unit:
        raise BadValue("must be an amount in the unit of the limit", allowed=f'for example "50 {unit}"')
    return amount(match.group(1), unit)


def _ask_again(value: object) -> int | None:
    """`4h`: so long after a denial; `never`: not in the same window."""
    if value == NEVER:
        return None
    try:
        return round(values.seconds(1.0, MAX_ROLLING_DAYS * 86_400.0)(value) * 10**9)
    except BadValue as problem:
        raise BadValue(str(problem), allowed=f"a time such as 4h, or {NEVER}") from None


def _window(written: str) -> Window:
    rolling = _ROLLING.fullmatch(written)
    if rolling is not None:
        length_ns = int(rolling.group(1)) * (DAY_NS if rolling.group(2) == "d" else HOUR_NS)
        if length_ns <= MAX_ROLLING_DAYS * DAY_NS:
            return Window(WindowKind.ROLLING, length_ns)
        raise BadValue(f"a rolling window has at most {MAX_ROLLING_DAYS} days", got=written)
    if written not in WINDOWS:
        raise BadValue("unknown window", words=(*WINDOWS, "rolling such as 7d"), got=written)
    return Window(WindowKind(written))


def made_at(said: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A rule that is made at run time: `start: now` is written as the time at which it is made."""
    return {**said, "start": now.isoformat(timespec="seconds")} if said.get("start") == NOW else dict(said)


def start_ns(value: object) -> int:
    """`history` (all that is in the ledger counts), or a date, with or without a time; UTC unless it says otherwise."""
    if value == "history":
        return 0
    if value == NOW:
        raise BadValue("is another time at each start of a collector; only rules that are made at run time may say it")
    written = value.isoformat() if isinstance(value, date) else values.text(value)  # YAML reads dates itself
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise BadValue("must be history, or a date", allowed="history, 2026-12-01, 2026-12-01T08:00+01:00") from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int((aware - _EPOCH).total_seconds()) * 1_000_000_000


def _time_zone(value: object) -> str:
    written = values.text(value)
    try:
        ZoneInfo(written)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise BadValue("unknown time zone", allowed="IANA names such as Europe/Berlin", words=_zones()) from None
    return written


def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _weekday(value: object) -> int:
    return WEEKDAYS.index(values.choice(WEEKDAYS)(value))


def _replacements(value: object) -> Mapping[str, str]:
    """Model -> what is called in its place."""
    if not isinstance(value, dict) or not value:
        raise BadValue("must pair models with their replacements", allowed="{gpt-4o: gpt-4o-mini}")
    pairs = {values.text(model): values.text(replacement) for model, replacement in value.items()}
    for model, replacement in pairs.items():
        if model == replacement:
            raise BadValue("a model cannot replace itself", got=model)
    for model in pairs:
        _no_cycle(pairs, model)
    return MappingProxyType(pairs)


def _no_cycle(pairs: Mapping[str, str], model: str) -> None:
    """Raises BadValue where the replacements of a model lead back to it."""
    chain = [model]
    while (following := pairs.get(chain[-1])) is not None:
        chain.append(following)
        if following == model:
            raise BadValue("models replace one another in a circle", got=" -> ".join(chain))
        if following in chain[:-1]:
            return  # a circle further on


def _actions(value: object) -> tuple[Action, ...]:
    return tuple(Action(word) for word in values.choices(ACTIONS, "action")(value))


def _name(value: object) -> str:
    written = values.text(value)
    if not _RULE_NAME.fullmatch(written):
        raise BadValue("must be letters, digits, dots, dashes and underscores")
    return written


def _thresholds(value: object) -> tuple[int, ...]:
    shares = {values.percent(item) for item in (value if isinstance(value, list) else [value])}
    return tuple(sorted(int(share * PPM) for share in shares))
