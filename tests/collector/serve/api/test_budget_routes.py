"""Budgets over HTTP, over a real ledger: decisions, rules at run time, and who changed them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.budget_desk import BudgetDesk
from collector.budgets.model import Action, Rule, Unit, Window, WindowKind
from collector.serve.api.budgets import budget_paths
from collector.serve.api.config import ApiToken, Role
from collector.store import Store
from collector.store.config import StoreConfig
from otel_cost.pricing import default_card
from tests.collector.serve.api.serving import JSON, Ask, serving

DAILY = Rule("daily", (("customer", None),), 10**12, Unit.USD, Window(WindowKind.DAY), on_exceed=(Action.BLOCK,))
MADE = {"scope": "user", "limit": "5 calls/hour", "on_exceed": ["block"]}


@contextmanager
def desk(folder: Path, *rules: Rule) -> Iterator[BudgetDesk]:
    store = Store(StoreConfig(folder / "otel-cost.duckdb"))
    running = BudgetDesk(store, rules, (), default_card, "default")
    store.start()
    running.start()
    try:
        yield running
    finally:
        running.stop()
        store.stop()


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    with desk(tmp_path, DAILY) as running, serving(budget_paths(running)) as asking:
        yield asking


def claim(usd: str, **more: Any) -> dict[str, Any]:
    return {
        "holder": "test",
        "owners": {"customer": "acme", "user": "ann"},
        "provider": "openai",
        "model": "gpt-4o",
        "estimate": {"usd": usd, "tokens": 100},
        **more,
    }


def test_a_lease_takes_from_a_budget_until_it_is_given_back(ask: Ask) -> None:
    status, found = ask("POST", "/budgets/lease", claim("0.6", calls=1), **JSON)
    assert (status, found["decision"]) == (200, "allow")
    assert [(grant["rule"], grant["amount"]) for grant in found["lease"]["grants"]] == [("daily", "0.6")]
    refused = ask("POST", "/budgets/check", {k: v for k, v in claim("0.6").items() if k != "holder"}, **JSON)[1]
    assert (refused["decision"], refused["refusal"]["leased"]) == ("block", "0.6")
    assert ask("POST", "/budgets/release", {"lease": found["lease"]["id"]}, **JSON)[1]["known"]
    assert ask("POST", "/budgets/lease", claim("0.6", calls=1), **JSON)[1]["decision"] == "allow"


def test_a_counter_that_only_leases_hold_something_of_is_listed(ask: Ask) -> None:
    ask("POST", "/budgets/lease", claim("0.6", calls=1), **JSON)
    (counter,) = ask("GET", "/budgets/daily")[1]["counters"]
    assert (counter["scope_value"], counter["spent"], counter["leased"]) == ("acme", "0", "0.6")


def test_changes_of_rules_at_the_same_time_all_hold(ask: Ask) -> None:
    """In memory as in the ledger: none is lost to another one's copy."""
    names = [f"made-{number}" for number in range(12)]
    with ThreadPoolExecutor(len(names)) as pool:
        statuses = list(pool.map(lambda name: ask("PUT", f"/budgets/rules/{name}", MADE, **JSON)[0], names))
    assert statuses == [201] * len(names)
    assert {rule["name"] for rule in ask("GET", "/budgets/rules")[1]["rules"]} == {"daily", *names}


def test_what_is_wrong_in_a_request_is_said_with_its_place(ask: Ask) -> None:
    misspelt = claim("0.6") | {"owners": {"custmer": "acme"}}
    status, found = ask("POST", "/budgets/lease", misspelt, **JSON)
    assert status == 400
    assert found["error"]["where"] == "owners.custmer"
    assert "customer" in str(found["error"])
    assert ask("POST", "/budgets/lease", [], **JSON)[0] == 400


def test_budgets_are_listed_with_what_is_spent_and_leased(ask: Ask) -> None:
    (listed,) = ask("GET", "/budgets")[1]["budgets"]
    assert (listed["name"], listed["limit"], listed["window"], listed["is_hard"]) == ("daily", "1", "day", True)
    status, found = ask("GET", "/budgets/dialy")
    assert (status, found["error"]["message"]) == (404, "there is no budget dialy; did you mean daily?")


