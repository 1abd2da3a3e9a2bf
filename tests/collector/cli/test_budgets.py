"""`otel-cost budgets`: a real ledger whose budgets were counted by the collector's own parts."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from collector.budgets.keeper import BudgetKeeper
from collector.cli.budgets_proposed import read_rules_file
from collector.store import Store
from collector.store.config import StoreConfig
from tests.collector.cli import scenario
from tests.collector.cli.scenario import run, run_json

RULES = """
- {name: per-customer, scope: customer, limit: 0.05 USD/total, on_exceed: [notify, block]}
- {name: run-calls, scope: run, limit: 5 calls/run, warn_at: 50%}
- {name: rolling, scope: organization, limit: 1 USD/24h, unpriced: worst_case}
- {name: tokens, scope: {customer: acme}, limit: 1000000 tokens/total}
"""
TOTALS = {"acme": "0.005815", "globex": "0.08149"}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a ledger of the scenario, with budgets."""
    folder = tmp_path_factory.mktemp("budgets")
    path = folder / "ledger.duckdb"
    assert run("import", str(scenario.write(folder)), "--db", str(path)).exit_code == 0
    (folder / "rules.yaml").write_text(RULES)
    store = Store(StoreConfig(path=path))
    keeper = BudgetKeeper(store, read_rules_file(folder / "rules.yaml"))
    store.start()
    keeper.start()
    store.stop()
    return str(path)


def _rules(counted: str) -> str:
    return str(Path(counted).parent / "rules.yaml")


def test_the_list_has_what_the_calls_cost_and_how_full_each_budget_is(counted: str) -> None:
    said = run_json("budgets", "list", "--rule", "per-customer", "--db", counted)
    assert {each["scope_value"]: each["spent"] for each in said["budgets"]} == TOTALS
    assert [(each["scope_value"], each["state"]) for each in said["budgets"]] == [
        ("globex", "exceeded"),
        ("acme", "ok"),
    ]
    assert said["budgets"][1]["share"] == "0.1163"
    assert {each["resets_at"] for each in said["budgets"]} == {None}


def test_budgets_alone_is_the_list(counted: str) -> None:
    result = run("budgets", "--db", counted)
    assert result.exit_code == 0, result.output
    assert "█" in result.output
    assert "exceeded" in result.output
    assert result.output == run("budgets", "list", "--db", counted).output


def test_a_rolling_budget_counts_what_is_not_older_than_its_window(counted: str) -> None:
    (now,) = run_json("budgets", "list", "--rule", "rolling", "--db", counted)["budgets"]
    assert (now["cost_usd"], now["calls"], now["unpriced_calls"]) == ("0.087305", 6, 1)
    assert run_json("budgets", "list", "--rule", "rolling", "--at", "2h", "--db", counted)["budgets"] == []


def test_an_unknown_budget_is_told_the_nearest_one(counted: str) -> None:
    result = run("budgets", "show", "per-customr", "--db", counted)
    assert result.exit_code == 2
    assert "did you mean per-customer?" in result.output


def test_a_budget_is_shown_in_words_as_a_config_writes_it_and_with_its_events(counted: str) -> None:
    text = run("budgets", "show", "per-customer", "--db", counted).output
    assert "each customer may spend $0.050 in all" in text
    assert "At the limit it writes it to the log; refuses calls." in text
    assert "limit: 0.05 USD/total" in text
    assert "exceed" in text
    events = run_json("budgets", "events", "--rule", "per-customer", "--since", "all", "--db", counted)["events"]
    assert {(each["scope_value"], each["event"], each["threshold"]) for each in events} == {
        ("globex", "warn", "80%"),
        ("globex", "exceed", "100%"),
    }


def test_what_is_verified_has_no_differences(counted: str) -> None:
    said = run_json("budgets", "verify", "--db", counted)
    assert said["differences"] == []
    assert said["compared_counters"] == 2 + 3 + 1 + _buckets(counted)  # customers, runs, acme
    expected = f"0 differences in {said['compared_counters']} counters of 4 budgets"
    assert run("budgets", "verify", "--db", counted).output.startswith(expected)


def _buckets(counted: str) -> int:
    """Of the rolling budget: its buckets are an hour long, and calls may lie on both sides of a full one."""
    with duckdb.connect(counted, read_only=True) as connection:
        starts = connection.execute("SELECT count(DISTINCT epoch_ns(start_time) // 3_600_000_000_000) FROM calls")
        return int(starts.fetchall()[0][0])


