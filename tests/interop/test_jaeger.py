"""A real Jaeger receives what the collector forwards, and answers with costs over its query API."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from otel_cost import attributes
from tests.collector.test_pipeline import COST_USD, request
from tests.collector.test_pipeline_inclusive import AGENT, CALL, OTHER, ROOT, SPANS, TOOL, TWICE
from tests.crash.sender import HttpTransport
from tests.interop.backends import NotObtainable, eventually, got, jaeger_program, running
from tests.support.collector_process import CollectorProcess
from tests.support.ports import free_ports

pytestmark = [pytest.mark.interop, pytest.mark.timeout(3_900)]

TRACE = "01" * 16


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """One trace as Jaeger has it: tags by span id. Its spans came in three requests, in the order in which they end."""
    try:
        program = jaeger_program()
    except NotObtainable as error:
        pytest.skip(f"no Jaeger: {error}")
    folder: Path = tmp_path_factory.mktemp("jaeger")
    otlp, otlp_http, query, query_grpc, admin, grpc, http = free_ports(7)
    flags = {
        "collector.otlp.grpc.host-port": otlp,
        "collector.otlp.http.host-port": otlp_http,
        "query.http-server.host-port": query,
        "query.grpc-server.host-port": query_grpc,
        "admin.http.host-port": admin,
        "collector.grpc-server.host-port": grpc,
        "collector.http-server.host-port": http,
    }
    command = [str(program), *(f"--{flag}=127.0.0.1:{port}" for flag, port in flags.items())]
    url = f"http://127.0.0.1:{query}"
    settings = {"SPAN_STORAGE_TYPE": "memory"}
    exporter = f'  otlp/jaeger: {{endpoint: "127.0.0.1:{otlp}", tls: {{insecure: true}}}}'
    with (
        running(command, f"{url}/api/services", folder / "jaeger.log", settings),
        CollectorProcess(folder, exporters=exporter) as collector,
    ):
        transport = HttpTransport(collector.http_port)
        for spans in ((CALL, TOOL), (AGENT, OTHER), (ROOT,)):
            assert transport.send(request(*(SPANS[span_id] for span_id in spans)).body) == ""
        transport.close()

        def arrived() -> list[dict[str, Any]]:
            found = got(f"{url}/api/traces/{TRACE}").get("data") or []
            spans: list[dict[str, Any]] = found[0]["spans"] if found else []
            return spans if len(spans) == len(SPANS) else []

        yield {
            span["spanID"]: {tag["key"]: tag["value"] for tag in span["tags"]}
            for span in eventually(arrived, lambda: (folder / "jaeger.log").read_text()[-2000:])
        }


def test_each_call_has_its_cost(trace: dict[str, dict[str, Any]]) -> None:
    """Exact text, status, card; the agent that only a parent names. The agent's own span has none to add up twice."""
    for span_id in (CALL, OTHER):
        tags = trace[span_id.hex()]
        assert tags[attributes.OTEL_COST_COST_USD] == COST_USD
        assert tags[attributes.OTEL_COST_COST_STATUS] == "priced"
        assert tags[attributes.OTEL_COST_CARD]
    assert trace[AGENT.hex()][attributes.OTEL_COST_COST_STATUS] == "wrapper"
    owned = [tags[attributes.OTEL_COST_COST_USD] for tags in trace.values() if attributes.OTEL_COST_COST_USD in tags]
    assert sum(map(Decimal, owned)) == Decimal(TWICE)


def test_agents_and_roots_have_the_cost_of_what_is_below_them(trace: dict[str, dict[str, Any]]) -> None:
    """Though their spans came in later requests than the calls."""
    found = {
        span_id: (
            trace[span_id.hex()].get(attributes.OTEL_COST_INCLUSIVE_USD),
            trace[span_id.hex()].get(attributes.OTEL_COST_INCLUSIVE_STATUS),
        )
        for span_id in SPANS
    }
    assert found == {
        ROOT: (TWICE, "complete"),
        AGENT: (COST_USD, "complete"),
        TOOL: (COST_USD, "complete"),
        CALL: (None, None),
        OTHER: (None, None),
    }