def test_rules_are_made_changed_and_removed_and_it_is_known_by_whom(ask: Ask) -> None:
    assert ask("PUT", "/budgets/rules/hourly", MADE, **JSON)[0] == 201
    assert ask("PUT", "/budgets/rules/hourly", MADE | {"limit": "6 calls/hour"}, **JSON)[0] == 200
    listed = {rule["name"]: rule["from"] for rule in ask("GET", "/budgets/rules")[1]["rules"]}
    assert listed == {"daily": "config", "hourly": "api"}
    grants = ask("POST", "/budgets/lease", claim("0.1", calls=1), **JSON)[1]["lease"]["grants"]
    assert {grant["rule"] for grant in grants} == {"daily", "hourly"}
    assert ask("DELETE", "/budgets/rules/hourly", **JSON)[0] == 200
    audit = ask("GET", "/budgets/audit")[1]["audit"]
    assert [(row["action"], row["actor"], row["subject"]) for row in audit] == [
        ("rule_deleted", "local", "hourly"),
        ("rule_changed", "local", "hourly"),
        ("rule_created", "local", "hourly"),
    ]
    assert audit[1]["before"]["limit"] == "5 calls/hour"
    assert audit[1]["after"]["limit"] == "6 calls/hour"


def test_a_rule_that_is_made_at_run_time_may_count_from_now_on(ask: Ask) -> None:
    """Written as the time at which it was made, so that it stays."""
    before = datetime.now(UTC).replace(microsecond=0)
    status, found = ask("PUT", "/budgets/rules/fresh", MADE | {"start": "now"}, **JSON)
    assert status == 201
    assert before <= datetime.fromisoformat(found["rule"]["start"]) <= datetime.now(UTC)
    assert ask("DELETE", "/budgets/rules/fresh", **JSON)[0] == 200


@pytest.mark.parametrize(
    ("method", "name", "body", "status", "words"),
    [
        ("PUT", "daily", MADE, 409, "daily is a rule of the config; change it there"),
        ("DELETE", "daily", None, 409, "daily is a rule of the config; change it there"),
        ("DELETE", "weekly", None, 404, "there is no rule weekly"),
        ("PUT", "weekly", MADE | {"on_exceed": "blok"}, 400, 'did you mean "block"?'),
        ("PUT", "weekly", MADE | {"on_exceed": "webhook"}, 400, "webhook"),
        ("PUT", "weekly", MADE | {"name": "other"}, 400, "the rule is named other, the path says weekly"),
        ("PUT", "weekly", [], 400, "is no rule"),
    ],
)
def test_changes_that_are_not_possible_are_refused(
    ask: Ask, method: str, name: str, body: object, status: int, words: str
) -> None:
    found = ask(method, f"/budgets/rules/{name}", body, **JSON)
    assert found[0] == status
    assert words in found[1]["error"]["message"]


def test_rules_made_at_run_time_hold_after_a_restart(tmp_path: Path) -> None:
    with desk(tmp_path) as running, serving(budget_paths(running)) as asking:
        asking("PUT", "/budgets/rules/hourly", MADE, **JSON)
        revision = asking("GET", "/budgets/rules")[1]["rules_revision"]
    with desk(tmp_path) as running, serving(budget_paths(running)) as asking:
        found = asking("GET", "/budgets/rules")[1]
    assert [rule["name"] for rule in found["rules"]] == ["hourly"]
    assert found["rules_revision"] == revision


def test_a_rule_of_the_config_goes_before_one_made_at_run_time(tmp_path: Path) -> None:
    with desk(tmp_path) as running, serving(budget_paths(running)) as asking:
        asking("PUT", "/budgets/rules/daily", MADE, **JSON)
    with desk(tmp_path, DAILY) as running:
        assert running.rulebook.rules == (DAILY,)


def test_leases_of_a_collector_that_stopped_are_honoured(tmp_path: Path) -> None:
    with desk(tmp_path, DAILY) as running, serving(budget_paths(running)) as asking:
        assert asking("POST", "/budgets/lease", claim("0.9", calls=1), **JSON)[1]["decision"] == "allow"
    with desk(tmp_path, DAILY) as running, serving(budget_paths(running)) as asking:
        assert asking("POST", "/budgets/lease", claim("0.9", calls=1), **JSON)[1]["decision"] == "block"


def test_viewers_ask_editors_lease_and_admins_change_rules(tmp_path: Path) -> None:
    tokens = [ApiToken(role.name, role.name, role) for role in Role]
    with desk(tmp_path, DAILY) as running, serving(budget_paths(running), *tokens) as asking:

        def as_(role: Role, *request: Any) -> int:
            return asking(*request, authorization=f"Bearer {role.name}", **JSON)[0]

        assert as_(Role.VIEWER, "GET", "/budgets") == 200
        assert as_(Role.VIEWER, "POST", "/budgets/lease", claim("0.1")) == 403
        assert as_(Role.EDITOR, "POST", "/budgets/lease", claim("0.1")) == 200
        assert as_(Role.EDITOR, "PUT", "/budgets/rules/hourly", MADE) == 403
        assert as_(Role.ADMIN, "PUT", "/budgets/rules/hourly", MADE) == 201