def test_a_counter_that_is_wrong_is_a_difference(counted: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    path.write_bytes(Path(counted).read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE _ledger.budget_counter SET calls = calls + 1 WHERE scope_value = 'globex'")
    result = run("budgets", "verify", "--db", str(path))
    assert result.exit_code == 1
    assert f"1 differences in {2 + 3 + 1 + _buckets(counted)} counters" in result.output
    assert "globex" in result.output


def test_a_simulation_says_what_a_block_would_have_saved(counted: str) -> None:
    said = run_json("budgets", "simulate", "--rules", _rules(counted), "--db", counted)
    assert (said["calls"], said["cost_usd"]) == (6, "0.087305")
    assert (said["refused_calls"], said["refused_usd"], said["saved_usd"]) == (1, "0.08149", "0.08149")
    per_customer = said["rules"][0]
    assert per_customer["exceeded"] == 1
    assert {each["scope_value"]: each["refused_calls"] for each in per_customer["counters"]} == {"globex": 1, "acme": 0}
    text = run("budgets", "simulate", "--rules", _rules(counted), "--db", counted).output
    assert "1 call of $0.081 refused" in text


def test_a_cheaper_model_is_priced_by_the_card(counted: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "[{name: c, scope: customer, limit: 0.05 USD/total, on_exceed: cheaper_model, cheaper: {gpt-4o: gpt-4o-mini}}]"
    )
    said = run_json("budgets", "simulate", "--rules", str(rules), "--db", counted)
    cheaper = 29_000 * 150_000 + 899 * 600_000  # pico-USD: gpt-4o-mini
    assert said["cheaper_calls"] == 1
    assert said["cheaper_saved_usd"] == f"{(81_490_000_000 - cheaper) / 10**12:.7f}".rstrip("0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{name: r, scope: custmer, limit: 5 USD/day}]", "rules[0].scope: unknown scope (got custmer); allowed"),
        ("[{name: r, scope: customer, limit: 5 USD/dya}]", 'did you mean "day"?'),
        ("{processors: {budget: {rules: [{name: r, scope: customer, limt: 1}]}}}", "processors.budget.rules[0].limt"),
        ("[]", "there are no rules"),
        ("just words", "must be a list of rules"),
        ("[{name: r, scope: user, limit: 1 USD/day}, {name: r, scope: user, limit: 1 USD/day}]", "several are named r"),
    ],
)
def test_rules_that_are_wrong_are_told_with_their_place(counted: str, tmp_path: Path, text: str, message: str) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    result = run("budgets", "simulate", "--rules", str(rules), "--db", counted)
    assert result.exit_code == 2
    assert message in result.output


def test_rules_may_be_a_list_one_rule_or_a_config(tmp_path: Path) -> None:
    rule = {"name": "r", "scope": "customer", "limit": "5 USD/day"}
    found = []
    for number, tree in enumerate(([rule], rule, {"rules": [rule]}, {"processors": {"budget": {"rules": [rule]}}})):
        path = tmp_path / f"{number}.yaml"
        path.write_text(json.dumps(tree))
        found.append(read_rules_file(path))
    assert len(found[0]) == 1
    assert all(each == found[0] for each in found)


def test_a_ledger_without_budgets_says_how_to_have_some(ledger: str) -> None:
    assert "processors.budget.rules" in run("budgets", "--db", ledger).output
    assert run_json("budgets", "verify", "--db", ledger)["compared_counters"] == 0
    assert run_json("budgets", "list", "--db", ledger)["budgets"] == []


def test_without_a_collector_nobody_answers(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("extensions: {api: {endpoint: 127.0.0.1:1}}\nservice: {extensions: [api]}\n")
    result = run("budgets", "check", "--usd", "0.05", "--config", str(config))
    assert result.exit_code == 1
    assert "no collector answers at 127.0.0.1:1" in result.output
    assert run("budgets", "check", "--usd", "much").exit_code == 2
    assert run("budgets", "approve", "t", "--raise", "5EUR").exit_code == 2


@pytest.mark.parametrize(
    "name", ["list", "show", "check", "verify", "simulate", "events", "approvals", "approve", "deny", "rules"]
)
def test_help_of_each_subcommand_has_examples_and_its_options_are_documented(name: str) -> None:
    text = run("budgets", name, "--help").output
    assert "Examples:" in text
    assert "Exit codes:" in text
    documented = (Path(__file__).parents[3] / "docs" / "budgets.md").read_text()
    for line in text.split("Options:")[1].splitlines():
        option = line.strip().split(" ")[0].rstrip(",")
        if option.startswith("--") and option != "--help":
            known = (
                "--feature",
                "--team",
                "--user",
                "--project",
                "--environment",
                "--conversation",
                "--run",
                "--provider",
            )
            assert option in documented or option in known, f"docs/budgets.md does not say what {option} does"
