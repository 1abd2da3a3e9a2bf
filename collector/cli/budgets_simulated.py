"""What a simulation has found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from collector.budgets.model import EventKind, Rule
from collector.budgets.simulate import RuleResult, Simulated
from collector.budgets.simulated_rule import Tally
from collector.cli.amounts import exact
from collector.cli.budgets_events import as_json as event_json
from collector.cli.budgets_words import (
    as_text,
    dollars,
    local_time,
    money,
    percent,
    share_ppm,
    shown,
    utc,
    window_words,
)
from collector.cli.table import Column, print_table, printable
from collector.cli.window import Window
from collector.config.written_rule import written, written_share

_MONTH_NS = 30 * 86_400 * 10**9
JSON_EVENTS = 10_000
"""Of one rule in the JSON object: there may be one for each of a million runs. `events_total` says how many."""


def as_json(found: Simulated, as_of: dict[str, Any], chosen: Window) -> dict[str, Any]:
    """Everything, as JSON carries it."""
    return {
        **as_of,
        "since": chosen.since.isoformat() if chosen.since else None,
        "until": chosen.until.isoformat() if chosen.until else None,
        "calls": found.total.calls,
        "cost_usd": exact(dollars(found.total.cost_pico_usd)),
        "unpriced_calls": found.total.unpriced_calls,
        **_done(found.total),
        "rules": [
            {
                "rule": written(each.rule),
                **_summary(each, found),
                "counters": [
                    {"org": org, "scope_value": value, **_tally(each.rule, tally)}
                    for (org, value), tally in _fullest(each)
                ],
                "events_total": len(each.events),
                "events": [event_json(event) for event in each.events[:JSON_EVENTS]],
            }
            for each in found.rules
        ],
    }


def _done(counts: Any) -> dict[str, Any]:
    return {
        "refused_calls": counts.refused_calls,
        "refused_usd": exact(dollars(counts.refused_pico_usd)),
        "approval_calls": counts.approval_calls,
        "cheaper_calls": counts.replaced_calls,
        "cheaper_saved_usd": exact(dollars(counts.replaced_saved_pico_usd)),
        "throttled_calls": counts.throttled_calls,
        "saved_usd": exact(dollars(counts.refused_pico_usd + counts.replaced_saved_pico_usd)),
    }


def _summary(each: RuleResult, found: Simulated) -> dict[str, Any]:
    whole = _sum(each)
    months = _months(found)
    return {
        "warnings": whole.warned,
        "exceeded": whole.exceeded,
        "needless_warnings": whole.needless,
        "late_needless_warnings": whole.late,
        "needless_warnings_per_month": None if not months else f"{Decimal(whole.needless) / months:.2f}",
        **_done(whole),
    }


def _tally(rule: Rule, tally: Tally) -> dict[str, Any]:
    return {
        "windows": tally.windows,
        "peak": as_text(tally.peak, rule.unit),
        "warnings": tally.warned,
        "exceeded": tally.exceeded,
        "needless_warnings": tally.needless,
        "late_needless_warnings": tally.late,
        **_done(tally),
        "first_at": None if tally.first_ns is None else utc(tally.first_ns),
        "last_at": None if tally.last_ns is None else utc(tally.last_ns),
    }


def _sum(each: RuleResult) -> Tally:
    whole = Tally()
    for tally in each.tallies.values():
        for name in ("windows", "warned", "exceeded", "needless", "late", "refused_calls", "refused_pico_usd",
                     "approval_calls", "replaced_calls", "replaced_saved_pico_usd", "throttled_calls"):  # fmt: skip
            setattr(whole, name, getattr(whole, name) + getattr(tally, name))
    return whole


def _months(found: Simulated) -> Decimal | None:
    """Of 30 days; None for less than a day, which says nothing about months."""
    if found.first_ns is None or found.last_ns is None:
        return None
    length_ns = found.last_ns - found.first_ns
    return Decimal(length_ns) / _MONTH_NS if length_ns >= _MONTH_NS // 30 else None


def _fullest(each: RuleResult) -> list[tuple[tuple[str, str], Tally]]:
    """Whoever is concerned most comes first."""
    return sorted(
        each.tallies.items(),
        key=lambda pair: (-pair[1].refused_pico_usd, -pair[1].exceeded, -pair[1].warned, -pair[1].peak, pair[0]),
    )


def print_simulated(out: Console, found: Simulated, chosen: Window, limit: int) -> None:
    """Of each rule a sentence, whom it concerns, and what fired first; then what all of them do together."""
    for each in found.rules:
        _print_rule(out, each, found, limit)
        out.print()
    total = found.total
    cost = money(total.cost_pico_usd)
    out.print(
        Text(f"{_several(total.calls, 'call')} {chosen.describe()}, {cost}: {_sentence(total)}", style="bold"),
        soft_wrap=True,
    )
    if total.unpriced_calls:
        out.print(Text(f"{total.unpriced_calls:,} calls have no price, or not a whole one", style="yellow"))


def _sentence(counts: Any) -> str:
    parts = []
    if counts.refused_calls:
        waiting = f" ({counts.approval_calls:,} until approved)" if counts.approval_calls else ""
        parts.append(f"{_several(counts.refused_calls, 'call')} of {money(counts.refused_pico_usd)} refused{waiting}")
    if counts.replaced_calls:
        saved = money(counts.replaced_saved_pico_usd)
        parts.append(f"{counts.replaced_calls:,} made with a cheaper model, which saves {saved}")
    if counts.throttled_calls:
        parts.append(f"{counts.throttled_calls:,} slowed down")
    return "; ".join(parts) or "all made as they were"


def _print_rule(out: Console, each: RuleResult, found: Simulated, limit: int) -> None:
    whole, months = _sum(each), _months(found)
    heading = f"{each.rule.name}: {shown(each.rule.limit, each.rule.unit)} per {window_words(each.rule)}"
    out.print(Text(heading, style="bold"))
    per_month = f", {Decimal(whole.needless) / months:.1f} a month" if months else ""
    late = f", {whole.late:,} of them in a window's last hour" if whole.late else ""
    out.print(Text(
        f"{_several(whole.warned, 'warning')} ({whole.needless:,} needless{per_month}{late}), limit reached "
        f"{_several(whole.exceeded, 'time')}; "
        f"{_sentence(whole)}"
    ), soft_wrap=True)  # fmt: skip
    _print_counters(out, each.rule, _fullest(each), limit)
    _print_events(out, each, limit)


def _print_counters(out: Console, rule: Rule, tallies: Sequence[tuple[tuple[str, str], Tally]], limit: int) -> None:
    some = tallies[:limit]
    if not some:
        out.print(Text("No call counts in it.", style="dim"))
        return
    columns = [
        Column("for", [printable(value) for (_, value), _ in some], left=True, least=12),
        Column("windows", [f"{tally.windows:,}" for _, tally in some], rank=3),
        Column("peak", [shown(tally.peak, rule.unit) for _, tally in some], rank=1),
        Column("of limit", [percent(share_ppm(tally.peak, rule.limit)) for _, tally in some]),
        Column("warned", [_number(tally.warned) for _, tally in some]),
        Column("reached", [_number(tally.exceeded) for _, tally in some]),
        Column("needless", [_number(tally.needless) for _, tally in some], rank=4),
        Column("refused", [_number(tally.refused_calls) for _, tally in some]),
        Column("refused cost", [_money(tally.refused_pico_usd) for _, tally in some], rank=2),
        Column("cheaper", [_number(tally.replaced_calls) for _, tally in some], rank=2),
        Column("saved", [_money(tally.replaced_saved_pico_usd) for _, tally in some], rank=2),
        Column("slowed", [_number(tally.throttled_calls) for _, tally in some], rank=3),
    ]
    print_table(out, [column for column in columns if column.title in ("for", "of limit") or column.says_something])
    if len(tallies) > limit:
        out.print(Text(f"{len(tallies) - limit:,} more; --limit shows them", style="dim"))


def _print_events(out: Console, each: RuleResult, limit: int) -> None:
    some = each.events[:limit]
    if not some:
        return
    zone = each.rule.window.time_zone
    columns = [
        Column("fired at", [local_time(event.happened_at_ns, zone) for event in some], left=True, least=16),
        Column("for", [printable(event.key.scope_value) for event in some], left=True, least=12),
        Column("what", [_what(event.kind, event.threshold_ppm) for event in some], left=True, least=8),
        Column("spent", [shown(event.spent, event.unit) for event in some]),
    ]
    print_table(out, columns)
    if len(each.events) > limit:
        out.print(Text(f"{len(each.events) - limit:,} more; --json has them", style="dim"))


def _what(kind: EventKind, ppm: int) -> str:
    return "limit reached" if kind is EventKind.EXCEED else f"warning at {written_share(ppm)}"


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _number(number: int) -> str:
    return f"{number:,}" if number else "-"


def _money(pico_usd: int) -> str:
    return money(pico_usd) if pico_usd else "-"
