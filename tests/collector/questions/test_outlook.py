"""Projections and odd days of a real ledger: they start from what SQL over the file says, to the pico-dollar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from collector.cli.demo_filling import fill
from collector.config import load
from collector.questions.outlook import BudgetNow, Outlook, history_of, pico, projections
from collector.questions.scope import Scope
from collector.questions.selection import Filter, Selection, Window
from collector.questions.spikes import anomalies
from collector.sample import history
from collector.sample.config_text import config_text
from collector.sample.history import Plan
from collector.sample.seasons import Happenings
from collector.store.query import query_published

END = datetime(2026, 3, 13, 15, 30, tzinfo=UTC)  # five days after clocks were put forward in New York
NEW_YORK = ZoneInfo("America/New_York")
PLAN = Plan(END, days=50, calls_per_day=250)
USD = 10**12


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("outlook")
    path, config = folder / "ledger.duckdb", folder / "ledger.yaml"
    config.write_text(config_text(PLAN, path, config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "PART_HOURS", 24 * 10)  # fewer commits
        fill(path, load(config), PLAN, lambda _: None)
    return path


class Asking:
    """An `Ask` over the published file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, sql: str, parameters: Any) -> pa.Table:
        return query_published(self.path, sql, parameters)

    def cost(self, condition: str) -> int:
        """Of the calls that meet it, in pico-USD."""
        found = self(f"SELECT coalesce(sum(cost_usd), 0) AS cost FROM calls WHERE {condition}", {})
        return pico(Decimal(found.column("cost")[0].as_py()))


def selection(*filters: Filter, zone: ZoneInfo = NEW_YORK, org: str | None = None) -> Selection:
    return Selection(org, Window(None, None, zone), filters)


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kathmandu"])
def test_days_are_local_ones_and_add_up_to_the_ledger(db: Path, zone: str) -> None:
    ask = Asking(db)
    found = history_of(Scope(ask, selection(zone=ZoneInfo(zone))), END)
    local = f"CAST(timezone('{zone}', timezone('UTC', start_time)) AS DATE)"
    rows = ask(f"SELECT {local} AS day, sum(cost_usd) AS cost FROM calls GROUP BY day", {}).to_pylist()
    costs = {row["day"]: pico(row["cost"]) for row in rows}
    days = [found.today - timedelta(days=ago) for ago in range(len(found.days), 0, -1)]
    assert list(found.days) == [costs[day] for day in days]
    assert found.so_far == costs[found.today]
    assert [sum(hours) for hours in found.hours] == list(found.days[-len(found.hours) :])
    assert len(found.days) == PLAN.days - 1 + (zone == "America/New_York")


def test_what_is_spent_so_far_is_the_sum_of_its_calls(db: Path) -> None:
    ask = Asking(db)
    found = projections(ask, selection(), END)
    assert pico(found.month.so_far_usd) == ask.cost("start_time >= TIMESTAMP '2026-03-01 05:00'")
    assert pico(found.week.so_far_usd) == ask.cost("start_time >= TIMESTAMP '2026-03-09 04:00'")
    assert pico(found.day.so_far_usd) == ask.cost("start_time >= TIMESTAMP '2026-03-13 04:00'")
    assert found.month.period_end.isoformat() == "2026-04-01T00:00:00-04:00"
    for each in (found.day, found.week, found.month):
        assert each.value_usd is not None
        assert each.low_usd is not None
        assert each.high_usd is not None
        assert each.so_far_usd <= each.low_usd <= each.value_usd <= each.high_usd
        assert each.days_of_history == 50
    assert [day.day.isoformat() for day in found.daily][-1] == "2026-03-31"
    _today_is_both(found)


def _today_is_both(found: Outlook) -> None:
    today = next(day for day in found.daily if day.day == found.day.period_start.date())
    assert today.actual_usd == found.day.so_far_usd
    assert today.projected_usd == found.day.value_usd
    assert all(day.projected_usd is None for day in found.daily if day.day < today.day)
    assert all(day.actual_usd is None for day in found.daily if day.day > today.day)


