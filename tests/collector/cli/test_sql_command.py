"""`otel-cost sql`: what people and scripts see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.cli import main
from collector.store import Store, StoreConfig
from tests.collector.store.ledger_rows import attribute, batch, call, span

QUESTION = "SELECT agent, calls, cost_usd, first_call_at FROM agents ORDER BY agent NULLS LAST"


@pytest.fixture(scope="module")
def ledger_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of a collector that has stopped."""
    path = tmp_path_factory.mktemp("ledger") / "otel-cost.duckdb"
    store = Store(StoreConfig(path))
    store.start()
    rows = [call(1, 2, 1), call(1, 3), span(1, 1, agent="plan\x1b[31mner"), call(1, 4, cost_pico_usd=None)]
    store.append(batch(rows), attribute)
    store.stop()
    return path


def sql(ledger_path: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["sql", "--db", str(ledger_path), *arguments], input=stdin)


def test_a_table_for_people(ledger_path: Path) -> None:
    """Values on standard output, how fresh they are on standard error; nothing a terminal would obey."""
    result = sql(ledger_path, QUESTION)
    assert result.exit_code == 0
    assert "0.012500000000" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr.startswith("complete: 4 spans, published ")
    assert "no collector is running" in result.stderr


def test_json_for_scripts(ledger_path: Path) -> None:
    """A list of objects: money as text, counts as numbers, times in ISO 8601, unknown as null."""
    rows = json.loads(sql(ledger_path, "--json", QUESTION).stdout)
    assert rows[0] == {
        "agent": "plan\x1b[31mner",
        "calls": 1,
        "cost_usd": "0.012500000000",
        "first_call_at": "2025-10-09T08:55:02Z",
    }
    assert rows[1]["agent"] is None


def test_no_rows_are_an_empty_list(ledger_path: Path) -> None:
    assert json.loads(sql(ledger_path, "--json", "SELECT 1 WHERE false").stdout) == []


def test_sums_of_tokens_stay_numbers(ledger_path: Path) -> None:
    """DuckDB adds integers as 128-bit ones; scripts get a plain number."""
    result = sql(ledger_path, "--json", "SELECT sum(input_tokens) AS n, [sum(cost_usd)] AS usd FROM calls")
    assert json.loads(result.stdout) == [{"n": 3000, "usd": ["0.025000000000"]}]


def test_csv_with_a_header(ledger_path: Path) -> None:
    result = sql(ledger_path, "--csv", "SELECT span_id, cost_usd FROM calls ORDER BY seq")
    assert result.stdout.splitlines() == [
        "span_id,cost_usd",
        "0000000100000002,0.012500000000",
        "0000000100000003,0.012500000000",
        "0000000100000004,",
    ]


def test_a_query_from_standard_input(ledger_path: Path) -> None:
    result = sql(ledger_path, "--csv", "-", stdin="-- how many\nSELECT count(*) AS n FROM spans\n")
    assert result.stdout == "n\n4\n"


def test_statements_that_write_are_a_wrong_use(ledger_path: Path) -> None:
    """Exit code 2, and the reason."""
    result = sql(ledger_path, "DELETE FROM calls")
    assert result.exit_code == 2
    assert "only queries that read are answered, not DELETE" in result.stderr


def test_mistakes_in_sql_are_explained_by_duckdb(ledger_path: Path) -> None:
    result = sql(ledger_path, "SELECT agnt FROM calls")
    assert result.exit_code == 1
    assert "agnt" in result.stderr
    assert "agent" in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_ledger_is_explained(tmp_path: Path) -> None:
    result = sql(tmp_path / "none.duckdb", "SELECT 1")
    assert result.exit_code == 1
    assert "there is no ledger here; `otel-cost collect` or `otel-cost import` makes one" in result.stderr


def test_while_a_collector_runs_the_answer_says_its_age(tmp_path: Path) -> None:
    store = Store(StoreConfig(tmp_path / "otel-cost.duckdb"))
    store.start()
    try:
        result = sql(tmp_path / "otel-cost.duckdb", "--csv", "SELECT count(*) AS n FROM spans")
    finally:
        store.stop()
    assert result.stdout == "n\n0\n"
    assert "s ago), 0 spans; the collector refreshes it" in result.stderr


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("DATE '2026-02-28'", "2026-02-28"),
        ("DATE '12345-02-28'", "12345-02-28"),
        ("DATE '0044-03-15 (BC)'", "-43-03-15"),
        ("DATE 'infinity'", "infinity"),
        ("DATE '-infinity'", "-infinity"),
        ("NULL::DATE", None),
    ],
)
def test_dates_that_python_does_not_know(ledger_path: Path, value: str, shown: str | None) -> None:
    """DuckDB has years beyond 9999, and two dates that are no days."""
    assert json.loads(sql(ledger_path, "--json", f"SELECT {value} AS day").stdout) == [{"day": shown}]


def test_a_value_that_python_does_not_know_inside_another_is_said(ledger_path: Path) -> None:
    """Not a traceback: the sentence says what to do."""
    result = sql(ledger_path, "SELECT [DATE 'infinity'] AS days")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "CAST it to VARCHAR" in result.stderr


def test_columns_of_one_name_are_all_in_the_json(ledger_path: Path) -> None:
    """A join gives the names of both sides."""
    result = sql(ledger_path, "--json", "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a")
    assert json.loads(result.stdout) == [{"a": 1, "a_1": 2, "a_1_1": 3, "a_2": 4}]
