"""`otel-cost budgets list`: every budget as it is now, or was at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from collector.budgets.counters import Counters
from collector.budgets.model import CounterKey, Rule, Spent, WindowKind
from collector.budgets.windows import window_at
from collector.cli.amounts import exact, ratio
from collector.cli.budgets_api import Api, config_option
from collector.cli.budgets_ledger import NO_BUDGETS, NO_TIME_NS, Budgets, budgets_of
from collector.cli.budgets_words import (
    as_text,
    bar,
    dollars,
    left,
    local_time,
    resets_at_ns,
    share_ppm,
    shown,
    state,
    utc,
    window_words,
)
from collector.cli.budgets_words import percent as share_text
from collector.cli.ledger import Ledger, db_option
from collector.cli.table import Column, console, print_table, printable
from collector.cli.window import window


@dataclass(frozen=True, slots=True)
class Line:
    """One counter."""

    rule: Rule
    key: CounterKey
    spent: Spent
    limit: int
    at_ns: int
    leased: int | str | None = None  # as the API says it; None: nobody answers

    @property
    def amount(self) -> int:
        """In the rule's unit."""
        return self.spent.of(self.rule.unit)

    @property
    def share_ppm(self) -> int:
        return share_ppm(self.amount, self.limit)


@click.command(name="list", short_help="every budget as it is now, or was at a time")
@click.option("--rule", "names", multiple=True, metavar="RULE", help="Only this budget; repeat for several.")
@click.option("--at", "at", metavar="WHEN", help="As it was then: an age (24h, 7d), a date or a time in UTC.")
@click.option("--all", "everything", is_flag=True, help="Windows of the past too, as far as the ledger shows them.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows of each budget.")
@config_option
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    names: tuple[str, ...],
    at: str | None,
    everything: bool,
    limit: int,
    config_file: Path | None,
    db: Path,
    json_output: bool,
) -> None:
    """Every counter of every budget: what was spent, the limit, and when it begins anew. Read from the ledger.

    While a collector with an API runs, it says what guards have leased; that is spent, or given back, within seconds.

    \b
    Examples:
      otel-cost budgets list
      otel-cost budgets list --rule per-customer
      otel-cost budgets list --at 2026-11-01
      otel-cost budgets list --all --json

    \b
    Exit codes:
      0  done, also when there is nothing to show
      1  there is no ledger, or it cannot be read
      2  a wrong option, or a --rule that does not exist
    """
    budgets = budgets_of(Ledger(db))
    rules = [budgets.rule(name) for name in names] or list(budgets.rules)
    now_ns = time.time_ns()
    at_ns = _instant_ns(at) if at else now_ns
    lines = past_lines(budgets, rules, at_ns) if everything else lines_at(budgets, rules, at_ns, now_ns)
    if not at and not everything and lines:
        lines = with_leases(lines, Api(config_file))
    if json_output:
        said = {**budgets.ledger.as_of(), "at": utc(at_ns), "budgets": [as_json(line) for line in lines]}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    elif lines:
        print_lines(console(), lines, limit, now_ns)
    else:
        console().print(Text(f"No budget has counted anything {'then' if at else 'yet'}." if rules else NO_BUDGETS))


def _instant_ns(text: str) -> int:
    try:
        moment = window(text, None, "UTC").since
    except click.BadParameter as error:
        raise click.BadParameter(error.message, param_hint="--at") from None
    return time.time_ns() if moment is None else int(moment.timestamp()) * 10**9


def lines_at(budgets: Budgets, rules: Sequence[Rule], at_ns: int, now_ns: int) -> list[Line]:
    """The counters of the windows of a time. The ledger shows no buckets of the past: those are counted from calls."""
    if not rules:
        return []
    held = budgets.counters(at_ns)
    found: list[Line] = []
    for rule in rules:
        counters = held
        if at_ns < now_ns and rule.window.kind in (WindowKind.ROLLING, WindowKind.TOTAL, WindowKind.RUN):
            since_ns = window_at(rule.window, at_ns).start_ns if rule.window.rolling_ns else NO_TIME_NS
            counters = budgets.counted([rule], at_ns, since_ns, at_ns)
        found += _lines(rule, counters, at_ns)
    return found


def _lines(rule: Rule, counters: Counters, at_ns: int) -> list[Line]:
    each = [
        Line(rule, key, spent, counters.limit(rule, key, at_ns), at_ns)
        for key, spent in counters.of_rule(rule.name, at_ns)
        if any(spent)
    ]
    return sorted(each, key=lambda line: (-line.share_ppm, line.key))


