"""The fast reading of attributes against `ptars`, which reads every form that the wire allows."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.decode import Decoded, DecodeLimits, Request, attributes, decode_requests, key_values
from collector.decode.key_values import BOOL, DOUBLE, INT, UNSET, AmbiguousValue, KeyValues, parse_key_values
from collector.decode.slices import Slices
from collector.errors import MalformedRequest
from tests.collector.decode.reference import random_attribute, random_request
from tests.support.library import require_library
from tests.support.wire import field, varint

Row = tuple[bytes, int, object]
Rows = list[Row] | type[Exception]

KEY = field(1, b"key")
GROUP = b"\x1b\x08\x01\x1c"  # field 3, an unknown one, as a group
NUMBERS = [0, 1, 127, 128, 300, 2**31, 2**63 - 1, 2**64 - 1, 2**64 - 300]
SIZES = [0, 1, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 300, 16_370, 16_383, 16_384, 16_400, 2**21 + 5]


def _padded(number: int, size: int) -> bytes:
    """A varint that takes more bytes than it needs."""
    return bytes((number >> 7 * at & 0x7F) | 0x80 for at in range(size - 1)) + bytes([number >> 7 * (size - 1) & 0x7F])


def _value(wire: bytes) -> bytes:
    return KEY + field(2, wire)


CASES: dict[str, bytes] = {
    "nothing": b"",
    "no value": KEY,
    "no key": field(2, field(1, b"v")),
    "value first": field(2, field(1, b"v")) + KEY,
    "empty key": field(1, b"") + field(2, field(1, b"v")),
    "key sent twice": KEY + field(1, b"last") + field(2, field(1, b"v")),
    "value sent twice": _value(field(1, b"v")) + field(2, field(1, b"last")),
    "value in two parts": _value(b"\x18\x05") + field(2, field(1, b"v")),
    "two members": _value(b"\x18\x05" + field(1, b"v")),
    "one member twice": _value(b"\x18\x05\x18\x06"),
    "empty value": _value(b""),
    "unknown field before": GROUP + _value(field(1, b"v")),
    "unknown field between": KEY + GROUP + field(2, field(1, b"v")),
    "unknown field after": _value(field(1, b"v")) + field(9, b"x"),
    "unknown field in the value": _value(field(1, b"v") + field(9, b"x")),
    "only an unknown field": _value(field(9, b"x")),
    "key as a number": b"\x08\x05" + field(2, field(1, b"v")),
    "not UTF-8": field(1, b"k\xff") + field(2, field(1, b"\xff")),
    "long key": field(1, b"k" * 128) + field(2, field(1, b"v")),
    "padded length of the key": b"\x0a\x83\x00key" + field(2, field(1, b"v")),
    "padded length of the value": KEY + b"\x12\x83\x00" + field(1, b"v"),
    "padded length of the text": _value(b"\x0a\x83\x00abc"),
    "padded tag": KEY + b"\x92\x00\x03" + field(1, b"v"),
    "length beyond the end": KEY + b"\x12\x7f" + field(1, b"v"),
    "length of the text beyond the value": KEY + b"\x12\x03\x0a\x05v" + b"\x0a\x02ab",
    "length of the text short of the value": _value(b"\x0a\x01abc"),
    "length without an end": KEY + b"\x12\xff\xff",
    "length that goes on": KEY + b"\x12\x81\x81" + field(1, b"x" * 127),
    "length of the text that goes on": _value(b"\x0a\x81\x81" + b"x" * 129),
    "length that is over": KEY + b"\x12\x85\x00\x01" + field(1, b"x" * 16_385),
    "length of three bytes that goes on": (KEY + b"\x12\x89\x80\x81" + b"\x0a\x85\x80\x81" + b"x" * ((129 << 14) + 5)),
    "padded length of a key, and what it would be unpadded": (
        b"\x0a\x80\x00" + field(2, field(1, b"x" * 122 + field(2, field(1, b"v"))))
    ),
    "text cut": _value(b"\x0a"),
    "flag of two": _value(b"\x10\x02"),
    "padded flag": _value(b"\x10\x81\x00"),
    "flag and more": _value(b"\x10\x01" + field(9, b"x")),
    "flag and another member": _value(b"\x10\x01\x18\x05"),
    "flag cut": _value(b"\x10"),
    "number cut": _value(b"\x18"),
    "number without an end": _value(b"\x18\xff"),
    "number of eleven bytes": _value(b"\x18" + b"\xff" * 10 + b"\x01"),
    "number of 70 bits": _value(b"\x18" + b"\xff" * 9 + b"\x7f"),
    "double cut": _value(b"\x21" + bytes(7)),
    "double and more": _value(b"\x21" + bytes(9)),
    **{f"{size} bytes of text": _value(field(1, b"x" * size)) for size in SIZES},
    **{f"{size} bytes in an array": _value(field(5, field(1, field(1, b"x" * size)))) for size in SIZES},
    **{f"number {number}": _value(b"\x18" + varint(number)) for number in NUMBERS},
    **{f"number in {size} bytes": _value(b"\x18" + _padded(5, size)) for size in range(1, 11)},
    **{f"flag {flag}": _value(b"\x10" + bytes([flag])) for flag in (0, 1)},
    **{f"double {number}": _value(b"\x21" + struct.pack("<d", number)) for number in (0.0, -0.0, 1.5, float("nan"))},
    **{f"field {number}": _value(field(number, b"ab")) for number in (5, 6, 7, 8, 15)},
}


def _none_in_common_form(wire: Slices) -> KeyValues:
    count = len(wire)
    keys, payloads = np.zeros((2, count), dtype=np.int32)
    return KeyValues(
        wire.array(), keys, payloads, np.zeros(count, np.uint8), np.zeros(count, np.int64), np.zeros(count)
    )


def _rows(parsed: KeyValues) -> list[Row]:
    rows: list[Row] = []
    for index, member in enumerate(parsed.members.tolist()):
        value: object = parsed.integers[index]
        if member == DOUBLE:
            value = struct.pack("<d", parsed.doubles[index])
        elif member not in (UNSET, BOOL, INT):
            value = parsed.pieces[parsed.payloads[index]].as_py()
        rows.append((parsed.pieces[parsed.keys[index]].as_py(), member, value))
    return rows


def _read(wire: list[bytes]) -> Rows:
    try:
        return _rows(parse_key_values(Slices.of(pa.array(wire, pa.binary())), 1_000))
    except (MalformedRequest, AmbiguousValue) as error:
        return type(error)


def _both(wire: list[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[Rows, Rows]:
    """As the product reads it, and as `ptars` alone does."""
    ours = _read(wire)
    with monkeypatch.context() as patch:
        patch.setattr(key_values, "_common_form", _none_in_common_form)
        return ours, _read(wire)


@pytest.mark.parametrize("case", CASES)
def test_every_form_of_an_attribute_is_read_as_ptars_reads_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, where nothing lies behind its last byte, and between others."""
    ours, wanted = _both([CASES[case]], monkeypatch)
    assert ours == wanted
    between = [CASES["number 300"], CASES[case], CASES["300 bytes of text"]]
    ours, wanted = _both(between, monkeypatch)
    assert ours == wanted


