"""The compiled library against `ptars`, which reads every form that the wire allows."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.decode import Decoded, DecodeLimits, Request, decode_requests, direct, protobuf
from collector.decode.direct import Unusual
from collector.errors import MalformedRequest
from tests.collector.decode.reference import random_attribute, random_request, random_span
from tests.support.library import require_library, without_library
from tests.support.wire import field, varint

GROUP = b"\x1b\x08\x01\x1c"


@pytest.fixture(autouse=True)
def path() -> None:
    """With the library: each test compares both itself."""
    require_library()


def usual(request: ExportTraceServiceRequest, rng: random.Random) -> ExportTraceServiceRequest:
    """The request with numbers that encoders write in one byte."""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.kind = rng.choice([0, 1, 3])
                span.dropped_attributes_count = rng.choice([0, 127])
    return request


def _requests(seed: int, count: int = 40) -> list[bytes]:
    rng = random.Random(seed)
    return [usual(random_request(rng), rng).SerializeToString() for _ in range(count)]


def _as_text(decoded: Decoded) -> str:
    """Everything of it; as text, for NaN is like no other."""
    batch = decoded.batch
    tables = (batch.spans, batch.attributes, batch.resources, batch.resource_attributes)
    return "\n".join(repr(part) for part in (*(table.to_pylist() for table in tables), decoded.outcomes))


def _both(groups: list[list[bytes]], monkeypatch: pytest.MonkeyPatch, limits: DecodeLimits | None = None) -> bool:
    """Whether groups decode alike with the library and without it."""
    requests = [[Request(body, "o") for body in group] for group in groups]
    with monkeypatch.context() as patch:
        patch.setattr(protobuf, "_DIRECT_BYTES", 0)
        ours = [_as_text(decode_requests(group, limits or DecodeLimits())) for group in requests]
    with without_library():
        wanted = [_as_text(decode_requests(group, limits or DecodeLimits())) for group in requests]
    return ours == wanted


def _is_direct(bodies: list[bytes], monkeypatch: pytest.MonkeyPatch) -> bool:
    try:
        direct.split(bodies, DecodeLimits())
    except (Unusual, MalformedRequest):
        return False
    return True


def _mutated(wire: bytes, rng: random.Random) -> bytes:
    data = bytearray(wire)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(data) + 1)
        change = rng.randrange(5)
        if change == 0 and rng.random() < 0.3:
            data[at:] = b""
        elif change == 1:
            data[at:at] = rng.choice([rng.randbytes(1), b"\xff", b"\x80", GROUP, field(1, b"x"), field(2, b"x")])
        elif change == 2:
            del data[at : at + rng.choice([1, 2, 5])]
        elif at < len(data):
            data[at] = rng.choice([rng.randrange(256), data[at] ^ 1, data[at] ^ 0x80, data[at] + 1 & 0xFF])
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_requests_are_split_in_columns_as_ptars_splits_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field of a span, spans of different layouts, empty resources and scopes; alone and in groups."""
    bodies = _requests(seed)
    assert _is_direct(bodies, monkeypatch)
    cuts = sorted({0, len(bodies), *(random.Random(seed).randrange(len(bodies)) for _ in range(12))})
    assert _both([bodies, *(bodies[start:stop] for start, stop in pairwise(cuts))], monkeypatch)


