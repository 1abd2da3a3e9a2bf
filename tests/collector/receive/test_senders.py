"""Who may send, and whose the spans are: over real gRPC and HTTP, through the journal, into the ledger."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector import errors
from collector.decode import Request, decode_requests
from collector.decode.request import Origin
from collector.receive.senders import IngestToken, SenderConfig, Source, identify
from tests.collector.journal.disks import RECEIVED_NS, config, everything, opened
from tests.collector.receive.support import TRACE_EXPORT, Running, request_of, running

BOUND, FREE, HASHED = "bound-0123456789abcdef", "free-0123456789abcdef", "hashed-0123456789abcdef"
TOKENS = (
    IngestToken("shop", BOUND, organization="acme", tags={"team": "search", "project": "web"}),
    IngestToken("any", FREE),
    IngestToken("hashed", sha256=sha256(HASHED.encode()).hexdigest(), organization="globex"),
)
HEADER, RESOURCE = Source.HEADER, Source.RESOURCE


def http_export(receivers: Running, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", receivers.http.port, timeout=20)
    try:
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf", **headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def grpc_export(receivers: Running, body: bytes, headers: Mapping[str, str]) -> bytes:
    with receivers.channel() as channel:
        metadata = [(name.lower(), value) for name, value in headers.items()]
        answer: bytes = channel.unary_unary(TRACE_EXPORT)(body, timeout=30, metadata=metadata)
        return answer


def named(organization: str | None, name: str = "span") -> bytes:
    """A span of a resource that says an organisation."""
    request = request_of([name])
    if organization is not None:
        value = request.resource_spans[0].resource.attributes.add(key="otel_cost.organization").value
        value.string_value = organization
    body: bytes = request.SerializeToString()
    return body


@pytest.fixture(scope="module")
def tokens_only() -> Iterator[Running]:
    with running(senders=SenderConfig(TOKENS, (HEADER,))) as receivers:
        yield receivers


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, grpc.StatusCode.UNAUTHENTICATED),
        ({"Authorization": "Bearer wrong-0123456789abcdef"}, 401, grpc.StatusCode.UNAUTHENTICATED),
        ({"Authorization": f"Basic {BOUND}"}, 401, grpc.StatusCode.UNAUTHENTICATED),
        ({"Authorization": f"Bearer {TOKENS[2].sha256}"}, 401, grpc.StatusCode.UNAUTHENTICATED),
        ({"X-Org-ID": "acme"}, 401, grpc.StatusCode.UNAUTHENTICATED),
        ({"Authorization": f"Bearer {BOUND}", "X-Org-ID": "globex"}, 403, grpc.StatusCode.PERMISSION_DENIED),
        ({"Authorization": f"Bearer {FREE}", "X-Org-ID": "x" * 201}, 400, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_senders_that_may_not_send_are_refused_for_good_and_counted(
    tokens_only: Running, headers: dict[str, str], status: int, code: grpc.StatusCode
) -> None:
    """Nothing of theirs is taken, over neither transport; the digest of a token is no token."""
    tokens_only.pipeline.refused.clear()
    taken = len(tokens_only.pipeline.requests)
    found, told, _ = http_export(tokens_only, named(None), headers)
    assert found == status
    assert ("www-authenticate" in told) == (status == 401)
    assert "retry-after" not in told
    with pytest.raises(grpc.RpcError) as refused:
        grpc_export(tokens_only, named(None), headers)
    assert refused.value.code() is code
    assert len(tokens_only.pipeline.requests) == taken
    assert len(tokens_only.pipeline.refused) == 2
    assert {kind.__mro__[1] for kind in tokens_only.pipeline.refused} == {errors.PermanentError}


@pytest.mark.parametrize(
    ("headers", "organization", "token"),
    [
        ({"Authorization": f"Bearer {BOUND}"}, "acme", "shop"),
        ({"authorization": f"bearer  {BOUND} ", "x-org-id": "acme"}, "acme", "shop"),
        ({"Authorization": f"Bearer {HASHED}"}, "globex", "hashed"),
        ({"Authorization": f"Bearer {FREE}", "X-Org-ID": "initech"}, "initech", "any"),
        ({"Authorization": f"Bearer {FREE}"}, "default", "any"),
    ],
)
def test_both_transports_know_the_sender(
    tokens_only: Running, headers: dict[str, str], organization: str, token: str
) -> None:
    tokens_only.pipeline.requests.clear()
    assert http_export(tokens_only, named(None), headers)[0] == 200
    assert grpc_export(tokens_only, named(None), headers) == b""
    json_body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s"}]}]}]}' % (
        b"1" * 32,
        b"2" * 16,
    )
    assert http_export(tokens_only, json_body, {**headers, "Content-Type": "application/json"})[0] == 200
    taken = [(request.org_id, request.origin.token) for request in tokens_only.pipeline.requests]
    assert taken == [(organization, token)] * 3


@pytest.mark.parametrize(
    ("sources", "header", "resource", "organization"),
    [
        ((), "h", "r", "default"),
        ((HEADER,), "h", "r", "h"),
        ((HEADER,), None, "r", "default"),
        ((RESOURCE,), "h", "r", "r"),
        ((RESOURCE,), "h", None, "default"),
        ((HEADER, RESOURCE), "h", "r", "h"),
        ((HEADER, RESOURCE), None, "r", "r"),
        ((RESOURCE, HEADER), "h", "r", "r"),
        ((RESOURCE, HEADER), "h", None, "h"),
        ((RESOURCE, HEADER), " ", None, "default"),
    ],
)
@pytest.mark.parametrize("is_bound", [False, True])
def test_the_first_source_that_says_something_counts_and_a_bound_token_before_all(
    sources: tuple[Source, ...], header: str | None, resource: str | None, organization: str, is_bound: bool
) -> None:
    tokens = (IngestToken("t", BOUND, organization="bound" if is_bound else None),)
    sender = identify(SenderConfig(tokens, sources))
    if is_bound and header == "h" and HEADER in sources:
        with pytest.raises(errors.PermissionDenied):
            sender(f"Bearer {BOUND}", header)
        return
    request = Request(named(resource), *sender(f"Bearer {BOUND}", header))
    (span,) = decode_requests([request]).batch.spans.to_pylist()
    assert span["org_id"] == ("bound" if is_bound else organization)


def test_where_an_organisation_is_required_spans_without_one_are_refused() -> None:
    """By the header alone the whole request is; by resources only theirs, and the others are taken."""
    with pytest.raises(errors.PermissionDenied):
        identify(SenderConfig((), (HEADER,), default=None))(None, None)
    sender = identify(SenderConfig((), (RESOURCE,), default=None))(None, "ignored")
    whole = ExportTraceServiceRequest()
    for number, organization in enumerate([None, "acme", "", "x" * 201, "a\nb"], 1):
        part = request_of(["span"], trace_id=bytes([number]) * 16).resource_spans[0]
        if organization is not None:
            part.resource.attributes.add(key="otel_cost.organization").value.string_value = organization
        whole.resource_spans.append(part)
    decoded = decode_requests([Request(whole.SerializeToString(), *sender)])
    assert [span["org_id"] for span in decoded.batch.spans.to_pylist()] == ["acme"]
    (outcome,) = decoded.outcomes
    assert (outcome.accepted_spans, outcome.rejected_spans) == (1, 4)
    assert outcome.reason == "2x organization is missing; 2x organization is no name"


def test_requests_of_different_senders_are_decoded_together_and_each_keeps_its_own() -> None:
    sender = identify(SenderConfig(TOKENS, (RESOURCE,)))
    secrets = [BOUND, FREE, HASHED, BOUND]
    requests = [Request(named("said", f"by {secret}"), *sender(f"Bearer {secret}", None)) for secret in secrets]
    requests.insert(2, Request(named("said", "by nobody"), "plain"))
    batch = decode_requests(requests).batch
    assert [span["org_id"] for span in batch.spans.to_pylist()] == ["acme", "said", "plain", "globex", "acme"]
    resources = [json.loads(text) for text in batch.resources.column("attributes_json").to_pylist()]
    assert [found.get("otel_cost.ingest_token") for found in resources] == ["shop", "any", None, "hashed", "shop"]
    assert resources[0]["otel_cost.token.team"] == "search"


def test_what_a_sender_writes_under_the_names_of_tokens_is_lost() -> None:
    """A token's name is the collector's word."""
    request = request_of(["span"])
    for key in ("otel_cost.ingest_token", "otel_cost.token.team"):
        request.resource_spans[0].resource.attributes.add(key=key).value.string_value = "forged"
    for key in ("otel_cost.ingest_token", "otel_cost.tag.otel_cost.ingest_token", "kept"):
        request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key=key).value.string_value = "said"
    sender = identify(SenderConfig(TOKENS))(f"Bearer {BOUND}", None)
    batch = decode_requests([Request(request.SerializeToString(), *sender)]).batch
    (resource,) = [json.loads(text) for text in batch.resources.column("attributes_json").to_pylist()]
    assert (resource["otel_cost.ingest_token"], resource["otel_cost.token.team"]) == ("shop", "search")
    assert BOUND not in str(resource)
    assert batch.attributes.column("key").to_pylist() == ["kept"]
    plain = decode_requests([Request(request.SerializeToString(), "acme")]).batch
    assert len(plain.attributes) == 3


def test_the_journal_keeps_who_sent(tmp_path: Path) -> None:
    """Replay after a crash has the same organisations and tags, whatever the config says by then."""
    origin = Origin("Bücher", (("project", 'w"eb'), ("team", "search")), "tenant")
    sent = [Request(b"body", "acme", origin), Request(b"body", "acme"), Request(b"", "", Origin(organization_key="x"))]
    journal, _ = opened(config(tmp_path / "journal"))
    journal.append(sent, RECEIVED_NS)
    again, reports = opened(config(tmp_path / "journal"))
    assert [record.request for record in everything(again)] == sent
    assert reports == []


def test_an_answer_to_a_request_without_spans_needs_a_token_too(tokens_only: Running) -> None:
    assert http_export(tokens_only, b"", {})[0] == 401
    assert http_export(tokens_only, b"", {"Authorization": f"Bearer {BOUND}"})[0] == 200
    with pytest.raises(grpc.RpcError):
        grpc_export(tokens_only, b"", {})
    assert ExportTraceServiceResponse.FromString(grpc_export(tokens_only, b"", {"Authorization": f"Bearer {BOUND}"}))