def test_what_encoders_write_is_not_left_to_ptars() -> None:
    """Every type, texts and numbers of any size up to 2 MiB; or the fast way would be a slow one unnoticed."""
    require_library()
    common = [f"{size} bytes {what}" for size in SIZES[:-1] for what in ("of text", "in an array")]
    common += [f"number {number}" for number in NUMBERS] + ["flag 0", "flag 1", "double 1.5", "field 7"]
    parsed = key_values._common_form(Slices.of(pa.array([CASES[case] for case in common], pa.binary())))
    assert [case for case, member in zip(common, parsed.members, strict=True) if member == UNSET] == []


def _mutated(wire: bytes, rng: random.Random) -> bytes:
    data = bytearray(wire)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        at = rng.randrange(len(data) + 1)
        change = rng.randrange(5)
        if change == 0:
            data[at:] = b""
        elif change == 1:
            data[at:at] = rng.choice([rng.randbytes(1), b"\xff", b"\x80", GROUP, field(1, b"x")])
        elif change == 2:
            del data[at : at + rng.choice([1, 2, 5])]
        elif at < len(data):
            data[at] = rng.choice([rng.randrange(256), data[at] ^ 1, data[at] ^ 0x80, data[at] + 1 & 0xFF])
    return bytes(data)


@pytest.mark.parametrize("seed", range(10))
def test_mutated_attributes_are_read_as_ptars_reads_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each alone, and all that can be read together."""
    rng = random.Random(seed)
    good: list[bytes] = []
    single: list[Row] = []
    for _ in range(200):
        item = KeyValue()
        random_attribute(item, rng)
        wire = _mutated(item.SerializeToString(), rng)
        ours, wanted = _both([wire], monkeypatch)
        assert ours == wanted, wire
        if isinstance(ours, list):
            good.append(wire)
            single += ours
    assert len(good) > 50
    assert _read(good) == single


def _as_text(decoded: Decoded) -> str:
    """Everything of it; as text, for NaN is like no other."""
    batch = decoded.batch
    tables = (batch.spans, batch.attributes, batch.resources, batch.resource_attributes)
    return "\n".join(repr(part) for part in (*(table.to_pylist() for table in tables), decoded.outcomes))


@pytest.mark.parametrize("seed", range(5))
def test_mutated_requests_decode_as_with_ptars_alone(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of several requests of which some are spoiled: same rows, same outcomes."""
    rng = random.Random(seed)
    bodies = [random_request(rng).SerializeToString() for _ in range(40)]
    bodies = [_mutated(body, rng) if rng.random() < 0.5 else body for body in bodies]
    cuts = sorted([0, len(bodies), *(rng.randrange(len(bodies)) for _ in range(12))])
    groups = [[Request(body, "o") for body in bodies[start:stop]] for start, stop in pairwise(cuts)]
    ours = [_as_text(decode_requests(group)) for group in groups]
    monkeypatch.setattr(key_values, "_common_form", _none_in_common_form)
    assert ours == [_as_text(decode_requests(group)) for group in groups]


@pytest.mark.parametrize("seed", range(3))
def test_spans_and_resources_read_apart_are_as_read_together(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few attributes are read together, many apart: same rows, same outcomes, the same texts cut."""
    rng = random.Random(seed)
    bodies = [random_request(rng).SerializeToString() for _ in range(40)]
    bodies = [body.replace(b"yyyy", b"\xff\xff\xff\xff", rng.randrange(3)) for body in bodies]
    limits = DecodeLimits(max_string_bytes=100, max_attributes_per_span=3)
    groups = [[Request(body, "o") for body in part] for part in (bodies, bodies[:1], bodies[1:9])]
    together = [decode_requests(group, limits) for group in groups]
    assert together[0].truncated_values
    assert any(outcome.rejected_spans for outcome in together[0].outcomes)
    monkeypatch.setattr(attributes, "_FEW_ATTRIBUTES", 0)
    apart = [decode_requests(group, limits) for group in groups]
    assert list(map(_as_text, together)) == list(map(_as_text, apart))
    assert [(one.truncated_values, one.dropped_attributes) for one in together] == [
        (one.truncated_values, one.dropped_attributes) for one in apart
    ]