@pytest.mark.parametrize("seed", range(4))
def test_spoiled_requests_decode_as_by_ptars(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each alone, so that a wrong byte is read by both, and in a group of good ones."""
    rng = random.Random(seed)
    bodies = [_mutated(body, rng) for body in _requests(seed, 90) if body]
    good = _requests(seed + 100, 2)
    assert _both([[body] for body in bodies], monkeypatch)
    assert _both([[good[0], *bodies[at : at + 3], good[1]] for at in range(0, len(bodies), 3)], monkeypatch)
    assert sum(_is_direct([body], monkeypatch) for body in bodies) > 12


def _body(*spans: bytes) -> bytes:
    return field(1, field(2, b"".join(field(2, span) for span in spans)))


def _span(seed: int, *more: bytes) -> bytes:
    rng = random.Random(seed)
    span = Span(trace_id=rng.randbytes(16), span_id=rng.randbytes(8), name="chat", start_time_unix_nano=5)
    for _ in range(6):
        random_attribute(span.attributes.add(), rng)
    wire: bytes = span.SerializeToString()
    return wire + b"".join(more)


LAYOUTS: dict[str, tuple[bool, bytes]] = {
    "status empty": (True, field(15, b"")),
    "status filled": (True, field(15, field(2, b"no") + b"\x18\x02")),
    "flags": (True, b"\x85\x01\x01\x00\x00\x00"),
    "attribute of nothing": (True, field(9, b"")),
    "name sent twice": (False, field(5, b"again")),
    "status in two parts": (False, field(15, field(2, b"no")) + field(15, b"\x18\x02")),
    "unknown field": (False, field(7, b"x")),
    "group": (False, GROUP),
    "field beyond 16": (False, b"\xa2\x06\x01x"),
    "number of two bytes": (False, b"\x50" + varint(300)),
    "length beyond the span": (False, b"\x2a\x7fchat"),
    "length without an end": (False, b"\x4a\xff\xff\xff"),
    "tag alone": (False, b"\x4a"),
    "time cut": (False, b"\x41" + bytes(7)),
    "flags cut": (False, b"\x85\x01\x01"),
    "long text": (True, field(3, b"x" * 200_000)),
    "text of 2 MiB": (True, field(3, b"x" * (1 << 21))),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_every_form_of_a_field_is_read_as_ptars_reads_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last of the span, where what is cut short runs into the next one, and as the first."""
    is_usual, wire = LAYOUTS[case]
    for spans in ([_span(1, wire), _span(2)], [_span(1), _span(2, wire)], [_span(1), wire + _span(2), _span(3)]):
        assert _both([[_body(*spans)]], monkeypatch)
        assert _is_direct([_body(*spans)], monkeypatch) == is_usual


def test_bytes_that_look_like_a_span_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text holds the beginning of a span, with a length that reaches exactly to the next one, or nowhere."""
    looks = b"\x12\x90\x01\x0a\x10"
    spans = [_span(number, field(3, looks * 30)) for number in range(40)]
    assert _is_direct([_body(*spans)], monkeypatch)
    assert _both([[_body(*spans)], [_body(*spans, b"")], [_body(b"", *spans)]], monkeypatch)


def test_spans_of_any_size_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One, two and three bytes of length, in any order."""
    rng = random.Random(7)
    spans = [_span(number, field(3, b"x" * rng.choice([0, 60, 500, 20_000]))) for number in range(60)]
    spans += [Span(trace_id=bytes([7] * 16)).SerializeToString() for _ in range(3)] + [_span(99)]
    assert _is_direct([_body(*spans)], monkeypatch)
    assert _both([[_body(*spans)], [_body(*spans[::-1]), _body(*spans)]], monkeypatch)


def test_a_span_with_many_attributes_among_slim_ones_is_read_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one span has is no matter for the others."""
    rng = random.Random(1)
    fat = Span(trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
    for _ in range(300):
        random_attribute(fat.attributes.add(), rng)
    spans = [fat.SerializeToString(), *(_span(number) for number in range(40))]
    assert _is_direct([_body(*spans)], monkeypatch)
    assert _both([[_body(*spans)], [_body(*[spans[0]] * 3, *spans[1:])]], monkeypatch)


def test_too_many_of_anything_is_refused_before_it_unfolds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted on the way, with the same answer as from `ptars`."""
    limits = DecodeLimits(max_spans_per_request=20, max_attributes_per_request=100, max_events_per_request=10)
    rng = random.Random(3)
    eventful = Span()
    for _ in range(12):
        random_span(eventful, rng)
    groups = [
        [_body(*(_span(number) for number in range(21)))],
        [_body(*(_span(number) for number in range(20)))],
        [_body(*(_span(number) for number in range(12))), _body(*(_span(number) for number in range(12)))],
        [field(1, b"") * 21],
        [field(1, field(2, b"") * 21)],
        [_body(eventful.SerializeToString() + field(11, b"") * 11)],
    ]
    assert _both(groups, monkeypatch, limits)
