"""Forwarding to real OTLP targets that work, fail, stall and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector import telemetry as metrics
from collector.forward.config import ClientTls, ForwardConfig, RetryConfig
from collector.forward.job import ForwardJob
from collector.forward.otlp import OtlpForwarder
from collector.telemetry import Telemetry
from tests.collector.forward.targets import LIMIT_SECONDS, Received, grpc_target, http_target
from tests.support.ports import free_port

QUICK = RetryConfig(initial_interval_seconds=0.02, max_interval_seconds=0.05, max_elapsed_seconds=LIMIT_SECONDS)
Target = Callable[..., AbstractContextManager[int]]
TARGETS = pytest.mark.parametrize(("protocol", "target"), [("grpc", grpc_target), ("http", http_target)])


def exporter(protocol: str, port: int, **settings: Any) -> ForwardConfig:
    """Settings of an exporter to a loopback target."""
    endpoint = f"127.0.0.1:{port}" if protocol == "grpc" else f"http://127.0.0.1:{port}/v1/traces"
    return ForwardConfig(
        f"otlp/{protocol}", protocol, endpoint, **{"tls": ClientTls(insecure=True), "retry": QUICK, **settings}
    )


def job(number: int, padding: int = 0) -> ForwardJob:
    """A request of one span whose id is `number`."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = number.to_bytes(16, "big"), number.to_bytes(8, "big")
    span.name = f"span {number} {'x' * padding}"
    return ForwardJob(request.SerializeToString(), 1, {})


@contextmanager
def forwarding(config: ForwardConfig) -> Iterator[tuple[OtlpForwarder, Telemetry]]:
    """A forwarder that is stopped in the end."""
    telemetry = Telemetry()
    forwarder = OtlpForwarder(config, telemetry)
    forwarder.start()
    try:
        yield forwarder, telemetry
    finally:
        forwarder.stop(LIMIT_SECONDS)


def ids(received: Received) -> list[int]:
    """Span ids received, in order."""
    return [int.from_bytes(span.span_id, "big") for span in received.spans]


@TARGETS
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_every_span_arrives_once_and_in_order(protocol: str, target: Target, compression: str) -> None:
    """What is offered arrives, with the configured headers; waiting requests may travel together."""
    received = Received()
    with target(received) as port:
        config = exporter(protocol, port, compression=compression, headers=(("x-key", "secret"),))
        with forwarding(config) as (forwarder, telemetry):
            for number in range(1, 201):
                forwarder.offer(job(number))
            received.wait_for(lambda: len(received.spans) == 200)
        assert ids(received) == list(range(1, 201))
        assert {headers.get("x-key") for headers in received.headers} == {"secret"}
        assert telemetry.value(metrics.FORWARDED_SPANS, config.name) == 200
        assert telemetry.value(metrics.FORWARD_DROPPED_SPANS, config.name) == 0


@TARGETS
def test_a_target_that_comes_up_later_gets_what_waited(protocol: str, target: Target) -> None:
    """Spans wait for a target that is down at start."""
    received, port = Received(), free_port()
    with forwarding(exporter(protocol, port)) as (forwarder, telemetry):
        for number in (1, 2, 3):
            forwarder.offer(job(number))
        while telemetry.value(metrics.FORWARD_RETRIES, f"otlp/{protocol}") < 2:
            time.sleep(0.01)
        with target(received, port):
            received.wait_for(lambda: len(received.spans) == 3)
    assert sorted(ids(received)) == [1, 2, 3]


@TARGETS
def test_a_target_that_restarts_loses_nothing(protocol: str, target: Target) -> None:
    """A connection that breaks between requests is opened again."""
    received, port = Received(), free_port()
    config = exporter(protocol, port)
    with forwarding(config) as (forwarder, telemetry):
        for number in (1, 2):
            with target(received, port):
                forwarder.offer(job(number))
                deadline_seconds = time.monotonic() + LIMIT_SECONDS
                while telemetry.value(metrics.FORWARDED_SPANS, config.name) < number:
                    assert time.monotonic() < deadline_seconds
                    time.sleep(0.005)  # an answer cut off by the restart would rightly be sent again
    assert ids(received) == [1, 2]


