"""A real Prometheus scrapes a real collector: every panel's query and every alert rule runs, and money agrees."""

from __future__ import annotations

import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from collector.store.query import query_published
from tests.crash.sender import HttpTransport
from tests.dashboards.expressions import ROOT, alerts, panel_queries
from tests.interop.backends import NotObtainable, eventually, got, prometheus_programs, running
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls
from tests.support.ports import free_port

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

BUDGET = """  budget:
    rules:
      - {name: everything, scope: organization, limit: 1 USD/total}
      - {name: by-model, scope: [provider, model], limit: 1000000000 tokens/month}
"""
EMPTY_WITHOUT_TROUBLE = (
    "refused", "rejected", "forward", "increase(otel_cost_prices", "deliveries", "dead_letters", "projected", "leased",
    "retry_spend", "wasted_spend", "partial_calls", "cache_tokens", "agent: ", "reset_timestamp",
)  # fmt: skip
"""Queries with one of these words have no result where nothing went wrong and history is short."""


class Seen(NamedTuple):
    """A collector and the Prometheus that scrapes it."""

    collector: CollectorProcess
    url: str

    def ask(self, expr: str) -> list[dict[str, Any]]:
        answer = got(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}")
        assert answer["status"] == "success", (expr, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def wait_for_calls(self, count: int) -> None:
        eventually(lambda: self.number("sum(otel_cost_calls_total)") >= count)

    def number(self, expr: str) -> float:
        found = self.ask(expr)
        return float(found[0]["value"][1]) if found else 0.0


@pytest.fixture(scope="module")
def programs() -> tuple[Path, Path]:
    try:
        return prometheus_programs()
    except NotObtainable as error:
        pytest.skip(f"no Prometheus: {error}")


@pytest.fixture(scope="module")
def seen(programs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("prometheus")
    with CollectorProcess(folder, processors=BUDGET) as collector:
        shutil.copy(ROOT / "alerts.yml", folder)
        config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{collector.metrics_port}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        url = f"http://127.0.0.1:{free_port()}"
        command = [
            str(programs[0]),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--enable-feature=exemplar-storage",
        ]
        with running(command, f"{url}/-/ready", folder / "prometheus.log"):
            found = Seen(collector, url)
            for number in range(1, 4):
                send(collector, number)
                found.wait_for_calls(calls(number))
            yield found


def send(collector: CollectorProcess, number: int) -> None:
    transport = HttpTransport(collector.http_port)
    assert transport.send(plain_calls(number)[0].SerializeToString()) == ""
    transport.close()


def calls(number: int) -> int:
    """In all requests up to this one."""
    return sum(len(plain_calls(each)[1]) for each in range(1, number + 1))


def test_promtool_finds_no_fault(programs: tuple[Path, Path], seen: Seen) -> None:
    """Rules and names are as Prometheus wants them."""
    checked = subprocess.run(
        [str(programs[1]), "check", "rules", str(ROOT / "alerts.yml")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    with urllib.request.urlopen(f"http://127.0.0.1:{seen.collector.metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    linted = subprocess.run(
        [str(programs[1]), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_every_query_of_a_panel_and_every_alert_runs(seen: Seen) -> None:
    """None is refused; those that should have something to show do."""
    eventually(lambda: seen.ask('otel_cost_period_spend_usd{period="all"} > 0'))
    empty = []
    for asked in [*panel_queries(), *alerts()]:
        expr = asked.at_range(30)
        if not seen.ask(expr) and asked in panel_queries():
            empty.append(expr)
    unexpected = [expr for expr in empty if not any(word in expr for word in EMPTY_WITHOUT_TROUBLE)]
    assert unexpected == []
    assert len(empty) < len(panel_queries()) / 2


def test_spend_is_that_of_the_ledger(seen: Seen) -> None:
    """To the precision of a float, which is all that Prometheus has."""
    answer = query_published(seen.collector.database, "SELECT CAST(sum(cost_usd) AS VARCHAR) AS usd FROM calls")
    exactly = Decimal(answer.column("usd")[0].as_py())
    assert seen.number("sum(otel_cost_spend_usd_total)") == pytest.approx(float(exactly), rel=1e-12)
    assert seen.number('otel_cost_period_spend_usd{period="all"}') == pytest.approx(float(exactly), rel=1e-12)


def test_exemplars_lead_to_traces(seen: Seen) -> None:
    """Kept by Prometheus, under the query that a panel asks."""
    query = urllib.parse.urlencode({"query": "otel_cost_spend_usd_total", "start": 0, "end": 4_000_000_000})
    series = got(f"{seen.url}/api/v1/query_exemplars?{query}")["data"]
    traces = {exemplar["labels"]["trace_id"] for each in series for exemplar in each["exemplars"]}
    sql = "SELECT DISTINCT trace_id FROM calls"
    known = set(query_published(seen.collector.database, sql).column("trace_id").to_pylist())
    assert traces
    assert traces <= known


def test_a_budget_that_is_used_up_fires_its_alert(seen: Seen) -> None:
    """And no other alert does."""

    def firing() -> set[str]:
        found = got(f"{seen.url}/api/v1/alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    assert eventually(firing) == {"OtelCostBudgetExceeded"}


def test_a_kill_is_no_reset_and_loses_nothing(seen: Seen) -> None:
    """Counters of spend go on: what came behind the last scrape is there after the next start."""
    before = seen.number("sum(otel_cost_spend_usd_total)")
    send(seen.collector, 4)
    seen.collector.kill()
    seen.collector.spawn()
    seen.collector.wait_until_ready()
    send(seen.collector, 5)
    seen.wait_for_calls(calls(5))
    assert seen.number("sum(otel_cost_calls_total)") == calls(5)
    assert seen.number("sum(otel_cost_spend_usd_total)") > before
    assert seen.number("sum(resets(otel_cost_spend_usd_total[1h]))") == 0
    increase = seen.number("sum(otel_cost_spend_usd_total) - min_over_time(sum(otel_cost_spend_usd_total)[1h:1s])")
    assert increase > 0
