"""Mutated requests over both transports: every answer is the right one, and the collector is as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.store.query import query_published
from tests.faults.clients import Answer, Sent, send_all
from tests.faults.mutants import Form, form, mutant, packed
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls

CLIENTS = 16
LEAK_BYTES = 96 << 20
"""More than the memory of one large group comes and goes; a leak of a request's bytes would be far more."""
WARM_UP = 1_000
SPANS = 3
"""Of a request. A mutant has more only by chance, and then most of them are the same span twice."""


UNCLOSED_GROUPS_PER_MILLE = 2
"""Of broken requests that are taken: protobuf refuses a span with an unclosed group (a form that OTLP does not use),
the decoder skips it."""


@pytest.mark.parametrize(
    ("count", "seed"),
    [(3_000, 1), pytest.param(1_000_000, 2, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])],
)
def test_mutated_requests_get_the_right_answer_and_leave_no_trace(tmp_path: Path, count: int, seed: int) -> None:
    """Half of them over gRPC, half over HTTP, some of those compressed, some of those damaged."""
    seen: Counter[tuple[Form, int]] = Counter()
    taken = 0

    def check(request: Sent, answer: Answer) -> None:
        nonlocal taken
        kind = form(request.body)
        seen[kind, answer.status] += 1
        taken += answer.status == 200
        assert answer.status in _right(kind, request), f"{kind}: {answer} to {request.payload.hex()}"

    with CollectorProcess(tmp_path) as collector:
        for transport, port in (("grpc", collector.grpc_port), ("http", collector.http_port)):
            warm_up = _requests(WARM_UP, Random(f"warm-up {transport}"), transport)
            send_all(warm_up, transport, port, check, CLIENTS)
            before = collector.resident_bytes()
            requests = _requests(count // 2, Random(f"{seed} {transport}"), transport)
            send_all(requests, transport, port, check, CLIENTS)
            grown = collector.resident_bytes() - before
            assert grown < LEAK_BYTES, f"{transport}: {grown >> 20} MiB more after {count // 2} requests"
    assert "Traceback" not in collector.log
    assert seen[Form.BROKEN, 200] * 1000 <= UNCLOSED_GROUPS_PER_MILLE * seen[Form.BROKEN, 400], seen
    assert seen[Form.VALID, 200] > count // 20, seen
    spans = query_published(collector.database, "SELECT count(*) AS spans FROM spans").to_pylist()[0]["spans"]
    assert 0 < spans <= SPANS * taken


def _right(kind: Form, request: Sent) -> set[int]:
    """A request that is not UTF-8 loses the spans concerned, or is refused when none is left."""
    if kind is Form.VALID:
        return {200, 400} if request.encoding == "damaged" else {200}
    return {200, 400}


def _requests(count: int, chance: Random, transport: str) -> Iterator[Sent]:
    bodies = [_with_details(plain_calls(number)[0]) for number in range(1, 60)]
    for _ in range(count):
        body = mutant(bodies, chance)
        yield _plain(body) if transport == "grpc" else Sent(*packed(body, chance), body)


def _with_details(request: ExportTraceServiceRequest) -> bytes:
    """At most `SPANS` spans, so that a change hits something else each time; and one of every kind of value."""
    spans = request.resource_spans[0].scope_spans[0].spans
    del spans[SPANS:]
    request.resource_spans[0].resource.attributes.add(key="service.name").value.string_value = "fuzz"
    span = spans[0]
    span.attributes.add(key="stop").value.array_value.values.add().string_value = "end"
    span.attributes.add(key="map").value.kvlist_value.values.add(key="inner").value.double_value = 0.5
    span.attributes.add(key="flag").value.bool_value = True
    span.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    span.events.add(name="gen_ai.choice", time_unix_nano=span.start_time_unix_nano).attributes.add(key="x")
    span.links.add(trace_id=span.trace_id, span_id=span.span_id)
    span.status.message = "fine"
    body: bytes = request.SerializeToString()
    return body


def _plain(body: bytes) -> Sent:
    return Sent(body, "", body)