@TARGETS
def test_offering_never_waits_for_a_slow_target(protocol: str, target: Target) -> None:
    """A target that hangs holds up nobody: the queue fills, then the oldest spans give way and are counted."""
    received = Received()
    received.open.clear()
    with target(received) as port, forwarding(exporter(protocol, port, queue_bytes=20_000)) as (forwarder, telemetry):
        started_seconds = time.monotonic()
        for number in range(1, 5_001):
            forwarder.offer(job(number, padding=100))
        assert time.monotonic() - started_seconds < LIMIT_SECONDS / 4
        assert telemetry.value(metrics.FORWARD_QUEUE_BYTES, f"otlp/{protocol}") <= 20_000
        dropped = telemetry.value(metrics.FORWARD_DROPPED_SPANS, f"otlp/{protocol}")
        assert dropped > 4_500
        received.open.set()
        received.wait_for(lambda: len(received.spans) == 5_000 - dropped)
        assert ids(received)[-1] == 5_000


def test_the_newest_gives_way_where_the_config_says_so() -> None:
    """With drop_newest the queue keeps what came first."""
    received, port = Received(), free_port()
    config = exporter("http", port, queue_bytes=2_000, drop_oldest=False)
    with forwarding(config) as (forwarder, telemetry):
        for number in range(1, 501):
            forwarder.offer(job(number, padding=50))
        dropped = int(telemetry.value(metrics.FORWARD_DROPPED_SPANS, config.name))
        with http_target(received, port):
            received.wait_for(lambda: len(received.spans) == 500 - dropped)
    assert 450 < dropped < 500
    assert ids(received)[:5] == [1, 2, 3, 4, 5]


def _grpc_error(code: grpc.StatusCode, hint_seconds: int | None = None) -> Callable[[Any], bytes]:
    def answer(context: Any) -> bytes:
        if hint_seconds is not None:
            info = RetryInfo(retry_delay=Duration(seconds=hint_seconds))
            context.set_trailing_metadata((("google.rpc.retryinfo-bin", info.SerializeToString()),))
        context.abort(code, "not now")
        raise AssertionError

    return answer


def _http_error(status: int, **headers: str) -> Callable[[Any], bytes]:
    def answer(context: Any) -> bytes:
        context.status, context.extra = status, {name.replace("_", "-"): value for name, value in headers.items()}
        return b"not now"

    return answer


@pytest.mark.parametrize(
    ("protocol", "target", "answer"),
    [
        ("grpc", grpc_target, _grpc_error(grpc.StatusCode.UNAVAILABLE)),
        ("grpc", grpc_target, _grpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, 0)),
        ("http", http_target, _http_error(503)),
        ("http", http_target, _http_error(429, Retry_After="0")),
    ],
)
def test_a_target_that_says_later_is_tried_again(protocol: str, target: Target, answer: Callable[[Any], bytes]) -> None:
    """OTLP's retryable answers are retried until the spans are taken, once."""
    received = Received(answers=[answer, answer])
    with target(received) as port, forwarding(exporter(protocol, port)) as (forwarder, telemetry):
        forwarder.offer(job(7))
        received.wait_for(lambda: len(received.spans) == 1)
        assert received.attempts == 3
        assert telemetry.value(metrics.FORWARD_RETRIES, f"otlp/{protocol}") == 2
    assert ids(received) == [7]


def test_each_wait_for_a_target_is_longer_than_the_last() -> None:
    """Waits of 0.05, 0.1, 0.2 and 0.4 seconds, each a fifth more or less: a target in trouble is left in peace."""
    received = Received(answers=[_http_error(503)] * 4)
    patient = RetryConfig(initial_interval_seconds=0.05, max_interval_seconds=10, max_elapsed_seconds=LIMIT_SECONDS)
    with http_target(received) as port, forwarding(exporter("http", port, retry=patient)) as (forwarder, _):
        started_seconds = time.monotonic()
        forwarder.offer(job(1))
        received.wait_for(lambda: len(received.spans) == 1)
    assert time.monotonic() - started_seconds > 0.8 * 0.75


@pytest.mark.parametrize(
    ("protocol", "target", "answer"),
    [
        ("grpc", grpc_target, _grpc_error(grpc.StatusCode.UNAVAILABLE, 1)),
        ("http", http_target, _http_error(503, Retry_After="1")),
    ],
)
def test_a_hint_to_wait_is_honoured(protocol: str, target: Target, answer: Callable[[Any], bytes]) -> None:
    """RetryInfo and Retry-After override a shorter back-off."""
    received = Received(answers=[answer])
    with target(received) as port, forwarding(exporter(protocol, port)) as (forwarder, _):
        forwarder.offer(job(1))
        received.wait_for(lambda: received.attempts == 1)
        refused_seconds = time.monotonic()
        received.wait_for(lambda: len(received.spans) == 1)
        assert time.monotonic() - refused_seconds > 0.9


