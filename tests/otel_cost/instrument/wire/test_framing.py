"""Events are the same however the bytes of a stream are chunked, and a stream cannot fill memory."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument.wire import held
from otel_cost.instrument.wire.framing import FRAMERS


def events_of(kind: str, chunks: Iterable[bytes]) -> list[tuple[bytes, str]]:
    found: list[tuple[bytes, str]] = []
    framer = FRAMERS[kind](lambda data, name: found.append((data, name)))
    for chunk in chunks:
        framer.feed(chunk)
    framer.end()
    return found


def every_split(body: bytes) -> list[list[bytes]]:
    """In one chunk, byte by byte, and in two chunks at every place."""
    return [[body], [body[i : i + 1] for i in range(len(body))], *([body[:i], body[i:]] for i in range(len(body) + 1))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [(b"a", ""), (b"b", "")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"a", ""), (b"b", "")]),
        (b"data: a\r\rdata: b\r\r", [(b"a", ""), (b"b", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"a", "")]),
        (b": ping\n\ndata: a\n\n", [(b"a", "")]),
        (b": ping\ndata:a\nid: 7\nretry: 1\n\n", [(b"a", "")]),
        (b"event: x\ndata: a\n\nevent: y\ndata: b\n\n", [(b"a", "x"), (b"b", "y")]),
        (b"data: a\nevent: x\n\n", [(b"a", "x")]),
        (b"event: message\ndata: a\n\nevent: message\ndata: b\n\n", [(b"a", ""), (b"b", "")]),
        (b"data: a\ndata: b\n\n", [(b"a\nb", "")]),
        (b"data:  a\n\n", [(b" a", "")]),
        (b"data: a\n\n\n\ndata: b\n\n", [(b"a", ""), (b"b", "")]),
        (b"\n\ndata: a", [(b"a", "")]),
        (b"event: x\n\ndata: a\n", [(b"a", "")]),
        ('data: {"a":"\u00e9\U0001f600"}\n\n'.encode(), [('{"a":"\u00e9\U0001f600"}'.encode(), "")]),
        (b"data: a\n\ndata: [DONE]\n\n", [(b"a", ""), (b"[DONE]", "")]),
        (b"", []),
    ],
)
def test_server_sent_events_wherever_a_chunk_ends(body: bytes, expected: list[tuple[bytes, str]]) -> None:
    """All line endings, a byte order mark, comments, several lines of data, no newline at the end; `message` is the
    name of an event that has none."""
    for chunks in every_split(body):
        assert events_of("sse", chunks) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b"\n\n", []),
    ],
)
def test_json_lines_wherever_a_chunk_ends(body: bytes, expected: list[bytes]) -> None:
    for chunks in every_split(body):
        assert events_of("ndjson", chunks) == [(line, "") for line in expected]


WORDS = st.text(max_size=6)
ELEMENTS = st.lists(
    st.dictionaries(
        WORDS,
        st.recursive(
            WORDS | st.integers(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    ),
    max_size=4,
)


@given(ELEMENTS, st.lists(st.integers(1, 7)), st.booleans())
def test_elements_of_a_json_array_wherever_a_chunk_ends(
    elements: list[object], sizes: list[int], is_pretty: bool
) -> None:
    """Brackets, quotes and escapes within texts end nothing."""
    body = json.dumps(elements, indent=2 if is_pretty else None, ensure_ascii=False).encode("utf-8", "surrogatepass")
    found = events_of("json-array", chunked(body, sizes))
    assert [json.loads(data.decode("utf-8", "surrogatepass")) for data, _ in found] == elements


def chunked(body: bytes, sizes: list[int]) -> list[bytes]:
    """The body in chunks of these sizes, over and over."""
    chunks, begin, turn = [], 0, 0
    while begin < len(body):
        size = sizes[turn % len(sizes)] if sizes else len(body)
        chunks.append(body[begin : begin + size])
        begin, turn = begin + size, turn + 1
    return chunks


def aws_frame(payload: bytes, **headers: str) -> bytes:
    """A frame as AWS encodes it."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in ((f":{name.replace('_', '-')}", value) for name, value in headers.items())
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def test_aws_frames_wherever_a_chunk_ends() -> None:
    """The name is the event's, or the exception's."""
    body = (
        aws_frame(b'{"a":1}', message_type="event", event_type="chunk", content_type="application/json")
        + aws_frame(b"", event_type="empty")
        + aws_frame(b"{}", message_type="exception", exception_type="throttlingException")
    )
    for chunks in every_split(body):
        assert events_of("aws-eventstream", chunks) == [
            (b'{"a":1}', "chunk"),
            (b"", "empty"),
            (b"{}", "throttlingException"),
        ]


def test_a_damaged_length_ends_the_reading_of_aws_frames() -> None:
    """After it nothing is where it seems to be."""
    framer = FRAMERS["aws-eventstream"](lambda data, name: pytest.fail("no event is readable"))
    framer.feed(b"\xff" + aws_frame(b"{}", event_type="chunk")[1:])
    framer.feed(aws_frame(b"{}", event_type="chunk"))
    framer.end()
    assert framer.dropped == 1


@pytest.mark.parametrize(
    ("kind", "long", "after", "expected"),
    [
        ("sse", b"data: " + b"x" * 100, b"\n\ndata: a\n\n", [(b"a", "")]),
        ("ndjson", b'{"x":"' + b"x" * 100, b'"}\n{"a":1}\n', [(b'{"a":1}', "")]),
        ("json-array", b'[{"x":"' + b"x" * 100, b'"},{"a":1}]', [(b'{"a":1}', "")]),
    ],
)
def test_an_event_above_the_bound_is_dropped_and_counted(
    kind: str, long: bytes, after: bytes, expected: list[tuple[bytes, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are not held; the events after it are read."""
    monkeypatch.setattr(held, "MAX_EVENT_BYTES", 50)
    found: list[tuple[bytes, str]] = []
    framer = FRAMERS[kind](lambda data, name: found.append((data, name)))
    for begin in range(0, len(long), 10):
        framer.feed(long[begin : begin + 10])
    framer.feed(after)
    framer.end()
    assert found == expected
    assert framer.dropped == 1


@given(st.sampled_from(sorted(FRAMERS)), st.lists(st.binary(max_size=40)))
def test_no_bytes_raise(kind: str, chunks: list[bytes]) -> None:
    """And one chunk or many makes no difference."""
    assert events_of(kind, chunks) == events_of(kind, [b"".join(chunks)])


@given(
    st.lists(
        st.sampled_from(
            [
                b"event: x\n",
                b"data: a\n",
                b"\n\n",
                b"data: ",
                b"data:",
                b"event: e",
                b"\n",
                b"\r",
                b"\r\n",
                b":",
                b"x",
                b"\xef\xbb\xbf",
            ]
        )
    )
)
def test_no_line_of_server_sent_events_depends_on_its_chunks(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert events_of("sse", pieces) == events_of("sse", [whole]) == events_of("sse", [bytes([b]) for b in whole])
