"""OTLP files as single requests: which format a file has, and where in it each request stands.

Formats, each also gzip-compressed, found by looking at the content:
- OTLP JSON: one `ExportTraceServiceRequest`, or an array of them
- JSON lines: one request per line, as the OpenTelemetry Collector's file exporter writes them
- length-delimited protobuf: each request preceded by its length as a varint
- one bare protobuf request
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
RESOURCE_SPANS_TAG = 0x0A  # field 1, length-delimited: what every non-empty request begins with
RESOURCE_SPANS_FIELDS = b"\x0a\x12\x1a"  # tags of its fields, in the order in which they are written
MAX_VARINT_BYTES = 5  # a request's length fits 32 bits
SPOOL_BYTES = 32 * 1024 * 1024
LINES_LOOKED_AT = 3


class Format(Enum):
    """What a file holds."""

    JSON = "OTLP JSON"
    JSON_ARRAY = "array of OTLP JSON"
    JSON_LINES = "JSON lines"
    DELIMITED = "length-delimited protobuf"
    PROTOBUF = "protobuf"
    EMPTY = "nothing"


class UnreadableFile(Exception):
    """The file as a whole cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One request of a file, not yet decoded; with `error` it could not even be cut out."""

    place: str  # `file`, `file:12` (line) or `file#3` (request), both counted from 1
    body: bytes
    is_json: bool
    end: int  # how far into the (decompressed) file it reaches, in bytes
    error: str = ""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's content, decompressed and seekable.

    Raises:
        UnreadableFile: it cannot be opened, or its compression is broken.
    """
    try:
        with path.open("rb") as raw:
            if raw.read(2) != GZIP_MAGIC:
                raw.seek(0)
                yield raw
                return
            raw.seek(0)
            with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as plain:
                with gzip.GzipFile(fileobj=raw) as packed:
                    shutil.copyfileobj(packed, plain)
                plain.seek(0)
                yield plain  # type: ignore[misc]  # a BinaryIO in all that is used here
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFile(f"{path}: broken gzip: {error}") from None
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from None


def size_of(content: BinaryIO) -> int:
    """Bytes of the content; its position is kept."""
    here = content.tell()
    end = content.seek(0, 2)
    content.seek(here)
    return end


def detect(content: BinaryIO) -> Format:
    """The format by content; the position is at the start afterwards."""
    try:
        # First, because a length in front may be any byte: a letter, a brace, a space.
        if _is_bare(content):
            return Format.PROTOBUF
        if _is_framed(content):
            return Format.DELIMITED
        content.seek(0)
        head = content.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head:
            return Format.EMPTY if size_of(content) <= 4096 else Format.JSON_LINES
        if head[:1] == b"[":
            return Format.JSON_ARRAY
        if head[:1] == b"{":
            return Format.JSON_LINES if _looks_like_lines(content) else Format.JSON
        if head[:1].isascii() and head[:1].isalpha():
            return Format.JSON_LINES
        return Format.DELIMITED
    finally:
        content.seek(0)


def pieces(path: Path, content: BinaryIO, format: Format) -> Iterator[Piece]:
    """The requests of the file, in order.

    Raises:
        UnreadableFile: a JSON array that is no JSON.
    """
    if format is Format.EMPTY:
        return iter(())
    if format is Format.JSON_LINES:
        return _lines(path, content)
    if format is Format.JSON_ARRAY:
        return _items(path, content)
    if format is Format.DELIMITED:
        return _frames(path, content)
    body = content.read()
    return iter([Piece(str(path), body, format is Format.JSON, len(body))])


def _looks_like_lines(content: BinaryIO) -> bool:
    """Several lines, and one of the first is a whole object: a bad line does not hide the others."""
    content.seek(0)
    seen = [line for line in (content.readline() for _ in range(LINES_LOOKED_AT)) if line.strip()]
    return len(seen) > 1 and any(_is_object(line) for line in seen)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_bare(content: BinaryIO) -> bool:
    """Whether the file is exactly one request that is not empty."""
    size = size_of(content)
    content.seek(0)
    return size > 0 and _is_request(content, size)


def _is_framed(content: BinaryIO) -> bool:
    """Whether the file begins with a length and a request that is exactly as long."""
    size = size_of(content)
    content.seek(0)
    end = (_varint(content) or 0) + content.tell()
    return content.tell() < end <= size and _is_request(content, end)


def _is_request(content: BinaryIO, end: int) -> bool:
    """Whether what lies between the position and `end` is a row of `resource_spans` fields, as a request is."""
    while content.tell() < end:
        if content.read(1) != bytes([RESOURCE_SPANS_TAG]):
            return False
        length = _varint(content)
        start = content.tell()
        if length is None or start + length > end:
            return False
        if length and content.read(1) not in RESOURCE_SPANS_FIELDS:
            return False
        content.seek(start + length)
    return True


def _varint(content: BinaryIO) -> int | None:
    """The length at the position; None when it is cut off or too long."""
    value = 0
    for shift in range(MAX_VARINT_BYTES):
        byte = content.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * shift)
        if byte[0] < 0x80:
            return value
    return None


def _lines(path: Path, content: BinaryIO) -> Iterator[Piece]:
    for number, line in enumerate(content, start=1):
        if line.strip(b"\xef\xbb\xbf \t\r\n"):
            yield Piece(f"{path}:{number}", line, True, content.tell())


def _items(path: Path, content: BinaryIO) -> Iterator[Piece]:
    body = content.read()
    try:
        items = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{path}: not JSON: {error}") from None
    for number, item in enumerate(items, start=1):
        yield Piece(f"{path}#{number}", json.dumps(item).encode(), True, len(body) * number // len(items))


def _frames(path: Path, content: BinaryIO) -> Iterator[Piece]:
    end = size_of(content)
    number = 0
    while content.tell() < end:
        number += 1
        place, start = f"{path}#{number}", content.tell()
        length = _varint(content)
        if length is None:
            yield Piece(place, b"", False, end, f"no length at byte {start}: not length-delimited protobuf")
            return
        if content.tell() + length > end:
            yield Piece(place, b"", False, end, f"cut off: {length:,} bytes announced at byte {start}, fewer are left")
            return
        yield Piece(place, content.read(length), False, content.tell())