def past_lines(budgets: Budgets, rules: Sequence[Rule], now_ns: int) -> list[Line]:
    """All windows that the ledger shows, the newest first; of rolling ones that of now."""
    if not rules:
        return []
    counters = budgets.counters(now_ns)
    found: list[Line] = []
    for rule in rules:
        if rule.window.kind is WindowKind.ROLLING:
            found += _lines(rule, counters, now_ns)
            continue
        held = [(key, spent) for key, spent in counters.all(rule.name).items()]
        held.sort(key=lambda pair: (-pair[0].window_start_ns, -pair[1].of(rule.unit), pair[0]))
        for key, spent in held:
            at_ns = key.window_start_ns or now_ns
            found.append(Line(rule, key, spent, counters.limit(rule, key, at_ns), at_ns))
    return found


def with_leases(lines: Sequence[Line], api: Api) -> list[Line]:
    """With what the collector says is leased, if it answers."""
    said = api.glance("budgets")
    if said is None:
        return list(lines)
    leased: dict[tuple[str, str, str], int | str] = {}
    for budget in said.get("budgets", ()):
        for each in budget.get("counters", ()):
            leased[budget["name"], each["org"], each["scope_value"]] = each["leased"]
    return [
        Line(line.rule, line.key, line.spent, line.limit, line.at_ns, leased.get((line.key.rule, *_who(line.key))))
        for line in lines
    ]


def _who(key: CounterKey) -> tuple[str, str]:
    return key.org_id, key.scope_value


def as_json(line: Line) -> dict[str, Any]:
    """One counter as JSON carries it."""
    rule, ends_ns = line.rule, resets_at_ns(line.rule, line.at_ns)
    starts_ns = None if rule.window.kind in (WindowKind.RUN, WindowKind.TOTAL) else line.key.window_start_ns
    share = ratio(Decimal(line.amount), Decimal(line.limit))
    return {
        "rule": rule.name,
        "org": line.key.org_id,
        "scope": [name for name, _ in rule.scope],
        "scope_value": line.key.scope_value,
        "unit": str(rule.unit),
        "spent": as_text(line.amount, rule.unit),
        "limit": as_text(line.limit, rule.unit),
        "leased": line.leased,
        "share": None if share is None else exact(share),
        "state": state(rule, line.amount, line.limit),
        "window": window_words(rule),
        "time_zone": rule.window.time_zone,
        "starts_at": None if starts_ns is None else utc(starts_ns),
        "resets_at": None if ends_ns is None else utc(ends_ns),
        "cost_usd": exact(dollars(line.spent.cost_pico_usd)),
        "tokens": line.spent.tokens,
        "calls": line.spent.calls,
        "unpriced_calls": line.spent.unpriced_calls,
    }


def print_lines(out: Console, lines: Sequence[Line], limit: int, now_ns: int) -> None:
    """One table for all rules; of each the fullest counters."""
    told: list[Line] = []
    hidden: dict[str, int] = {}
    for line in lines:
        if sum(each.rule is line.rule for each in told[-limit:]) < limit:
            told.append(line)
        else:
            hidden[line.rule.name] = hidden.get(line.rule.name, 0) + 1
    several = len({line.key.org_id for line in told}) > 1
    columns = [
        Column("budget", [line.rule.name for line in told], left=True, least=12),
        Column("org", [printable(line.key.org_id) if several else "-" for line in told], rank=3, left=True, least=8),
        Column("for", [printable(line.key.scope_value) for line in told], left=True, least=12),
        Column("spent", [shown(line.amount, line.rule.unit) for line in told]),
        Column("limit", [shown(line.limit, line.rule.unit) for line in told]),
        Column("", [bar(line.share_ppm) for line in told], rank=5),
        Column("used", [share_text(line.share_ppm) for line in told]),
        Column("state", [state(line.rule, line.amount, line.limit) for line in told], left=True, least=8),
        Column("leased", [_leased(line) for line in told], rank=4),
        Column("unpriced", [str(line.spent.unpriced_calls or "-") for line in told], rank=6),
        Column("window", [window_words(line.rule) for line in told], rank=2, left=True, least=8),
        Column("resets", [_resets(line, now_ns) for line in told], rank=1, left=True, least=16),
    ]
    print_table(out, columns)
    for name, more in hidden.items():
        out.print(Text(f"{name}: {more:,} more; --limit shows them", style="dim"))


def _leased(line: Line) -> str:
    if not line.leased or (isinstance(line.leased, str) and not Decimal(line.leased)):
        return "-"
    return f"${line.leased}" if isinstance(line.leased, str) else f"{line.leased:,}"


def _resets(line: Line, now_ns: int) -> str:
    ends_ns = resets_at_ns(line.rule, line.at_ns)
    if ends_ns is None:
        return "bit by bit" if line.rule.window.kind is WindowKind.ROLLING else "-"
    when = local_time(ends_ns, line.rule.window.time_zone)
    return f"{when} (in {left(ends_ns, now_ns)})" if ends_ns > now_ns else f"was {when}"
