"""The format of a file is found by its content, and its requests are cut out with their places."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.cli.otlp_files import Format, Piece, UnreadableFile, detect, opened, pieces
from tests.support.wire import varint

EMPTY = b'{"resourceSpans":[]}'


def request(*names: str) -> bytes:
    """A protobuf request with one span per name, each in a resource of its own."""
    message = ExportTraceServiceRequest()
    for name in names:
        message.resource_spans.add().scope_spans.add().spans.add().name = name
    body: bytes = message.SerializeToString()
    return body


def delimited(*bodies: bytes) -> bytes:
    """Bodies with their lengths as varints before them."""
    return b"".join(varint(len(body)) + body for body in bodies)


def read(path: Path) -> tuple[Format, list[Piece]]:
    with opened(path) as content:
        format = detect(content)
        return format, list(pieces(path, content, format))


CONTENTS = [
    (EMPTY, Format.JSON, 1),
    (b'{\n  "resourceSpans": [\n  ]\n}\n', Format.JSON, 1),
    (b"\xef\xbb\xbf" + EMPTY, Format.JSON, 1),
    (b"[" + EMPTY + b",\n" + EMPTY + b"]", Format.JSON_ARRAY, 2),
    (b"[\n" + EMPTY + b"\n]", Format.JSON_ARRAY, 1),
    (EMPTY + b"\n" + EMPTY + b"\n\n", Format.JSON_LINES, 2),
    (b"{broken\n" + EMPTY + b"\n", Format.JSON_LINES, 2),
    (b"log: " + EMPTY + b"\n", Format.JSON_LINES, 1),
    (request("a"), Format.PROTOBUF, 1),
    (request("a", "b", "c" * 300), Format.PROTOBUF, 1),
    (delimited(request("a"), request("b" * 500)), Format.DELIMITED, 2),
    (delimited(request("long" * 9000)), Format.DELIMITED, 1),
    (delimited(request()) + delimited(request("a")), Format.DELIMITED, 2),
    (b"", Format.EMPTY, 0),
    (b" \n\n", Format.EMPTY, 0),
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "format", "requests"), CONTENTS)
def test_the_format_is_found_by_looking(
    tmp_path: Path, content: bytes, format: Format, requests: int, packed: bool
) -> None:
    path = tmp_path / "spans"
    path.write_bytes(gzip.compress(content) if packed else content)
    found, cut = read(path)
    assert (found, len(cut)) == (format, requests)
    assert all(not piece.error for piece in cut)


def test_a_length_that_looks_like_text_is_still_a_length(tmp_path: Path) -> None:
    """A protobuf file may begin with any letter, a brace or a space: it is the length of what follows."""
    path = tmp_path / "spans.binpb"
    for size in range(150):
        path.write_bytes(request("x" * size))
        assert (read(path)[0], size) == (Format.PROTOBUF, size)
        path.write_bytes(delimited(request("x" * size), request("a")))
        found, cut = read(path)
        assert (found, len(cut), size) == (Format.DELIMITED, 2, size)


def test_bodies_come_out_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "spans.binpb"
    bodies = [request("a"), request("b" * 500)]
    path.write_bytes(delimited(*bodies))
    assert [piece.body for piece in read(path)[1]] == bodies


def test_places_are_lines_or_request_numbers(tmp_path: Path) -> None:
    lines, array = tmp_path / "lines.jsonl", tmp_path / "array.json"
    lines.write_bytes(EMPTY + b"\n\n" + EMPTY + b"\n")
    array.write_bytes(b"[" + EMPTY + b"," + EMPTY + b"]")
    assert [piece.place for piece in read(lines)[1]] == [f"{lines}:1", f"{lines}:3"]
    assert [piece.place for piece in read(array)[1]] == [f"{array}#1", f"{array}#2"]


def test_a_cut_off_file_gives_what_is_whole_and_says_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "spans.binpb"
    path.write_bytes(delimited(request("a"), request("b" * 500))[:-10])
    _, (whole, cut) = read(path)
    assert whole.body == request("a")
    assert not whole.error
    assert cut.place == f"{path}#2"
    assert "cut off" in cut.error


def test_a_broken_gzip_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "spans.gz"
    path.write_bytes(gzip.compress(EMPTY)[:-6])
    with pytest.raises(UnreadableFile, match="broken gzip"):
        read(path)


def test_a_gzip_of_several_members_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl.gz"
    path.write_bytes(gzip.compress(EMPTY + b"\n") + gzip.compress(EMPTY + b"\n"))
    assert len(read(path)[1]) == 2


def test_an_array_that_is_no_json_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "spans.json"
    path.write_bytes(b"[" + EMPTY)
    with pytest.raises(UnreadableFile, match="not JSON"):
        read(path)