@pytest.mark.parametrize(
    ("protocol", "target", "answer"),
    [
        ("grpc", grpc_target, _grpc_error(grpc.StatusCode.INVALID_ARGUMENT)),
        ("grpc", grpc_target, _grpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED)),
        ("http", http_target, _http_error(400)),
        ("http", http_target, _http_error(500)),
    ],
)
def test_a_target_that_says_never_is_not_tried_again(
    protocol: str, target: Target, answer: Callable[[Any], bytes]
) -> None:
    """A final refusal is counted, and the next request goes on."""
    received = Received(answers=[answer])
    with target(received) as port, forwarding(exporter(protocol, port)) as (forwarder, telemetry):
        forwarder.offer(job(1))
        received.wait_for(lambda: received.attempts == 1)
        forwarder.offer(job(2))
        received.wait_for(lambda: len(received.spans) == 1)
    assert ids(received) == [2]
    assert telemetry.value(metrics.FORWARD_FAILED_SPANS, f"otlp/{protocol}") == 1


def test_of_a_refused_bundle_each_request_is_tried_alone() -> None:
    """One request that a target cannot stand does not take its companions with it."""
    received = Received()
    received.open.clear()
    with http_target(received) as port, forwarding(exporter("http", port)) as (forwarder, telemetry):
        for number in range(1, 6):
            forwarder.offer(job(number))
        received.answers.extend([_http_error(503), _http_error(400), _http_error(400)])
        received.open.set()
        received.wait_for(
            lambda: telemetry.value(metrics.FORWARD_FAILED_SPANS, "otlp/http") > 0 and received.attempts > 3
        )
    assert telemetry.value(metrics.FORWARDED_SPANS, "otlp/http") == len(received.spans)
    assert len(received.spans) + telemetry.value(metrics.FORWARD_FAILED_SPANS, "otlp/http") == 5
    assert len(received.spans) >= 3


def test_spans_that_a_target_rejects_are_counted_as_failed() -> None:
    """A partial success is final: the rejected part is counted, nothing is sent again."""

    def reject_one(_: Any) -> bytes:
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 1
        return bytes(response.SerializeToString())

    received = Received(answers=[reject_one])
    with grpc_target(received) as port, forwarding(exporter("grpc", port)) as (forwarder, telemetry):
        forwarder.offer(job(1))
        received.wait_for(lambda: received.attempts == 1)
    assert telemetry.value(metrics.FORWARD_FAILED_SPANS, "otlp/grpc") == 1
    assert received.attempts == 1


def test_a_request_that_is_too_old_is_given_up() -> None:
    """After max_elapsed_time without an answer the spans are counted as failed and the queue moves on."""
    retry = RetryConfig(0.01, 0.02, max_elapsed_seconds=0.1)
    with forwarding(exporter("http", free_port(), retry=retry)) as (forwarder, telemetry):
        forwarder.offer(job(1))
        deadline_seconds = time.monotonic() + LIMIT_SECONDS
        while not telemetry.value(metrics.FORWARD_FAILED_SPANS, "otlp/http"):
            assert time.monotonic() < deadline_seconds
            time.sleep(0.01)


@TARGETS
def test_stopping_sends_what_waits(protocol: str, target: Target) -> None:
    """A shutdown empties the queue towards a target that works."""
    received = Received()
    with target(received) as port, forwarding(exporter(protocol, port)) as (forwarder, _):
        for number in range(1, 501):
            forwarder.offer(job(number))
        assert forwarder.stop(LIMIT_SECONDS)
        assert sorted(ids(received)) == list(range(1, 501))


def test_stopping_does_not_wait_for_a_target_that_is_down() -> None:
    """At the deadline what is left is counted as dropped."""
    config = exporter("http", free_port(), retry=RetryConfig(30, 30, 0))
    telemetry = Telemetry()
    forwarder = OtlpForwarder(config, telemetry)
    forwarder.start()
    for number in range(1, 101):
        forwarder.offer(job(number))
    started_seconds = time.monotonic()
    forwarder.stop(LIMIT_SECONDS)
    assert time.monotonic() - started_seconds < LIMIT_SECONDS / 2
    lost = telemetry.value(metrics.FORWARD_FAILED_SPANS, config.name)
    assert lost + telemetry.value(metrics.FORWARD_DROPPED_SPANS, config.name) == 100
