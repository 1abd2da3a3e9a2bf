"""`otel-cost report` over a real ledger."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.cli.report import CALL_DIMENSIONS
from tests.collector.cli.scenario import (
    CRITIC,
    HELPER,
    PLANNER,
    RETRY,
    SECOND_NS,
    TOTAL,
    WASTED,
    WRITER,
    Trace,
    call,
    helper,
    note,
    run,
    run_json,
    usage,
)


def report(ledger: str, *arguments: str) -> Any:
    return run_json("report", "--db", ledger, *arguments)


def costs(answer: Any) -> dict[str | None, Decimal]:
    return {row["value"]: Decimal(row["cost_usd"]) for row in answer["rows"]}


def test_agents_cost_what_their_calls_cost(ledger: str) -> None:
    assert costs(report(ledger, "--by", "agent")) == {
        "helper": HELPER,
        "planner": PLANNER,
        "writer": WRITER,
        "critic": CRITIC,
        "stranger": Decimal(0),
    }


@pytest.mark.parametrize("by", [*CALL_DIMENSIONS, "day", "hour", "cloud.region", "shard.number"])
def test_rows_add_up_to_the_total_whatever_they_are_grouped_by(ledger: str, by: str) -> None:
    answer = report(ledger, "--by", by)
    assert sum(costs(answer).values()) == Decimal(answer["total"]["cost_usd"]) == TOTAL
    assert sum(row["calls"] for row in answer["rows"]) == answer["total"]["calls"]


def test_rows_and_other_add_up_to_the_total(ledger: str) -> None:
    whole, cut = report(ledger, "--by", "agent"), report(ledger, "--by", "agent", "--limit", "2")
    assert [row["value"] for row in cut["rows"]] == ["helper", "planner"]
    assert cut["other"]["groups"] == 3
    assert Decimal(cut["other"]["cost_usd"]) == WRITER + CRITIC
    assert cut["total"] == whole["total"]
    assert cut["other"]["input_tokens"] + sum(row["input_tokens"] for row in cut["rows"]) == 33_200


def test_an_unpriced_call_is_counted_and_never_costs_zero_in_silence(ledger: str) -> None:
    answer = report(ledger, "--by", "model")
    (row,) = (row for row in answer["rows"] if row["value"] == "no-such-model-9")
    assert (row["calls"], row["unpriced_calls"]) == (1, 1)
    assert answer["total"]["unpriced_calls"] == 1
    text = run("report", "--by", "model", "--db", ledger).stdout
    assert "+ 1 call unpriced" in text
    assert "unpriced" in next(line for line in text.splitlines() if line.startswith("no-such-model-9"))


def test_a_retry_costs_its_second_attempt(ledger: str) -> None:
    answer = report(ledger, "--by", "agent")
    assert Decimal(answer["total"]["retry_cost_usd"]) == RETRY
    assert Decimal(answer["total"]["wasted_cost_usd"]) == WASTED
    (critic,) = (row for row in answer["rows"] if row["value"] == "critic")
    assert (critic["retries"], Decimal(critic["retry_cost_usd"])) == (1, RETRY)


def test_a_run_is_divided_among_its_agents(ledger: str) -> None:
    answer = report(ledger, "--by", "run", "--where", "run=note-1")
    (row,) = answer["rows"]
    assert {each["agent"]: Decimal(each["cost_usd"]) for each in row["agents"]} == {
        "planner": PLANNER,
        "writer": WRITER,
        "critic": CRITIC,
    }
    assert sum(Decimal(each["share"]) for each in row["agents"]) == pytest.approx(Decimal(1), abs=Decimal("1e-11"))
    assert "planner 52%, writer 43%, critic 5%" in run("report", "--by", "run", "--db", ledger).stdout


def test_an_agent_costs_so_much_per_run_and_per_thousand_useful_tokens(ledger: str) -> None:
    (row,) = (row for row in report(ledger, "--by", "agent")["rows"] if row["value"] == "critic")
    assert row["executions"] == 1
    assert Decimal(row["cost_per_execution_usd"]) == CRITIC
    assert (row["output_tokens"], row["useful_output_tokens"]) == (250, 200)
    assert Decimal(row["cost_per_1k_useful_output_tokens_usd"]) == CRITIC * 5


def test_tokens_that_nobody_reports_are_unknown_not_zero(ledger: str) -> None:
    (row,) = (row for row in report(ledger, "--by", "agent")["rows"] if row["value"] == "helper")
    assert (row["input_tokens"], row["cache_write_tokens"]) == (29_000, None)


def test_conditions_narrow_by_dimension_and_by_attribute(ledger: str) -> None:
    assert costs(report(ledger, "--by", "run", "--where", "customer=globex")) == {"note-2": HELPER}
    assert costs(report(ledger, "--by", "run", "--where", "shard.number=7", "--where", "agent=stranger")) == {
        "note-3": Decimal(0)
    }
    assert report(ledger, "--where", "customer=nobody")["rows"] == []


def test_an_attribute_of_the_resource_groups_like_one_of_the_span(ledger: str) -> None:
    assert costs(report(ledger, "--by", "cloud.region")) == {"eu-west-1": TOTAL}
    assert costs(report(ledger, "--by", "shard.number")) == {"7": Decimal(0), None: TOTAL}


def test_a_key_that_no_call_has_is_refused_with_the_nearest_known(ledger: str) -> None:
    result = run("report", "--by", "shard.numbr", "--db", ledger)
    assert result.exit_code == 2
    assert "did you mean shard.number" in result.stderr


def test_a_key_with_quotes_is_a_key_and_nothing_else(ledger: str) -> None:
    result = run("report", "--by", """x"' OR 1=1 --""", "--db", ledger)
    assert result.exit_code == 2
    assert "neither a dimension nor an attribute" in result.stderr


