"""Decoding against protobuf's own parser: the same spans from every valid request, and the same refusals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

import pytest
from google.protobuf.message import DecodeError

from collector.decode.columns import ATTRIBUTE_SCHEMA, SPAN_SCHEMA, SpanBatch
from collector.decode.protobuf import decode_requests
from collector.decode.request import Request
from tests.collector.decode.reference import actual, expected, random_request
from tests.support.wire import field


def _whole(batch: SpanBatch) -> None:
    """Every table has its schema and holds together."""
    assert batch.spans.schema == SPAN_SCHEMA
    assert batch.attributes.schema == ATTRIBUTE_SCHEMA
    assert batch.resource_attributes.schema == ATTRIBUTE_SCHEMA
    for table in (batch.spans, batch.attributes, batch.resources, batch.resource_attributes):
        table.validate(full=True)
    for table in (batch.attributes, batch.resource_attributes):
        owners = table.column("owner_index").to_pylist()
        assert owners == sorted(owners)


@pytest.mark.parametrize("seed", range(20))
def test_every_valid_request_decodes_to_the_spans_that_protobuf_sees(seed: int) -> None:
    """Field by field, over all value types, alone and with 20 neighbours."""
    rng = random.Random(seed)
    bodies = [random_request(rng).SerializeToString() for _ in range(20)]
    wanted = [expected(body) for body in bodies]
    for body, rows in zip(bodies, wanted, strict=True):
        decoded = decode_requests([Request(body, "o")])
        _whole(decoded.batch)
        assert actual(decoded.batch) == rows
        assert decoded.outcomes[0].accepted_spans == len(rows)
    together = decode_requests([Request(body, f"org{index}") for index, body in enumerate(bodies)])
    _whole(together.batch)
    assert actual(together.batch) == [row for rows in wanted for row in rows]
    orgs = together.batch.spans.column("org_id").to_pylist()
    assert orgs == [f"org{index}" for index, rows in enumerate(wanted) for _ in rows]


def _mutate(body: bytes, rng: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        change = rng.randrange(5)
        if change == 0 and at < len(data):
            data[at] = rng.randrange(256)
        elif change == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 4))
        elif change == 2:
            del data[at : at + rng.randrange(1, 8)]
        elif change == 3:
            del data[at:]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def _groups(bodies: list[bytes], rng: random.Random) -> Iterator[list[bytes]]:
    while bodies:
        size = rng.choice([1, 2, 10, 30])
        yield bodies[:size]
        bodies = bodies[size:]


@pytest.mark.parametrize("seed", range(10))
def test_mutated_requests_lose_at_most_what_protobuf_refuses(seed: int) -> None:
    """5,000 damaged requests, alone and with neighbours: accepted by protobuf means the same spans; refused means
    refused, or a reason given."""
    rng = random.Random(1000 + seed)
    bodies = [_mutate(random_request(rng).SerializeToString(), rng) for _ in range(500)]
    for group in _groups(bodies, rng):
        decoded = decode_requests([Request(body, "o") for body in group])
        rows = iter(actual(decoded.batch))
        for body, outcome in zip(group, decoded.outcomes, strict=True):
            found = list(islice(rows, outcome.accepted_spans))
            try:
                wanted = expected(body)
            except DecodeError:
                assert outcome.malformed or outcome.reason, body.hex()
                continue
            assert outcome.error is None, body.hex()
            assert found == wanted, body.hex()
        assert list(rows) == []


def test_a_malformed_request_spoils_none_of_its_neighbours() -> None:
    """Good, garbage, good, truncated, good in one call: the good ones are all there."""
    rng = random.Random(7)
    good: list[bytes] = []
    while len(good) < 3:
        body = random_request(rng).SerializeToString()
        if len(expected(body)) > 1:
            good.append(body)
    bodies = [good[0], b"\xff\xff\xff garbage", good[1], good[2][:-1], good[2]]
    decoded = decode_requests([Request(body, "o") for body in bodies])
    assert [outcome.malformed for outcome in decoded.outcomes] == [False, True, False, True, False]
    assert actual(decoded.batch) == [row for body in good for row in expected(body)]


def _body(*attributes: bytes, span: bytes = b"", scope: bytes = b"", resource: bytes = b"") -> bytes:
    spans = field(1, b"t" * 16) + field(2, b"s" * 8) + b"".join(field(9, one) for one in attributes) + span
    return field(1, resource + field(2, scope + field(2, spans)))


_TEXT, _NUMBER = field(1, b"text"), b"\x18\x05"
_STATUS = field(15, field(2, b"message")), field(15, b"\x18\x02")
_SCOPE = field(1, field(1, b"name")), field(1, field(2, b"version"))


@pytest.mark.parametrize(
    "body",
    [
        _body(field(1, b"k") + field(2, _TEXT + _NUMBER)),
        _body(field(1, b"k") + field(2, _NUMBER + _TEXT)),
        _body(field(1, b"k") + field(2, _TEXT) + field(2, _NUMBER)),
        _body(field(1, b"k") + field(2, _TEXT) + field(2, b"")),
        _body(field(1, b"k") + field(1, b"k2") + field(2, _TEXT)),
        _body(field(2, _TEXT)),
        _body(b""),
        _body(span=b"".join(_STATUS)),
        _body(scope=b"".join(_SCOPE)),
        _body(resource=field(1, field(1, field(1, b"a"))) + field(1, field(1, field(1, b"b")))),
        _body(span=field(5, b"first") + field(5, b"last")),
        _body(span=b"\xa3\x06\xa4\x06"),
        _body(span=b"\x28\x05"),
        _body(span=b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    ],
)
def test_unusual_encodings_mean_what_protobuf_says(body: bytes) -> None:
    """Fields sent twice are merged or the last counts, two members of a oneof: the later; groups and wrong wire types
    are skipped."""
    decoded = decode_requests([Request(body, "o")])
    assert decoded.outcomes[0].accepted_spans == 1
    assert actual(decoded.batch) == expected(body)
