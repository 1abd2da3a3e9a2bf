"""Budgets as people read them: amounts of any unit, shares as bars, windows and when they end."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from collector.budgets.model import PPM, Rule, Unit, WindowKind
from collector.budgets.windows import window_at
from collector.cli.amounts import count, decimals_for, exact, usd
from collector.config.written_rule import written_window

BAR_CELLS = 10
STATES = ("ok", "warning", "exceeded")


def dollars(pico_usd: int) -> Decimal:
    """Exact."""
    return Decimal(pico_usd).scaleb(-12)


def shown(amount: int, unit: Unit) -> str:
    """`$12.34`, `1,234 tokens`."""
    return money(amount) if unit is Unit.USD else f"{count(amount)} {unit}"


def money(pico_usd: int) -> str:
    """`$12.34`, `$0.0012`."""
    return usd(dollars(pico_usd), decimals_for([dollars(pico_usd)]))


def as_text(amount: int, unit: Unit) -> str | int:
    """As JSON carries it: money as decimal text, counts as numbers."""
    return exact(dollars(amount)) if unit is Unit.USD else amount


def share_ppm(spent: int, limit: int) -> int:
    """Of a limit of 0, all of it is used as soon as anything is."""
    return spent * PPM // limit if limit else (PPM if spent else 0)


def percent(ppm: int) -> str:
    """`81.5%`; `>999%` for more than anybody wants to read."""
    return f"{Decimal(ppm) / 10_000:.1f}%" if ppm < 10 * PPM else ">999%"


def bar(ppm: int) -> str:
    """Ten cells."""
    filled = min(BAR_CELLS, ppm * BAR_CELLS // PPM)
    return "█" * filled + "░" * (BAR_CELLS - filled)


def state(rule: Rule, spent: int, limit: int) -> str:
    """One of `STATES`, as the view `budgets` says it."""
    if spent > 0 and spent >= limit:
        return "exceeded"
    return "warning" if spent > 0 and spent * PPM >= min((*rule.warn_at_ppm, PPM)) * limit else "ok"


def window_words(rule: Rule) -> str:
    """`day (Europe/Berlin)`, `rolling 7d`."""
    window = rule.window
    if window.kind is WindowKind.ROLLING:
        return f"rolling {written_window(window)}"
    local = window.kind not in (WindowKind.RUN, WindowKind.TOTAL) and window.time_zone != "UTC"
    return f"{window.kind} ({window.time_zone})" if local else str(window.kind)


def resets_at_ns(rule: Rule, at_ns: int) -> int | None:
    """When the window of a time ends; None: never, or bit by bit."""
    return None if rule.window.kind is WindowKind.ROLLING else window_at(rule.window, at_ns).end_ns


def local_time(at_ns: int, zone: str) -> str:
    """`2026-11-23 00:00 CET`."""
    return f"{datetime.fromtimestamp(at_ns // 10**9, ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"


def utc(at_ns: int) -> str:
    """As JSON carries it."""
    moment = datetime.fromtimestamp(at_ns // 10**9, UTC)
    return moment.replace(microsecond=at_ns % 10**9 // 1000).isoformat()


def left(until_ns: int, now_ns: int) -> str:
    """`3h 12m`, `2d 4h`, `45s`."""
    seconds = max(0, until_ns - now_ns) // 10**9
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m" if minutes else f"{seconds}s"