def test_hours_are_those_of_the_time_zone(ledger: str) -> None:
    (row,) = report(ledger, "--by", "hour", "--tz", "Asia/Kolkata", "--where", "run=note-2")["rows"]
    assert row["value"].endswith("+05:30")
    (row,) = report(ledger, "--by", "hour", "--tz", "America/St_Johns", "--where", "run=note-2")["rows"]
    assert row["value"].endswith(("-03:30", "-02:30"))


def test_by_time_the_newest_comes_first_whatever_it_cost(tmp_path: Path) -> None:
    """Money orders all other groups; days in order of their cost would be no history."""
    file, ledger = tmp_path / "spans.jsonl", str(tmp_path / "ledger.duckdb")
    first_of_2026_ns = 1_767_268_800_000_000_000  # noon
    days = (helper(first_of_2026_ns), note(first_of_2026_ns + 24 * 3600 * SECOND_NS))
    file.write_text("".join(json.dumps(trace.request()) + "\n" for trace in days))
    run_json("import", str(file), "--db", ledger)
    rows = report(ledger, "--by", "day", "--since", "all", "--tz", "UTC")["rows"]
    assert [row["value"] for row in rows] == ["2026-01-02", "2026-01-01"]
    assert Decimal(rows[0]["cost_usd"]) < Decimal(rows[1]["cost_usd"])


def test_estimated_and_reported_costs_are_told_apart_from_priced_ones(tmp_path: Path) -> None:
    """One call says no usage but its text, one only what it was billed, one its tokens."""
    file, ledger = tmp_path / "spans.jsonl", str(tmp_path / "ledger.duckdb")
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}])
    trace = Trace("7e57" * 8, time.time_ns() - 3600 * SECOND_NS, {})
    for more in ({"GEN_AI_INPUT_MESSAGES": text}, {"GEN_AI_USAGE_COST_AMOUNT": "0.25"}, usage(10, 1)):
        trace.add("chat gpt-4o", attributes=call("openai", "gpt-4o", "a", **more))
    file.write_text(json.dumps(trace.request()) + "\n")
    run_json("import", str(file), "--db", ledger)
    total = report(ledger, "--by", "model")["total"]
    assert (total["calls"], total["estimated_calls"], total["reported_calls"]) == (3, 1, 1)
    assert Decimal(0) < Decimal(total["estimated_cost_usd"]) < Decimal("0.0001")
    assert Decimal(total["cost_usd"]) == Decimal(total["estimated_cost_usd"]) + Decimal("0.250035")
    text = run("report", "--by", "model", "--db", ledger).stdout
    assert "1 call with estimated tokens: $0.000020 of this" in text
    assert "1 call at the cost that the provider or the span reported" in text


def test_a_window_without_calls_says_where_they_are(ledger: str) -> None:
    result = run("report", "--since", "2020-01-01", "--until", "2020-02-01", "--db", ledger)
    assert result.exit_code == 0
    assert "The ledger holds 6 calls" in result.stdout
    assert "--since all" in result.stdout


def test_no_ledger_says_how_to_get_one(tmp_path: Path) -> None:
    result = run("report", "--db", str(tmp_path / "none.duckdb"))
    assert result.exit_code == 1
    assert "otel-cost collect" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_ledger_without_calls_says_what_is_missing(tmp_path: Path) -> None:
    file, path = tmp_path / "spans.json", str(tmp_path / "ledger.duckdb")
    file.write_text('{"resourceSpans":[]}')
    assert run("import", str(file), "--db", path).exit_code == 0
    result = run("report", "--db", path)
    assert result.exit_code == 0
    assert "no spans yet" in result.stdout


@pytest.mark.parametrize("by", ["run", "agent", "model", "day"])
def test_a_table_fits_80_columns_and_carries_no_colours_when_piped(
    ledger: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run("report", "--by", by, "--db", ledger).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_columns_that_give_way_are_named(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "not shown at this width: in, out" in run("report", "--by", "agent", "--db", ledger).stdout


def test_without_a_terminal_every_column_is_there(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = run("report", "--by", "agent", "--db", ledger).stdout
    assert "cache read" in text
    assert "not shown" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "customer"], "not of the form key=value"),
        (["--where", "day=2026-11-01"], "use --since and --until"),
        (["--since", "soon"], "neither an age"),
        (["--limit", "0"], "not in the range"),
    ],
)
def test_wrong_options_are_refused_with_exit_code_2(ledger: str, arguments: list[str], message: str) -> None:
    result = run("report", "--db", ledger, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
