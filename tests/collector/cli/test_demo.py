"""`otel-cost demo`: a ledger that has something of everything, and never somebody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.cli.ledger import Ledger
from collector.config import load
from collector.sample.config_text import config_text
from collector.sample.history import Plan
from collector.store import Store, StoreConfig
from tests.collector.cli.scenario import run, run_json

DAYS = 17
END = datetime(2026, 3, 13, 15, 30, tzinfo=UTC)
OPTIONS = ("--days", str(DAYS), "--calls-per-day", "160", "--end", "2026-03-13T15:30", "--json")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    db: Path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    said = run_json("demo", "--db", str(db), *OPTIONS)
    assert said["calls"] > 2_000
    assert said["stored_spans"] > said["calls"]
    return db


def count_of(db: Path, condition: str, view: str = "calls") -> int:
    return int(Ledger(db)(f"SELECT count(*) AS n FROM {view} WHERE {condition}", {}).column("n")[0].as_py())


@pytest.mark.parametrize(
    "condition",
    [
        "attempt > 1",
        "wasted AND cost_usd > 0",
        "cost_status = 'unpriced'",
        "cache_read_tokens > 0",
        "customer IS NULL",
        "environment = 'staging'",
        "run LIKE 'nightly-%' AND agent = 'contract_checker'",
        "conversation IS NOT NULL AND team = 'customer-success'",
        "rate_row LIKE '%override: house-llm'",
        "rate_row LIKE '%override: house-llm-raised'",
        "agent = 'answerer' AND model LIKE 'claude-haiku%'",
        "agent = 'answerer' AND model LIKE 'claude-sonnet%'",
    ],
)
def test_there_are_calls_of_every_kind(demo: Path, condition: str) -> None:
    assert count_of(demo, condition) > 0


def test_customers_pay_by_their_plan_and_some_less_than_they_cost(demo: Path) -> None:
    """So that the page has margins to show: gains, a loss, and customers whose revenue nobody knows."""
    api = load(demo.with_suffix(".yaml")).api
    assert api is not None
    pay = api.revenue["default"]
    sql = "SELECT customer, sum(cost_usd) AS cost FROM calls WHERE customer IS NOT NULL GROUP BY ALL"
    costs = {row["customer"]: int(row["cost"].scaleb(12)) for row in Ledger(demo)(sql, {}).to_pylist()}
    margins = [pay[customer] * DAYS // 31 - cost for customer, cost in costs.items() if customer in pay]
    assert min(margins) < 0 < max(margins)
    assert set(costs) - set(pay)
    assert set(pay) <= set(costs)


def test_each_organization_has_revenue_of_its_own(tmp_path: Path) -> None:
    """As its share of the calls is."""
    config = tmp_path / "demo.yaml"
    config.write_text(config_text(Plan(END, organizations=("acme", "on")), tmp_path / "demo.duckdb", config))
    api = load(config).api
    assert api is not None
    assert list(api.revenue) == ["acme", "on"]
    assert api.revenue["acme"]["globex"] > api.revenue["on"]["globex"]


def test_wrappers_are_not_counted(demo: Path) -> None:
    assert count_of(demo, "not_counted_reason = 'wrapper'", "attempts") > 0
    assert count_of(demo, "operation = 'invoke_agent'") == 0


def test_budgets_have_counters_and_events_at_the_time_of_the_calls(demo: Path) -> None:
    rules = {rule.name for rule in load(demo.with_suffix(".yaml")).rules}
    found = Ledger(demo)("SELECT DISTINCT budget FROM budgets", {}).column("budget").to_pylist()
    assert {*found, "team-week"} == rules  # the last seven days hold nothing of that spring
    assert count_of(demo, "happened_at < TIMESTAMP '2026-03-14'", "budget_events") > 0
    assert count_of(demo, "happened_at >= TIMESTAMP '2026-03-14'", "budget_events") == 0


def test_a_ledger_that_exists_is_left_alone(demo: Path) -> None:
    before = count_of(demo, "TRUE")
    result = run("demo", "--db", str(demo), "--days", "1")
    assert result.exit_code == 1
    assert "--force" in result.output
    assert count_of(demo, "TRUE") == before


def test_a_config_that_somebody_wrote_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("service: {}\n")
    result = run("demo", "--db", str(tmp_path / "mine.duckdb"), "--days", "1")
    assert result.exit_code == 1
    assert config.read_text() == "service: {}\n"


def test_a_running_collector_keeps_its_ledger(tmp_path: Path) -> None:
    db = tmp_path / "busy.duckdb"
    store = Store(StoreConfig(path=db))
    store.start()
    try:
        result = run("demo", "--db", str(db), "--days", "1", "--force")
    finally:
        store.stop()
    assert result.exit_code == 1
    assert "another collector holds this ledger" in result.output


def test_a_wrong_end_is_explained() -> None:
    result = run("demo", "--end", "soon")
    assert result.exit_code == 2
    assert "2026-11-01" in result.output
