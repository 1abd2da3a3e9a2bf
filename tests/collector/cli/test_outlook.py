"""`otel-cost projections` and `otel-cost anomalies`: what they print, for people and for scripts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from collector.cli import outlook
from collector.cli.ledger import Ledger
from collector.cli.outlook_output import budget_json, print_outlook, print_spikes
from collector.questions.outlook import (
    BackTest,
    BudgetNow,
    BudgetOutlook,
    LastForecast,
    Outlook,
    Projection,
)
from collector.questions.spikes import CostParts, Spike
from tests.collector.cli.scenario import run, run_json

DAY = datetime(2026, 3, 13, tzinfo=UTC)
TESTED = BackTest(
    30, Decimal("0.021"), Decimal("0.87"), LastForecast("2026-02", Decimal(94), Decimal(100), Decimal("-0.06"))
)


def projection(value: str | None) -> Projection:
    amount = None if value is None else Decimal(value)
    low, high = (None, None) if amount is None else (amount * Decimal("0.9"), amount * Decimal("1.2"))
    tested = None if amount is None else TESTED
    return Projection(amount, low, high, Decimal("1.50"), "the method", 40, tested, DAY, DAY + timedelta(days=1))


def budget(spent: int, limit: int, unit: str = "USD") -> BudgetNow:
    return BudgetNow("a-rule", (("customer", "acme"),), "default", spent, limit, unit, "month", DAY, None)


def printed(found: Outlook) -> str:
    out = StringIO()
    print_outlook(Console(file=out, width=200), found, ZoneInfo("UTC"), 10)
    return out.getvalue()


def test_people_see_the_amount_its_bounds_and_how_far_it_was_off() -> None:
    each = projection("100.00")
    text = printed(Outlook(each, each, each, (), ()))
    assert "$100.00" in text
    assert "$90.00 and $120.00" in text
    assert "2.1%" in text
    assert "on the same day of 2026-02, $94.00 was forecast, $100.00 came (6.0% too little)" in text


def test_too_little_history_has_dashes_and_no_made_up_amount() -> None:
    each = projection(None)
    text = printed(Outlook(each, each, each, (), ()))
    assert "$1.50" in text
    assert text.count(" - ") >= 3


def test_budgets_say_when_they_are_hit() -> None:
    hit = datetime(2026, 3, 20, 14, 5, tzinfo=UTC)
    budgets = (
        BudgetOutlook(budget(5 * 10**12, 10 * 10**12), 12 * 10**12, hit),
        BudgetOutlook(budget(11 * 10**12, 10 * 10**12), 12 * 10**12, None),
        BudgetOutlook(budget(100, 1_000, "tokens"), None, None),
    )
    text = printed(Outlook(projection("1"), projection("1"), projection("1"), budgets, ()))
    assert "Fri 2026-03-20 14:05" in text
    assert "already" in text
    assert "1,000 tokens" in text
    assert budget_json(budgets[0])["projected"] == "12.00"
    assert budget_json(budgets[2])["limit"] == 1_000


def test_odd_days_have_their_parts_and_their_reason() -> None:
    parts = CostParts(Decimal("4.82"), Decimal("1.40"), Decimal(0), Decimal(0))
    spike = Spike(
        DAY, "day", "agent", "critic", Decimal(10), Decimal("3.78"), None, "volume", "critic cost more.", parts
    )
    out = StringIO()
    print_spikes(Console(file=out, width=200), [spike], "since then")
    assert "+$4.82" in out.getvalue()
    assert "2026-03-13  critic cost more." in out.getvalue()


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2026-01-31T00:00:00", "month", "2026-02-28T00:00:00"),
        ("2026-12-15T00:00:00", "month", "2027-01-15T00:00:00"),
        ("2026-03-29T00:00:00", "day", "2026-03-30T00:00:00"),
        ("2026-03-23T00:00:00", "week", "2026-03-30T00:00:00"),
        ("2026-03-23T00:00:00", "total", None),
    ],
)
def test_windows_end_by_the_clock_of_the_place(start: str, period: str, end: str | None) -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = outlook._end(datetime.fromisoformat(start).replace(tzinfo=zone), period)
    assert found == (None if end is None else datetime.fromisoformat(end).replace(tzinfo=zone))


def test_a_ledger_without_history_says_so(ledger: str) -> None:
    said = run_json("projections", "--db", ledger)
    assert said["month"]["value_usd"] is None
    assert "of history; 3 are needed" in said["month"]["method"]
    assert said["budgets"] == []
    assert outlook.budgets(Ledger(Path(ledger)), DAY, ZoneInfo("UTC")) == []
    assert run_json("anomalies", "--db", ledger)["spikes"] == []
    assert "Nothing odd" in run("anomalies", "--db", ledger).output


def test_conditions_are_those_of_the_report(ledger: str) -> None:
    assert run_json("projections", "--where", "team=nobody", "--db", ledger)["day"]["so_far_usd"] == "0.00"
    assert run("anomalies", "--where", "team", "--db", ledger).exit_code == 2
