"""The ledger beside a bill: every difference has a name, and the names add up to it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_cost import attributes as keys
from tests.collector.cli.scenario import SECOND_NS, Trace, call, run, run_json, usage

BILLS = Path(__file__).parents[2] / "testdata" / "reconcile"
FIRST, SECOND, THIRD = "2026-11-02", "2026-11-03", "2026-11-04"
SNAPSHOT = {"GEN_AI_RESPONSE_MODEL": "gpt-4o-2024-08-06"}
GPT = call("openai", "gpt-4o", "a", **usage(1000, 100), **SNAPSHOT)  # $0.0035
SONNET = call("anthropic", "claude-sonnet-4-5", "a", **usage(2000, 200))  # $0.009
SILENT = call("openai", "gpt-4o", "a", **SNAPSHOT)


def _day(day: str, trace_id: str) -> Trace:
    start_ns = int(datetime.fromisoformat(f"{day}T10:00:00").replace(tzinfo=UTC).timestamp()) * SECOND_NS
    return Trace(trace_id, start_ns, {keys.OTEL_COST_RUN: day})


def _days() -> list[Trace]:
    first, second, third = (_day(day, f"d{number}" * 16) for number, day in enumerate((FIRST, SECOND, THIRD)))
    for trace in (first, second, third):
        for said in (GPT, GPT, SONNET):
            trace.add("chat", attributes=said)
    first.add("chat", attributes=call("azure.ai.openai", "gpt-4o", "a", **usage(1000, 0)))
    second.add("chat", attributes=SILENT)
    second.add("chat", attributes=call("openai", "no-such-model-9", "a", **usage(100, 10)))
    third.add("chat", attributes={**SILENT, keys.ERROR_TYPE: "timeout"}, failed="the stream broke off")
    third.add("chat", attributes=SONNET)
    return [first, second, third]


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ledger of three days: each two calls of gpt-4o and one of Sonnet, and some that are not as they should be."""
    folder = tmp_path_factory.mktemp("booked")
    source, path = folder / "calls.jsonl", str(folder / "booked.duckdb")
    source.write_text("".join(json.dumps(trace.request()) + "\n" for trace in _days()))
    result = run("import", str(source), "--db", path)
    assert result.exit_code == 0, result.output
    return path


def reconciled(ledger: str, *names: str, by: str = "day,model") -> dict[str, Any]:
    """The JSON for some of the bills; in every row of it the causes add up to the difference."""
    found = run_json("reconcile", *(str(BILLS / name) for name in names), "--ledger", ledger, "--by", by)
    if found["bill_has_amounts"]:
        for row in (*found["rows"], found["total"]):
            assert sum(Decimal(each["amount_usd"]) for each in row["causes"]) == Decimal(row["difference_usd"])
            assert Decimal(row["bill_usd"] or 0) - Decimal(row["ledger_usd"]) == Decimal(row["difference_usd"])
    return dict(found)


def causes(found: dict[str, Any], day: str, model: str | None) -> dict[str, tuple[str | None, int]]:
    """Cause -> amount and calls, of one row."""
    (row,) = [row for row in found["rows"] if (row["day"], row["model"]) == (day, model)]
    return {each["cause"]: (each["amount_usd"], each["calls"]) for each in row["causes"]}


def test_costs_of_openai_by_day_and_model(booked: str) -> None:
    """A day that agrees; a call without usage, one without a price, a tool; an aborted stream, somebody else's call."""
    found = reconciled(booked, "openai_costs.json")
    assert (found["first_day"], found["last_day"], found["format"]) == (FIRST, THIRD, "openai")
    assert causes(found, FIRST, "gpt-4o") == {}
    assert causes(found, SECOND, "gpt-4o") == {"missing_usage": ("0.0035", 1)}
    assert causes(found, SECOND, "no-such-model-9") == {"unpriced": ("0.55", 1)}
    assert causes(found, SECOND, None) == {"no_model": ("0.01", 0)}
    assert causes(found, THIRD, "gpt-4o") == {"aborted": ("0.00125", 1)}
    assert causes(found, THIRD, "gpt-4.1-mini") == {"bill_only": ("0.0004", 0)}
    total = found["total"]
    assert (total["bill_usd"], total["ledger_usd"], total["difference_usd"]) == ("0.58615", "0.021", "0.56515")


def test_calls_of_other_providers_are_not_on_the_bill(booked: str) -> None:
    """Four of Anthropic and one that Azure bills, though its model is OpenAI's."""
    found = reconciled(booked, "openai_costs.json")
    assert (found["calls_of_other_providers"], found["cost_of_other_providers_usd"]) == (5, "0.0385")


