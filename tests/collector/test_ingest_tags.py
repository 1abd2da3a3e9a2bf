"""Who pays, in a whole collector: own attribute, else nearest ancestor, else resource, else the ingest token's tag."""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import replace
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.receive.senders import IngestToken, SenderConfig
from collector.service import Addresses
from collector.store.query import query_published
from otel_cost import attributes as k
from tests.collector.receive.support import TRACE_EXPORT
from tests.collector.test_service import applied, config, running
from tests.crash.workload import START_NS

SECRET = "shop-0123456789abcdef"
SENDERS = SenderConfig((IngestToken("shop", SECRET, organization="acme", tags={"team": "tag", "project": "web"}),))


def request(trace: int, resource_team: str | None) -> bytes:
    """A call that says its team, one whose parent does, and one of which neither does."""
    sent = ExportTraceServiceRequest()
    resource_spans = sent.resource_spans.add()
    if resource_team is not None:
        resource_spans.resource.attributes.add(key=k.OTEL_COST_TEAM).value.string_value = resource_team
    spans = resource_spans.scope_spans.add().spans

    def add(number: int, name: str, parent: int = 0, team: str | None = None) -> Span:
        span: Span = spans.add(trace_id=bytes([trace]) * 16, span_id=bytes([number]) * 8, name=name)
        span.start_time_unix_nano, span.end_time_unix_nano = START_NS + number, START_NS + 1000
        if parent:
            span.parent_span_id = bytes([parent]) * 8
        if team is not None:
            span.attributes.add(key=k.OTEL_COST_TEAM).value.string_value = team
        return span

    add(1, "root")
    add(2, "parent", 1, "parent")
    for number, name, parent, team in ((3, "own", 2, "own"), (4, "inherited", 2, None), (5, "neither", 1, None)):
        call = add(number, f"{name} {trace}", parent, team)
        texts = {k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_PROVIDER_NAME: "openai", k.GEN_AI_REQUEST_MODEL: "gpt-4o"}
        for key, text in texts.items():
            call.attributes.add(key=key).value.string_value = text
        call.attributes.add(key=k.GEN_AI_USAGE_INPUT_TOKENS).value.int_value = 1000 + number
    body: bytes = sent.SerializeToString()
    return body


def send(addresses: Addresses) -> None:
    """The first trace over gRPC, the second, whose resource has a team, over HTTP."""
    assert addresses.grpc is not None
    assert addresses.http is not None
    with grpc.insecure_channel(str(addresses.grpc)) as channel:
        metadata = [("authorization", f"Bearer {SECRET}")]
        channel.unary_unary(TRACE_EXPORT)(request(1, None), timeout=30, metadata=metadata)
    connection = http.client.HTTPConnection(addresses.http.host, addresses.http.port, timeout=30)
    headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {SECRET}"}
    connection.request("POST", "/v1/traces", request(2, "resource"), headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_tokens_tags_pay_where_nobody_else_says(tmp_path: Path) -> None:
    """In the ledger, whatever came how; and its name, not its secret, is on every span."""
    settings = replace(config(tmp_path), senders=SENDERS)

    async def scenario() -> None:
        async with running(settings) as (service, addresses):
            await asyncio.to_thread(send, addresses)
            await applied(service)

    asyncio.run(scenario())
    sql = "SELECT name, org_id, team, project FROM calls ORDER BY name"
    calls = query_published(settings.store.path, sql).to_pylist()
    assert [(call["name"], call["team"]) for call in calls] == [
        ("inherited 1", "parent"),
        ("inherited 2", "parent"),
        ("neither 1", "tag"),
        ("neither 2", "resource"),
        ("own 1", "own"),
        ("own 2", "own"),
    ]
    assert {(call["org_id"], call["project"]) for call in calls} == {("acme", "web")}
    resources = query_published(settings.store.path, "SELECT DISTINCT resource FROM spans").to_pylist()
    assert all('"otel_cost.ingest_token":"shop"' in found["resource"] for found in resources)
    assert SECRET not in str(resources)
