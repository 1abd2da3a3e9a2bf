"""Real clients against real receivers: what is accepted, what is refused, and with which code."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.errors import CannotListen, Overloaded, ShuttingDown, StoreUnavailable
from collector.receive import GrpcReceiver, HttpReceiver, ReceiverConfig
from collector.receive.intake import Intake
from collector.receive.status import JSON, PROTOBUF
from tests.collector.receive.support import Pipeline, Running, request_of, running

BODY = request_of(["a", "b"]).SerializeToString()
SAMPLE = Path(__file__).parents[2] / "testdata" / "otlp" / "valid" / "every_form.json"


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """One pair of receivers for all tests that leave them as they were."""
    with running() as receivers:
        yield receivers


@pytest.fixture
def receivers(shared: Running) -> Running:
    """The shared receivers with an empty pipeline."""
    shared.pipeline.spans.clear()
    shared.pipeline.received.clear()
    shared.pipeline.failure = None
    return shared


def _post(receivers: Running, body: bytes, path: str = "/v1/traces", **headers: str) -> requests.Response:
    sent = {"content-type": PROTOBUF, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.post(receivers.url(path), data=body, headers=sent, timeout=30)


def _refusal(receivers: Running, body: bytes, compression: grpc.Compression | None = None) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        receivers.call(body, compression or grpc.Compression.NoCompression)
    return caught.value


def test_grpc_takes_plain_gzip_and_deflate(receivers: Running) -> None:
    """The same two spans each time, and an empty answer."""
    for compression in grpc.Compression:
        assert receivers.call(BODY, compression) == b""
    assert [span["name"] for span in receivers.pipeline.spans] == ["a", "b"] * 3


def test_http_takes_plain_gzip_and_two_members(receivers: Running) -> None:
    """A second gzip member continues the protobuf message."""
    assert _post(receivers, BODY).content == b""
    assert _post(receivers, gzip.compress(BODY), content_encoding="gzip").status_code == 200
    more = gzip.compress(BODY) + gzip.compress(request_of(["c"]).SerializeToString())
    assert _post(receivers, more, content_encoding="gzip").status_code == 200
    assert [span["name"] for span in receivers.pipeline.spans] == ["a", "b", "a", "b", "a", "b", "c"]


def test_json_is_answered_in_json(receivers: Running) -> None:
    """Success and partial success both."""
    answer = _post(receivers, SAMPLE.read_bytes(), content_type="application/json; charset=utf-8")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})
    assert len(receivers.pipeline.spans) == 2
    wrong = json.loads(SAMPLE.read_text())
    wrong["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = "abcd"
    answer = _post(receivers, json.dumps(wrong).encode(), content_type=JSON)
    assert answer.json() == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "1x span_id is not 8 bytes"}}


def test_large_json_is_taken_while_others_are_served(receivers: Running) -> None:
    """Conversion of a large body leaves the event loop; its errors still name their place."""
    large = json.loads(SAMPLE.read_text())
    spans = large["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[0]["attributes"][0]["value"]["stringValue"] = "x" * 200_000
    assert _post(receivers, json.dumps(large).encode(), content_type=JSON).json() == {}
    spans[1]["kind"] = "wrong"
    answer = _post(receivers, json.dumps(large).encode(), content_type=JSON)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("resourceSpans[0].scopeSpans[0].spans[1].kind: expected an integer")


def test_a_sender_that_leaves_amid_its_body_harms_nobody(receivers: Running) -> None:
    """Nothing is stored of it, and the next request is served."""
    head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", receivers.http.port)) as sender:
        sender.sendall(head.encode() + BODY[:10])
    assert _post(receivers, BODY).status_code == 200
    assert len(receivers.pipeline.spans) == 2


def test_an_empty_request_is_success(receivers: Running) -> None:
    """OTLP demands it; nothing is handed on."""
    assert receivers.call(b"") == b""
    assert _post(receivers, b"").status_code == 200
    assert _post(receivers, b"{}", content_type=JSON).json() == {}
    assert receivers.pipeline.spans == []


def test_a_bad_span_costs_one_span(receivers: Running) -> None:
    """Partial success with the number and the reason, over both transports."""
    request = request_of(["good", "bad"])
    request.resource_spans[0].scope_spans[0].spans[1].trace_id = b"short"
    for answer in (receivers.call(request.SerializeToString()), _post(receivers, request.SerializeToString()).content):
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        assert (partial.rejected_spans, partial.error_message) == (1, "1x trace_id is not 16 bytes")
    assert [span["name"] for span in receivers.pipeline.spans] == ["good", "good"]


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe garbage", BODY[:-1], BODY.replace(b"*\x01a", b"*\x01\xff").replace(b"*\x01b", b"*\x01\xff")],
    ids=["garbage", "truncated", "not UTF-8"],
)
def test_a_malformed_request_is_refused_for_good(receivers: Running, body: bytes) -> None:
    """INVALID_ARGUMENT and 400, and the next request is served."""
    refusal = _refusal(receivers, body)
    assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT
    answer = _post(receivers, body)
    assert answer.status_code == 400
    assert status_pb2.Status.FromString(answer.content).message == refusal.details()
    assert receivers.call(BODY) == b""


def test_damaged_gzip_is_malformed(receivers: Running) -> None:
    """The body says gzip and is not, or stops short."""
    assert _post(receivers, b"plain", content_encoding="gzip").status_code == 400
    assert _post(receivers, gzip.compress(BODY)[:-3], content_encoding="gzip").status_code == 400


def test_wrong_json_is_refused_with_its_place(receivers: Running) -> None:
    """The body of the error is JSON too."""
    answer = _post(receivers, b'{"resourceSpans":[{"scopeSpans":3}]}', content_type=JSON)
    assert answer.status_code == 400
    assert answer.json()["message"] == "resourceSpans[0].scopeSpans: expected an array, got 3"


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("GET", "/v1/traces", {}, 405),
        ("PUT", "/v1/traces", {}, 405),
        ("POST", "/v1/nothing", {}, 404),
        ("POST", "/", {}, 404),
        ("POST", "/v1/traces", {"content-type": "text/plain"}, 415),
        ("POST", "/v1/traces", {"content-encoding": "zstd"}, 415),
    ],
)
def test_what_is_not_otlp_is_refused(
    receivers: Running, method: str, path: str, headers: dict[str, str], code: int
) -> None:
    """Each with a `google.rpc.Status`."""
    sent = {"content-type": JSON, **headers}
    answer = requests.request(method, receivers.url(path), data=b"{}", headers=sent, timeout=30)
    assert answer.status_code == code
    assert answer.json()["message"]


def test_metrics_and_logs_are_answered_and_counted(receivers: Running) -> None:
    """Whatever is in them: an app that exports all three signals logs no errors."""
    services = {"metrics": "metrics.v1.MetricsService", "logs": "logs.v1.LogsService"}
    for signal, service in services.items():
        with receivers.channel() as channel:
            call = channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export")
            assert call(b"\x0a\x00", timeout=30) == b""
        assert _post(receivers, b"\x0a\x00", f"/v1/{signal}").content == b""
        assert _post(receivers, b"{}", f"/v1/{signal}", content_type=JSON).json() == {}
        assert [one.signal for one in receivers.pipeline.received if one.signal == signal] == [signal] * 3
    assert receivers.pipeline.spans == []


@pytest.mark.parametrize("failure", [Overloaded("full"), StoreUnavailable("disk full"), KeyError("bug")])
def test_what_was_not_stored_is_to_be_sent_again(receivers: Running, failure: Exception) -> None:
    """UNAVAILABLE with RetryInfo in the trailer that SDKs read, 503 with Retry-After."""
    receivers.pipeline.failure = failure
    refusal = _refusal(receivers, BODY)
    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(refusal.trailing_metadata())
    assert error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds == 1
    answer = _post(receivers, BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_request_above_the_cap_is_refused_for_good() -> None:
    """By its announced size, by its real size, and inflated: 413 and RESOURCE_EXHAUSTED without RetryInfo."""
    with running(ReceiverConfig("127.0.0.1", 0, max_request_bytes=10_000)) as receivers:
        large = request_of(["x" * 20_000]).SerializeToString()
        for compression in grpc.Compression:
            refusal = _refusal(receivers, large, compression)
            assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "google.rpc.retryinfo-bin" not in dict(refusal.trailing_metadata() or ())
        assert _post(receivers, large).status_code == 413
        assert _post(receivers, gzip.compress(large), content_encoding="gzip").status_code == 413
        chunked = (large[start : start + 1000] for start in range(0, len(large), 1000))
        answer = requests.post(receivers.url(), data=chunked, headers={"content-type": PROTOBUF}, timeout=30)
        assert answer.status_code == 413
        assert _post(receivers, b"z" * 50_000_000).status_code == 413
        assert _post(receivers, BODY).status_code == 200


def _stalled(receivers: Running) -> socket.socket:
    """A sender that is silent in the middle of its body."""
    head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 100\r\n\r\n"
    sender = socket.create_connection(("127.0.0.1", receivers.http.port), timeout=30)
    sender.sendall(head.encode() + BODY[:10])
    return sender


def test_a_silent_sender_gives_up_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told to send again, its connection is closed, and those who wait for a place get it."""
    monkeypatch.setattr("collector.receive.connection.MAX_SILENCE_SECONDS", 0.1)
    with running(ReceiverConfig("127.0.0.1", 0, max_concurrent_requests=1)) as receivers:
        with _stalled(receivers) as sender:
            answer = b"".join(iter(lambda: sender.recv(1000), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after" in answer
        assert _post(receivers, BODY).status_code == 200
        assert len(receivers.pipeline.spans) == 2


def test_stopping_does_not_wait_for_a_silent_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not arrived is not stored, so it need not be waited for: the deadline is for what has."""
    with running() as receivers:
        intake = receivers.http._intake
        with _stalled(receivers) as sender:
            while not intake.in_flight_requests:
                time.sleep(0.01)
            monkeypatch.setattr("collector.receive.bounds.CLOSE_SECONDS", 0.1)
            started_seconds = time.monotonic()
            asyncio.run_coroutine_threadsafe(receivers.http.stop(20), receivers.loop).result(30)
            assert time.monotonic() - started_seconds < 10
            assert sender.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_a_full_receiver_refuses_with_a_retry_hint() -> None:
    """Too many bytes in flight is not the sender's fault."""
    with running(ReceiverConfig("127.0.0.1", 0, max_in_flight_bytes=1000)) as receivers:
        large = request_of(["x" * 2_000]).SerializeToString()
        assert _refusal(receivers, large).code() is grpc.StatusCode.UNAVAILABLE
        assert _post(receivers, large).status_code == 503
        assert _post(receivers, BODY).status_code == 200
        assert receivers.call(BODY) == b""


def test_what_comes_while_the_receiver_drains_is_to_be_sent_again() -> None:
    """Between the stop and the closing of the port a request may still come: refused retryably, never taken."""

    async def scenario() -> None:
        intake = Intake(ReceiverConfig("127.0.0.1", 0), "http", Pipeline().submit)
        under_way = intake.request("traces")
        intake.draining = True
        with pytest.raises(ShuttingDown):
            intake.request("traces")
        assert not intake.idle.is_set()
        under_way.end()
        assert intake.idle.is_set()

    asyncio.run(scenario())


def test_a_second_collector_on_the_same_port_fails_with_the_address(receivers: Running) -> None:
    """It must not share the first one's traffic."""
    with pytest.raises(CannotListen, match=str(receivers.http.port)):
        _start(receivers, HttpReceiver(ReceiverConfig("127.0.0.1", receivers.http.port), Pipeline().submit))
    with pytest.raises(CannotListen, match=str(receivers.grpc.port)):
        _start(receivers, GrpcReceiver(ReceiverConfig("127.0.0.1", receivers.grpc.port), Pipeline().submit))


def _start(receivers: Running, receiver: HttpReceiver | GrpcReceiver) -> None:
    asyncio.run_coroutine_threadsafe(receiver.start(), receivers.loop).result(30)


def test_a_stopped_receiver_has_left_its_port() -> None:
    """A restart on the same port works at once."""
    with running() as receivers:
        port = receivers.http.port
        assert _post(receivers, BODY).status_code == 200
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