def test_costs_and_usage_together_say_the_same_as_costs_that_count(booked: str) -> None:
    """Counts are those of the usage report: never added twice."""
    alone, both = (
        reconciled(booked, *names) for names in (["openai_costs.json"], ["openai_costs.json", "openai_usage.json"])
    )
    for row, other in zip(alone["rows"], both["rows"], strict=True):
        assert row["causes"] == other["causes"] or row["model"] == "gpt-4.1-mini"
        assert row["bill"]["input_tokens"] == other["bill"]["input_tokens"]
    assert causes(both, THIRD, "gpt-4.1-mini") == {"bill_only": ("0.0004", 4)}


def test_usage_alone_names_the_cause_and_no_amount(booked: str) -> None:
    """Which calls, and how many; a bill without amounts has no difference in money."""
    found = reconciled(booked, "openai_usage.json")
    assert causes(found, FIRST, "gpt-4o") == {}
    assert causes(found, SECOND, "gpt-4o") == {"missing_usage": (None, 1)}
    assert causes(found, SECOND, "no-such-model-9") == {}
    assert causes(found, THIRD, "gpt-4o") == {"aborted": (None, 1)}
    assert causes(found, THIRD, "gpt-4.1-mini") == {"bill_only": (None, 4)}
    assert (found["total"]["bill_usd"], found["total"]["difference_usd"]) == (None, None)


def test_the_dashboards_csv_counts_nothing_so_amounts_are_shared_out_by_averages(booked: str) -> None:
    """A day without costs is a day of the bill: what the ledger has there is only in the ledger."""
    found = reconciled(booked, "openai_costs.csv")
    assert causes(found, SECOND, "gpt-4o") == {"missing_usage": ("0.0035", 1)}
    assert causes(found, THIRD, "gpt-4o") == {"ledger_only": ("-0.007", 3)}
    (row,) = [row for row in found["rows"] if (row["day"], row["model"]) == (SECOND, "gpt-4o")]
    assert row["causes"][0]["estimated"]


def test_a_constant_part_of_the_ledger_is_a_discount(booked: str) -> None:
    """Anthropic's bill is nine tenths on all three days; its amounts are cents."""
    found = reconciled(booked, "anthropic_cost_report.json")
    assert [causes(found, day, "claude-sonnet-4-5") for day in (FIRST, SECOND, THIRD)] == [
        {"discount": ("-0.0009", 0)},
        {"discount": ("-0.0009", 0)},
        {"discount": ("-0.0018", 0)},
    ]
    assert causes(found, THIRD, None) == {"no_model": ("0.02", 0)}
    (discount,) = [each for each in found["total"]["causes"] if each["cause"] == "discount"]
    assert (discount["amount_usd"], discount["ratio"]) == ("-0.0036", "0.90")


def test_a_bill_that_says_its_list_prices_says_its_discount(booked: str) -> None:
    """The Console's CSV, whose models go by their titles."""
    found = reconciled(booked, "claude_api_cost.csv", by="model")
    (row,) = found["rows"]
    assert row["model"] == "claude-sonnet-4-5"
    assert [(each["cause"], each["amount_usd"], each["ratio"]) for each in row["causes"]] == [
        ("discount", "-0.0018", "0.90")
    ]


@pytest.mark.parametrize("name", ["anthropic_usage_report.json", "claude_api_tokens.csv", "openai_usage.csv"])
def test_usage_that_agrees_has_no_cause(booked: str, name: str) -> None:
    """Input is all of it: cached, written and other tokens."""
    rows = [row for row in reconciled(booked, name)["rows"] if row["day"] == FIRST]
    assert [row["causes"] for row in rows] == [[]]


def test_a_plain_csv_with_counts_tells_another_price_from_other_calls(booked: str) -> None:
    """The same tokens of Sonnet for $0.0095 are another price; what the file does not have is only in the ledger."""
    found = reconciled(booked, "plain.csv")
    assert causes(found, FIRST, "gpt-4o") == {}
    assert causes(found, FIRST, "claude-sonnet-4-5") == {"price_difference": ("0.0005", 0)}
    assert causes(found, SECOND, "claude-sonnet-4-5") == {}
    assert causes(found, SECOND, "gpt-4o") == {"ledger_only": ("-0.007", 3)}
    assert found["calls_of_other_providers"] == 1


def test_a_bill_without_models_is_compared_by_days(booked: str, tmp_path: Path) -> None:
    """As the Costs API answers without `group_by`."""
    start = int(datetime(2026, 11, 2, tzinfo=UTC).timestamp())
    result = {"object": "organization.costs.result", "amount": {"value": 0.007, "currency": "usd"}, "line_item": None}
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": [result]}
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"object": "page", "data": [bucket], "has_more": True}))
    found = run_json("reconcile", str(file), "--ledger", booked)
    assert not found["bill_says_models"]
    assert [(row["model"], row["difference_usd"], row["causes"]) for row in found["rows"]] == [(None, "0.00", [])]
    shown = run("reconcile", str(file), "--ledger", booked).output
    assert "bill and ledger agree" in shown
    assert "the bill says no models" in shown
    assert "has_more" in shown