def test_the_days_ahead_add_up_to_the_month(db: Path) -> None:
    found = projections(Asking(db), selection(), END)
    assert found.month.value_usd is not None
    days = sum(
        (day.projected_usd or day.actual_usd or Decimal(0) for day in found.daily if day.day.month == 3), Decimal(0)
    )
    assert abs(pico(days - found.month.value_usd)) < 100  # each day is rounded for itself


def test_filters_and_organisations_hold(db: Path) -> None:
    ask = Asking(db)
    of_platform = projections(ask, selection(Filter("team", ("platform",))), END)
    assert pico(of_platform.month.so_far_usd) == ask.cost(
        "start_time >= TIMESTAMP '2026-03-01 05:00' AND team = 'platform'"
    )
    nobody = projections(ask, selection(org="nobody"), END, [_budget("customer", "acme")])
    assert nobody.month.so_far_usd == 0
    assert nobody.month.value_usd is None
    assert "0 complete days" in nobody.month.method
    assert (nobody.budgets[0].hit_at, nobody.budgets[0].projected) == (None, None)


def _budget(dimension: str, value: str, *, spent: int = 0, limit: int = 10**18, **said: Any) -> BudgetNow:
    end = datetime(2026, 4, 1, tzinfo=UTC)
    given: dict[str, Any] = {"unit": "USD", "kind": "month", "window_start": None, "window_end": end, **said}
    return BudgetNow(f"{dimension}-budget", ((dimension, value),), "default", spent, limit, **given)


def test_budgets_go_on_by_their_own_calls_whatever_the_filters(db: Path) -> None:
    ask = Asking(db)
    spent = ask.cost("start_time >= TIMESTAMP '2026-03-01' AND team = 'platform'")
    budgets = [
        _budget("team", "platform", spent=spent),
        _budget("team", "platform", spent=spent, limit=spent * 5 // 4),
        _budget("organization", "default", spent=10, limit=20, unit="calls"),
        _budget("run", "pr-1", kind="run", window_end=None),
        _budget("team", "nobody", spent=5 * USD),
    ]
    found = projections(ask, selection(Filter("team", ("legal",))), END, budgets).budgets
    assert [each.budget for each in found] == budgets
    assert found[0].hit_at is None
    assert found[0].projected is not None
    assert 1.5 * spent < found[0].projected < 4 * spent
    assert found[1].hit_at is not None
    assert END < found[1].hit_at < datetime(2026, 4, 1, tzinfo=UTC)
    assert found[2].hit_at is not None
    assert found[2].hit_at - END < timedelta(hours=3)
    assert (found[3].projected, found[4].projected) == (None, None)


def test_what_happened_to_the_bill_is_found_and_explained_exactly(db: Path) -> None:
    ask = Asking(db)
    chosen = Selection(None, Window(END - timedelta(days=20), END, ZoneInfo("UTC")))
    spikes = anomalies(ask, chosen, END)
    found = {spike.cause: spike for spike in spikes}
    happened = Happenings.before(END)
    assert found["price_change"].at.date() == happened.price_changed.date()
    assert found["price_change"].value == "house-llm"
    assert found["model_switch"].at.date() == happened.model_switched.date()
    assert found["model_switch"].value == "answerer"
    for spike in spikes:
        parts = spike.parts
        total = parts.volume_usd + parts.tokens_usd + parts.model_usd + parts.price_usd
        assert total == spike.cost_usd - spike.expected_usd
        day = f"CAST(start_time AS DATE) = DATE '{spike.at.date()}'"
        whose = "TRUE" if spike.dimension is None else f"{spike.dimension} = '{spike.value}'"
        assert pico(spike.cost_usd) == ask.cost(f"{day} AND {whose}")


def test_without_calls_there_is_nothing_odd(db: Path) -> None:
    assert anomalies(Asking(db), selection(org="nobody"), END) == ()
