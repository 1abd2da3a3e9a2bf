"""What is told of small requests without decoding them is what decoding says."""

from __future__ import annotations

from random import Random

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import DecodeLimits, Outcome, Request, decode_requests
from collector.decode.plain import plain_spans
from collector.decode.request import Origin
from tests.collector.decode.reference import random_request
from tests.faults.mutants import mutant
from tests.support.plain_calls import plain_calls
from tests.support.wire import field

LIMITS = DecodeLimits()


def _plain(body: bytes, limits: DecodeLimits = LIMITS) -> int | None:
    return plain_spans(Request(body, "o"), limits)


def _one_span() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="chat", start_time_unix_nano=1, end_time_unix_nano=2)
    return request


def _span() -> bytes:
    said = b"".join(field(9, field(1, key) + field(2, field(1, b"v"))) for key in (b"a", b"b"))
    wire: bytes = _one_span().resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    return wire + said


def test_what_encoders_write_is_plain_if_all_of_it_is_taken() -> None:
    """With every kind of value, events, links and several resources; otherwise decoding has to tell."""
    chance = Random(1)
    taken = 0
    for _ in range(1_000):
        body = random_request(chance).SerializeToString()
        outcome = decode_requests([Request(body, "o")]).outcomes[0]
        is_whole = outcome == Outcome(outcome.accepted_spans) and outcome.accepted_spans > 0
        assert _plain(body) == (outcome.accepted_spans if is_whole else None)
        taken += is_whole
    assert taken > 10
    message, costs = plain_calls(1)
    assert _plain(message.SerializeToString()) == len(costs)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_plain_is_taken_as_a_whole(seed: int) -> None:
    """Whatever bytes were changed: if a request is called plain, decoding takes all of it and says nothing."""
    chance = Random(seed)
    bodies = [body for _ in range(20) if (body := random_request(chance).SerializeToString())]
    bodies += [plain_calls(number)[0].SerializeToString() for number in range(1, 5)]
    bodies += [_one_span().SerializeToString()]
    changed = [mutant(bodies, chance) for _ in range(1_500)]
    told = [(body, count) for body in changed if (count := _plain(body)) is not None]
    assert len(told) > 10
    outcomes = decode_requests([Request(body, "o") for body, _ in told]).outcomes
    assert list(outcomes) == [Outcome(count) for _, count in told]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trace_id", b"t" * 15),
        ("trace_id", bytes(16)),
        ("span_id", b""),
        ("span_id", bytes(8)),
        ("parent_span_id", b"p"),
        ("start_time_unix_nano", 2**63 - 1),
        ("end_time_unix_nano", 2**64 - 1),
    ],
)
def test_a_span_that_is_refused_is_not_plain(name: str, value: bytes | int) -> None:
    """Decoding tells the sender what is wrong with it."""
    request = _one_span()
    assert _plain(request.SerializeToString()) == 1
    setattr(request.resource_spans[0].scope_spans[0].spans[0], name, value)
    assert decode_requests([Request(request.SerializeToString(), "o")]).outcomes[0].rejected_spans == 1
    assert _plain(request.SerializeToString()) is None


def test_what_parsers_may_read_differently_is_not_plain() -> None:
    """A field twice, one that nobody knows, a number that is cut, and what is no request at all."""
    body = _one_span().SerializeToString()
    span = _one_span().resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    for odd in (
        field(5, b"again"),
        field(99, b"unknown"),
        field(9, field(1, b"k") + field(2, b"\x18\x05\x18\x05")),
        field(9, field(1, b"k") + field(2, field(1, b"v")) + field(1, b"k")),
    ):
        changed = field(1, field(2, field(2, span + odd)))
        assert ExportTraceServiceRequest.FromString(changed).resource_spans
        assert _plain(changed) is None
    assert _plain(body) == 1
    assert _plain(body[:-1]) is None
    assert _plain(body + field(7, b"unknown")) is None
    assert _plain(b"") is None


def test_where_resources_say_whose_they_are_or_a_bound_is_near_decoding_has_to_tell() -> None:
    """Organisations in attributes, no organisation, and limits that the bytes could exceed."""
    body = _one_span().SerializeToString()
    assert plain_spans(Request(body, "o", Origin("token")), LIMITS) == 1
    assert plain_spans(Request(body, "o", Origin(organization_key="team")), LIMITS) is None
    assert plain_spans(Request(body, ""), LIMITS) is None
    three = field(1, field(2, b"".join(field(2, span) for span in [_span()] * 3)))
    assert _plain(three, DecodeLimits(max_spans_per_request=2)) is None
    assert _plain(three, DecodeLimits(max_attributes_per_request=5)) is None