def test_days_outside_the_ones_asked_for_are_counted_not_compared(booked: str) -> None:
    """`--until` is the day after the last one."""
    arguments = ("reconcile", str(BILLS / "openai_costs.json"), "--ledger", booked, "--since", SECOND, "--until", THIRD)
    found = run_json(*arguments)
    assert {row["day"] for row in found["rows"]} == {SECOND}
    assert found["bill_lines_of_other_days"] == 6
    assert run(*arguments[:-1], SECOND).exit_code == 2


def test_the_table_names_causes_and_their_sum(booked: str) -> None:
    """For people."""
    shown = run("reconcile", str(BILLS / "openai_costs.json"), "--ledger", booked).output
    for text in (
        "missing_usage (1)",
        "unpriced (1)",
        "aborted (1)",
        "bill_only",
        "no_model",
        "calls that say no usage",
    ):
        assert text in shown
    assert "5 calls ($0.038) of other providers are not on this bill" in shown
    usage_only = run("reconcile", str(BILLS / "openai_usage.json"), "--ledger", booked).output
    assert "bill in" in usage_only
    assert "missing_usage (1)" in usage_only


def test_nothing_is_written(booked: str) -> None:
    """Neither the ledger nor the bill."""
    before = Path(booked).read_bytes()
    reconciled(booked, "openai_costs.json")
    assert Path(booked).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("openai_costs.json", '"currency": "usd"', '"currency": "eur"', "amount.currency: found 'eur'; allowed: usd"),
        (
            "openai_costs.json",
            '"value": 0.005',
            '"value": "five"',
            "line 12, data[0].results[0].amount.value: found 'five'",
        ),
        ("openai_costs.csv", "0.0105000000000000", "1,0105", "line 3: found 11 cells; allowed: 10"),
        ("openai_costs.csv", "0.0105000000000000", "$1", "line 3, column amount_value: found '$1'; allowed: a decimal"),
        ("claude_api_cost.csv", "2026-11-03,", "03/11/2026,", "line 4, column usage_date_utc: found '03/11/2026'"),
        ("claude_api_cost.csv", "cost_usd", "cost_eur", "did you mean cost_eur?"),
        ("plain.csv", "amount_usd", "amount_us", "found the column 'amount_us'; allowed: day, model, amount_usd"),
        (
            "plain.csv",
            "0.0095,2000",
            "0.0095,-2000",
            "line 3, column input_tokens: found '-2000'; allowed: a whole number",
        ),
        ("anthropic_cost_report.json", '"has_more": false', '"has_more": fal', "allowed: JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    booked: str, tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    """Line, what was found, what is allowed; exit code 2."""
    file = tmp_path / name
    text = (BILLS / name).read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    result = run("reconcile", str(file), "--ledger", booked)
    assert result.exit_code == 2
    shown = " ".join(result.output.split())
    assert f"{file}, line " in shown
    assert said in shown


def test_files_of_two_providers_are_two_bills(booked: str) -> None:
    """One at a time."""
    result = run("reconcile", str(BILLS / "openai_costs.json"), str(BILLS / "claude_api_cost.csv"), "--ledger", booked)
    assert result.exit_code == 2
    assert "one bill at a time" in result.output


def test_an_empty_bill_needs_days(booked: str, tmp_path: Path) -> None:
    """With them, everything is only in the ledger."""
    file = tmp_path / "empty.json"
    file.write_text('{"object": "page", "data": [], "has_more": false}')
    assert run("reconcile", str(file), "--ledger", booked, "--format", "openai").exit_code == 2
    shutil.copy(BILLS / "openai_costs.csv", tmp_path / "costs.csv")
    header = (tmp_path / "costs.csv").read_text().splitlines()[0]
    (tmp_path / "costs.csv").write_text(header + "\n")
    days = ("--since", FIRST, "--until", SECOND)
    found = run_json("reconcile", str(tmp_path / "costs.csv"), "--ledger", booked, *days)
    assert found["total"]["ledger"]["calls"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--by", "hour"), "'hour' is none of day, provider, model"), (("--since", "yesterday"), "is not a day such as")],
)
def test_wrong_options_are_refused(booked: str, arguments: tuple[str, ...], said: str) -> None:
    result = run("reconcile", str(BILLS / "plain.csv"), "--ledger", booked, *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
