"""Grafana's dashboards and the alert rules ask only for what a real collector has."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.store.query import query_published
from collector.telemetry import ALL_METRICS
from dashboards.source.__main__ import ROOT as WRITTEN
from dashboards.source.__main__ import written
from tests.crash.sender import HttpTransport
from tests.dashboards.expressions import INFINITY, ROOT, alerts, dashboards, ledger_queries, panel_queries, panels
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls

BUDGET = """  budget:
    rules:
      - {name: everything, scope: organization, limit: 1 USD/total}
      - {name: by-model, scope: [provider, model], limit: 1000000000 tokens/month}
"""
LABELS = {metric.name: set(metric.labels) for metric in ALL_METRICS}


def test_generating_again_gives_what_is_checked_in() -> None:
    """JSON and rules are never edited by hand."""
    for name, content in written().items():
        assert (WRITTEN / name).read_text() == content, f"run python -m dashboards.source: {name} differs"


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A real one, with calls and budgets."""
    folder = tmp_path_factory.mktemp("collector")
    with CollectorProcess(folder, processors=BUDGET, has_api=True) as process:
        transport = HttpTransport(process.http_port)
        for number in (1, 2):
            assert transport.send(plain_calls(number)[0].SerializeToString()) == ""
        transport.close()
        yield process


def scrape(collector: CollectorProcess) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{collector.metrics_port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def filled(sql: str) -> str:
    """With the times that Grafana fills in."""
    sql = sql.replace("${__from:date:iso}", "2020-01-01T00:00:00.000Z")
    return sql.replace("${__to:date:iso}", "2040-01-01T00:00:00.000Z")


def asked_of(collector: CollectorProcess, sql: str) -> dict[str, Any]:
    """What the API answers to a panel's statement."""
    body = json.dumps({"sql": filled(sql), "limit": 1000}).encode()
    request = urllib.request.Request(
        f"{collector.api_url}/api/v1/sql", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def test_every_metric_and_label_of_panels_and_alerts_exists(collector: CollectorProcess) -> None:
    """In a real scrape each metric is declared; labels are those of the metrics that the expression names."""
    text = scrape(collector)
    declared = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    assert declared == set(LABELS)
    for asked in [*panel_queries(), *alerts()]:
        assert asked.metrics <= declared or asked.expr.startswith("up{"), asked
        known = set.union(set(), *(LABELS[name] for name in asked.metrics)) | {"le", "job", "instance"}
        assert asked.labels <= known, (asked, asked.labels - known)


def test_every_statement_of_a_panel_runs_and_has_its_columns(collector: CollectorProcess) -> None:
    """Against the views of a real ledger, in the order in which the panel names them."""
    assert len(ledger_queries()) >= 6
    for asked in ledger_queries():
        answer = query_published(collector.database, filled(asked.sql))
        assert tuple(answer.column_names) == asked.columns, asked.where
        named = re.findall(r'"([^"]+)": \$row\[(\d+)\]', asked.root_selector)
        assert [(name, int(place)) for name, place in named] == [(name, at) for at, name in enumerate(asked.columns)]


@pytest.mark.parametrize("most", [1, pytest.param(100, marks=pytest.mark.interop)])
def test_the_api_answers_a_panel_as_it_asks(collector: CollectorProcess, most: int) -> None:
    """The sandbox of users' SQL has every function that the statements use; each takes a process of its own."""
    statements = sorted(ledger_queries(), key=lambda asked: -len(asked.sql))
    for asked in statements[:most]:
        answer = asked_of(collector, asked.sql)
        assert tuple(column["name"] for column in answer["columns"]) == asked.columns, asked.where
        assert answer["truncated"] is False


def test_dashboards_have_what_grafana_needs() -> None:
    """Unique ids and titles, a source for each panel, and links to the trace where a trace id is shown."""
    boards = dashboards()
    assert len({board["uid"] for board in boards.values()}) == len(boards) == 5
    for name, board in boards.items():
        variables = {variable["name"] for variable in board["templating"]["list"]}
        text = json.dumps(board)
        used = set(re.findall(r"\$\{?([a-z]+)\b", text)) - {"row", "map"}
        assert used <= variables, (name, used - variables)
    for where, panel in panels():
        sources = {panel["datasource"]["type"]}
        assert sources <= {"prometheus", INFINITY}, where
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, where
        if panel["type"] == "table" and any("trace_id" in json.dumps(target) for target in panel["targets"]):
            links = json.dumps(panel["fieldConfig"]["overrides"])
            assert "${jaeger}/trace/${__data.fields.trace_id}" in links, where
            assert "${page}/" in links, where


def test_alerts_of_prometheus_and_grafana_are_the_same() -> None:
    """One table, written twice; budgets at 80 % and at the limit, and calls without a price, are among them."""
    grafana = yaml.safe_load((ROOT / "provisioning/alerting/otel-cost.yml").read_text())["groups"][0]["rules"]
    assert [(rule["title"], rule["data"][0]["model"]["expr"]) for rule in grafana] == [
        (asked.where, asked.expr) for asked in alerts()
    ]
    names = {asked.where for asked in alerts()}
    assert names >= {"OtelCostBudgetNearLimit", "OtelCostBudgetExceeded", "OtelCostUnpricedCalls", "OtelCostLedgerLags"}


def test_provisioned_sources_are_those_that_dashboards_ask() -> None:
    """Types and ids agree between data sources, dashboards and alert rules."""
    sources = yaml.safe_load((ROOT / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert {source["type"] for source in sources} == {"prometheus", "jaeger", INFINITY}
    uids = {source["uid"] for source in sources}
    destinations = sources[0]["jsonData"]["exemplarTraceIdDestinations"]
    assert {each["datasourceUid"] for each in destinations} <= uids
    grafana = yaml.safe_load((ROOT / "provisioning/alerting/otel-cost.yml").read_text())["groups"][0]["rules"]
    assert {rule["data"][0]["datasourceUid"] for rule in grafana} <= uids
    provider = yaml.safe_load((ROOT / "provisioning/dashboards/otel-cost.yml").read_text())["providers"][0]
    compose = yaml.safe_load((Path(ROOT).parent / "docker-compose.yml").read_text())["services"]["grafana"]
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in compose["volumes"])
