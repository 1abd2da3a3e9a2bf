"""`docs/sql.md` is true: every view and column is documented, every query in it runs on a real ledger."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from collector import attribute as stage
from collector.store import Store, StoreConfig, views
from collector.store.user_query import UserQuery, ask
from tests.collector.store.ledger_rows import batch, call, span

TEXT = (Path(__file__).parents[1] / "docs" / "sql.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", TEXT, flags=re.DOTALL)
ROLLUP_SECTION = "Rollups"


@pytest.fixture(scope="module")
def ledger_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two traces: an agent with a retried call and a wrapper, and a call that nobody can price."""
    path = tmp_path_factory.mktemp("docs") / "otel-cost.duckdb"
    store = Store(StoreConfig(path))
    store.start()
    rows = [
        span(1, 1, agent="planner", customer="acme", feature="search"),
        call(1, 2, 1, failed=True, status_code=2),
        call(1, 3, 1, cache_read_tokens=400, attributes='{"app.tenant":"north"}'),
        call(2, 1, cost_pico_usd=None, cost_status="unpriced", cost_reason="no price for this model", model="new-1"),
        call(2, 2, call_kind="aggregate", operation="invoke_agent", input_tokens=2000, cost_pico_usd=None),
        call(2, 3, 2),
    ]
    store.append(batch(rows), stage.attribute)
    store.publish()
    store.append(batch([span(2, 4, agent="late"), call(2, 5, 4)]), stage.attribute)
    store.stop()
    return path


def section(view: str) -> str:
    """The text about a view: its own section, and for a rollup the common one."""
    title = ROLLUP_SECTION if view in views.ROLLUPS else f"`{view}`"
    found = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##)", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert found is not None, f"{view} has no section"
    return found[1]


def documented(view: str) -> set[str]:
    names = set(re.findall(r"`([a-z_]+)`", section(view)))
    return names | documented("calls") if view in ("attempts", "calls_as_billed") else names


def test_there_are_at_least_ten_queries() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_every_query_runs(ledger_path: Path, number: int) -> None:
    """As a user runs it, confined; all of them find something in this ledger, except over the last days."""
    answer = ask(ledger_path, UserQuery(QUERIES[number]))
    assert answer.table.num_rows > 0 or "current_date" in QUERIES[number]


@pytest.mark.parametrize("view", views.NAMES)
def test_every_view_and_column_is_documented(ledger_path: Path, view: str) -> None:
    with duckdb.connect(str(ledger_path), read_only=True) as connection:
        columns = {row[0] for row in connection.execute(f"DESCRIBE {view}").fetchall()}
    assert f"`{view}`" in TEXT
    assert columns - documented(view) == set()


def test_no_view_is_forgotten(ledger_path: Path) -> None:
    """What a user sees with SHOW TABLES is what the page lists."""
    table = ask(ledger_path, UserQuery("SHOW TABLES")).table
    assert set(table.column("name").to_pylist()) == set(views.NAMES)


def test_every_rollup_adds_up_to_the_calls(ledger_path: Path) -> None:
    """Calls, unpriced calls, tokens and money are the same whatever they are grouped by."""
    sums = "count(*), count(*) FILTER (WHERE cost_usd IS NULL), sum(input_tokens), sum(cost_usd)"
    rolled = "sum(calls), sum(unpriced_calls), sum(input_tokens), sum(cost_usd)"
    with duckdb.connect(str(ledger_path), read_only=True) as connection:
        expected = connection.execute(f"SELECT {sums} FROM calls").fetchall()
        assert expected[0][0] > 3
        assert expected[0][1] > 0
        for view in views.ROLLUPS:
            assert connection.execute(f"SELECT {rolled} FROM {view}").fetchall() == expected, view
