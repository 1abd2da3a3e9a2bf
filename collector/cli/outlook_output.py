"""Projections and odd days for people, and the same for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from collector.cli.amounts import decimals_for, exact, percent, usd
from collector.cli.table import Column, print_table, printable
from collector.questions.outlook import BackTest, BudgetNow, BudgetOutlook, LastForecast, Outlook, Projection
from collector.questions.outlook import usd as dollars
from collector.questions.spikes import Spike


def print_outlook(out: Console, found: Outlook, zone: ZoneInfo, budgets_shown: int) -> None:
    """The three periods, how good such forecasts were, and the budgets."""
    rows = (("today", found.day), ("this week", found.week), ("this month", found.month))
    amounts = [each.value_usd or each.so_far_usd for _, each in rows]
    decimals = decimals_for(amounts)
    out.print(Text(f"What it will come to, {zone.key}", style="bold"))
    print_table(
        out,
        [
            Column("", [name for name, _ in rows], left=True),
            Column("so far", [usd(each.so_far_usd, decimals) for _, each in rows]),
            Column("at its end", [_money(each.value_usd, decimals) for _, each in rows]),
            Column("between", [_band(each, decimals) for _, each in rows], rank=1),
            Column("usually off by", [_error(each.back_test) for _, each in rows], rank=2),
            Column("held", [_held(each.back_test) for _, each in rows], rank=3),
            Column("from", [each.method for _, each in rows], rank=4, left=True),
        ],
    )
    for name, each in rows:
        if each.back_test is not None and each.back_test.last is not None:
            out.print(Text(f"{name}: {_last(each.back_test.last, decimals)}"))
    if found.budgets:
        _print_budgets(out, found.budgets, zone, budgets_shown)


def _print_budgets(out: Console, budgets: Sequence[BudgetOutlook], zone: ZoneInfo, most: int) -> None:
    shown = budgets[:most]
    out.print()
    out.print(Text("Budgets", style="bold"))
    print_table(
        out,
        [
            Column("budget", [printable(each.budget.rule) for each in shown], left=True),
            Column("of", [printable(_scope(each.budget)) for each in shown], left=True),
            Column("spent", [_amount(each.budget, each.budget.spent) for each in shown]),
            Column("limit", [_amount(each.budget, each.budget.limit) for each in shown]),
            Column("per", [each.budget.kind for each in shown], rank=2, left=True),
            Column(
                "at its end",
                ["-" if each.projected is None else _amount(each.budget, each.projected) for each in shown],
                rank=1,
            ),
            Column("hit", [_hit(each, zone) for each in shown], left=True, least=16),
        ],
    )
    if len(budgets) > most:
        out.print(Text(f"and {len(budgets) - most} more (--budgets {len(budgets)}, or --json)"))


def print_spikes(out: Console, found: Sequence[Spike], window: str) -> None:
    """A line of figures for each, and why."""
    out.print(Text(f"Days that cost more than they should have, {window}", style="bold"))
    decimals = decimals_for([each.cost_usd for each in found])
    print_table(
        out,
        [
            Column("day", [f"{each.at:%Y-%m-%d}" for each in found], left=True),
            Column("of", [printable(_of(each)) for each in found], left=True),
            Column("cost", [usd(each.cost_usd, decimals) for each in found]),
            Column("expected", [usd(each.expected_usd, decimals) for each in found]),
            Column("cause", [each.cause.replace("_", " ") for each in found], left=True),
            *(
                Column(title, [_signed(getattr(each.parts, name), decimals) for each in found], rank=rank)
                for rank, (title, name) in enumerate(_PARTS, start=1)
            ),
        ],
    )
    for each in found:
        out.print(Text(f"{each.at:%Y-%m-%d}  {printable(each.explanation)}"))


_PARTS = (("calls", "volume_usd"), ("tokens", "tokens_usd"), ("models", "model_usd"), ("prices", "price_usd"))


def as_json(value: Any) -> Any:
    """Any of the values of both questions: money as exact decimal text, times in ISO 8601, ratios as text too."""
    if isinstance(value, BudgetNow):
        return _budget_json(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(each) for each in value]
    if isinstance(value, Decimal):
        return exact(value)
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def budget_json(found: BudgetOutlook) -> dict[str, Any]:
    """A budget's line: amounts of money as text, of tokens and calls as numbers."""
    projected = None if found.projected is None else _plain(found.budget, found.projected)
    hit_at = None if found.hit_at is None else found.hit_at.astimezone(UTC).isoformat()
    return {**_budget_json(found.budget), "projected": projected, "hit_at": hit_at}


def _budget_json(budget: BudgetNow) -> dict[str, Any]:
    return {
        "rule": budget.rule,
        "organization": budget.org_id,
        "scope": dict(budget.scope),
        "unit": budget.unit,
        "window": budget.kind,
        "window_end": None if budget.window_end is None else budget.window_end.astimezone(UTC).isoformat(),
        "spent": _plain(budget, budget.spent),
        "limit": _plain(budget, budget.limit),
    }


def _plain(budget: BudgetNow, amount: int) -> str | int:
    return exact(dollars(amount)) if budget.unit == "USD" else amount


def _money(amount: Decimal | None, decimals: int) -> str:
    return "-" if amount is None else usd(amount, decimals)


def _band(found: Projection, decimals: int) -> str:
    if found.low_usd is None or found.high_usd is None:
        return "-"
    return f"{usd(found.low_usd, decimals)} and {usd(found.high_usd, decimals)}"


def _error(tested: BackTest | None) -> str:
    return "-" if tested is None else percent(tested.median_error_ratio)


def _last(last: LastForecast, decimals: int) -> str:
    way = "too little" if last.error_ratio < 0 else "too much"
    amounts = f"{usd(last.forecast_usd, decimals)} was forecast, {usd(last.actual_usd, decimals)} came"
    return f"on the same day of {last.period}, {amounts} ({percent(abs(last.error_ratio))} {way})"


def _held(tested: BackTest | None) -> str:
    """How often the band did."""
    return "-" if tested is None or tested.coverage_ratio is None else percent(tested.coverage_ratio, 0)


def _scope(budget: BudgetNow) -> str:
    return ", ".join(value or "(none)" for _, value in budget.scope)


def _amount(budget: BudgetNow, amount: int) -> str:
    if budget.unit == "USD":
        money = dollars(amount)
        return usd(money, decimals_for([money]) if money < 1 else 2)
    return f"{amount:,} {budget.unit}"


def _hit(found: BudgetOutlook, zone: ZoneInfo) -> str:
    if found.budget.spent >= found.budget.limit:
        return "already"
    return "-" if found.hit_at is None else f"{found.hit_at.astimezone(zone):%a %Y-%m-%d %H:%M}"


def _of(spike: Spike) -> str:
    if spike.dimension is None:
        return "all calls"
    return spike.value if spike.value is not None else f"(no {spike.dimension})"


def _signed(amount: Decimal, decimals: int) -> str:
    return f"+{usd(amount, decimals)}" if amount > 0 else usd(amount, decimals) if amount else "-"
