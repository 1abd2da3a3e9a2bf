"""`otel-cost budgets check`, `approvals`, `approve`, `deny` and `rules`: asked of a real collector over its API."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from click.testing import Result

from tests.collector.cli.scenario import run

TOKEN = "0123456789abcdef0123"
CONFIG = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:0"}}}}}}}}
processors:
  cost: {{}}
  budget:
    rules:
      - {{name: per-customer, scope: customer, limit: 1 USD/total, on_exceed: [notify, approval]}}
      - {{name: per-agent, scope: agent, limit: 0 calls/day, on_exceed: block}}
exporters: {{duckdb: {{path: "{folder}/ledger.duckdb"}}}}
extensions: {{api: {{endpoint: "{endpoint}", tokens: [{{name: ops, token: {token}, role: admin}}]}}}}
service:
  extensions: [api]
  pipelines: {{traces: {{receivers: [otlp], processors: [cost, budget], exporters: [duckdb]}}}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A config that names the API of a collector that runs."""
    folder = tmp_path_factory.mktemp("api")
    path = folder / "collector.yaml"
    path.write_text(CONFIG.format(folder=folder, endpoint="127.0.0.1:0", token=TOKEN))
    words = [sys.executable, "-m", "collector", "collect", "--config", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        found = next(match for line in collector.stdout if (match := re.search(r"api +http://([\d.:]+)/", line)))
        path.write_text(CONFIG.format(folder=folder, endpoint=found.group(1), token=TOKEN))
        yield str(path)
        collector.terminate()


def _budgets(config: str, *words: str) -> Result:
    return run("budgets", *words, "--config", config, "--token", TOKEN)


def _ticket(config: str, customer: str) -> str:
    """Of a call that needs an approval."""
    endpoint = re.findall(r'api: \{endpoint: "([\d.:]+)"', Path(config).read_text())[0]
    body = {"holder": "test", "owners": {"customer": customer}, "estimate": {"usd": "1.5", "tokens": 10}}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    request = Request(f"http://{endpoint}/api/v1/budgets/lease", json.dumps(body).encode(), headers)
    with urlopen(request, timeout=10) as answer:
        ticket: str = json.loads(answer.read())["refusal"]["ticket"]
    return ticket


def test_a_check_says_what_would_be_answered_also_by_its_exit_code(config: str) -> None:
    allowed = _budgets(config, "check", "--customer", "acme", "--model", "gpt-4o", "--usd", "0.05")
    assert (allowed.exit_code, allowed.output) == (0, "allowed\n")
    blocked = _budgets(config, "check", "--agent", "planner", "--usd", "0.05")
    assert blocked.exit_code == 3
    assert blocked.output.startswith("blocked: per-agent of planner: 0 calls spent")
    said = _budgets(config, "check", "--customer", "acme", "--usd", "1.5", "--json")
    assert (said.exit_code, json.loads(said.output)["decision"]) == (3, "approval")


def test_without_a_token_the_api_does_not_answer_and_says_why(config: str) -> None:
    result = run("budgets", "check", "--usd", "0.05", "--config", config)
    assert result.exit_code == 1
    assert "--token" in result.output


def test_a_raise_is_listed_approved_and_lets_the_call_through(config: str) -> None:
    ticket = _ticket(config, "globex")
    assert ticket in _budgets(config, "approvals").output
    other = _budgets(config, "approve", ticket, "--raise", "5tokens")
    assert (other.exit_code, "the limit is of USD" in other.output) == (2, True)
    approved = _budgets(config, "approve", ticket, "--raise", "5USD", "--for", "2h", "--note", "launch")
    assert (approved.exit_code, approved.output) == (0, f"{ticket}: approved\n")
    assert _budgets(config, "check", "--customer", "globex", "--usd", "1.5").exit_code == 0
    assert _budgets(config, "approve", ticket, "--raise", "5USD").exit_code == 1


def test_a_raise_may_be_denied(config: str) -> None:
    ticket = _ticket(config, "initech")
    assert _budgets(config, "deny", ticket, "--note", "no").output == f"{ticket}: denied\n"
    listed = json.loads(_budgets(config, "approvals", "--state", "denied", "--json").output)["approvals"]
    assert [each["ticket"] for each in listed] == [ticket]


def test_rules_are_made_and_removed_at_run_time(config: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("[{name: extra, scope: team, limit: 3 calls/hour, on_exceed: throttle, start: now}]")
    before = datetime.now(UTC).replace(microsecond=0)
    assert _budgets(config, "rules", "set", str(rules)).exit_code == 0
    listed = json.loads(_budgets(config, "rules", "--json").output)["rules"]
    (start,) = [datetime.fromisoformat(rule["start"]) for rule in listed if rule["name"] == "extra"]
    assert before <= start <= datetime.now(UTC)
    assert {rule["name"]: rule["from"] for rule in listed} == {
        "per-customer": "config",
        "per-agent": "config",
        "extra": "api",
    }
    assert _budgets(config, "rules", "delete", "extra").output == "deleted: extra\n"
    gone = _budgets(config, "rules", "delete", "per-agent")
    assert gone.exit_code == 1
    assert "config" in gone.output
