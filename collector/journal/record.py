"""One journalled request as bytes, and how records are found again in what is left of a file.

    marker      8   the file's own random bytes, also in its name: where the next record begins after a damaged one
    crc32       4   of everything behind it
    body bytes  4
    number      8
    received    8   ns since the epoch
    org bytes   2
    organisation, UTF-8, and the body: an `ExportTraceServiceRequest` in protobuf

Where more is known of the sender than the organisation, a zero byte and JSON stand in its place.

Little-endian. Behind the last record a file may hold zeros: room that was allocated ahead. A body cannot pose as a
record, for its sender does not know the marker.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from collector.decode.request import NO_ORIGIN, Origin, Request

MARKER_BYTES = 8
_CHECKED = struct.Struct("<IQqH")
_PREFIX = struct.Struct(f"<{MARKER_BYTES}sI")
HEADER_BYTES = _PREFIX.size + _CHECKED.size
_STEP_BYTES = 1 << 20
_MORE = b"\x00"
"""No organisation's name begins so."""

Buffer = bytes | bytearray


@dataclass(frozen=True, slots=True)
class Record:
    """A request as it was acknowledged. Numbers rise by record; some may be missing."""

    number: int
    received_at_ns: int
    request: Request


@dataclass(frozen=True, slots=True)
class Found:
    """A sound record in a file: where it begins and ends, in bytes."""

    start: int
    end: int
    number: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes between `start` and `end` that are no sound record. `tail`: nothing sound follows in the file."""

    start: int
    end: int
    tail: bool


def frames(marker: bytes, first: int, received_at_ns: int, requests: Sequence[Request]) -> list[bytes]:
    """The records of a group, numbered from `first`, as buffers to be written one after the other."""
    buffers: list[bytes] = []
    for number, request in enumerate(requests, first):
        org = _sender(request)
        head = _CHECKED.pack(len(request.body), number, received_at_ns, len(org)) + org
        buffers.append(_PREFIX.pack(marker, zlib.crc32(request.body, zlib.crc32(head))) + head)
        buffers.append(request.body)
    return buffers


def scan(data: Buffer, marker: bytes) -> Iterator[Found | Damage]:
    """Every sound record of a file in order, and what lies between them."""
    position = 0
    while position < len(data):
        found = _sound(data, position, marker)
        if found is not None:
            yield found
            position = found.end
            continue
        if _zeros_from(data, position):
            return
        following = _resume(data, position + 1, marker)
        yield Damage(position, len(data) if following is None else following, following is None)
        if following is None:
            return
        position = following


def read(data: Buffer, found: Found) -> Record:
    """The record itself, copied out of `data`."""
    body_bytes, number, received_at_ns, org_bytes = _CHECKED.unpack_from(data, found.start + _PREFIX.size)
    org_start = found.start + HEADER_BYTES
    org_id, origin = _read_sender(bytes(data[org_start : org_start + org_bytes]))
    body = bytes(data[org_start + org_bytes : org_start + org_bytes + body_bytes])
    return Record(number, received_at_ns, Request(body, org_id, origin))


def _sender(request: Request) -> bytes:
    """Whose a request is, and what its spans will say of its sender: as it was then, whatever the config says later."""
    origin = request.origin
    if origin == NO_ORIGIN:
        return request.org_id.encode()
    said = [request.org_id, origin.token, dict(origin.tags), origin.organization_key]
    return _MORE + json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _read_sender(written: bytes) -> tuple[str, Origin]:
    if not written.startswith(_MORE):
        return written.decode(), NO_ORIGIN
    org_id, token, tags, organization_key = json.loads(written[len(_MORE) :])
    return org_id, Origin(token, tuple(tags.items()), organization_key)


def parts(records: Iterable[Record], most_bytes: int) -> Iterator[list[Record]]:
    """Records in groups of a bounded size, in order."""
    part: list[Record] = []
    size_bytes = 0
    for record in records:
        body_bytes = len(record.request.body)
        if part and size_bytes + body_bytes > most_bytes:
            yield part
            part, size_bytes = [], 0
        part.append(record)
        size_bytes += body_bytes
    if part:
        yield part


def _sound(data: Buffer, position: int, marker: bytes) -> Found | None:
    """The record at `position` if it is whole."""
    if position + HEADER_BYTES > len(data):
        return None
    own, crc = _PREFIX.unpack_from(data, position)
    checked_at = position + _PREFIX.size
    body_bytes, number, _, org_bytes = _CHECKED.unpack_from(data, checked_at)
    end = position + HEADER_BYTES + org_bytes + body_bytes
    if own != marker or end > len(data) or _crc32(data, checked_at, end) != crc:
        return None
    return Found(position, end, number)


def _crc32(data: Buffer, start: int, end: int) -> int:
    with memoryview(data) as view, view[start:end] as part:
        return zlib.crc32(part)


def _resume(data: Buffer, start: int, marker: bytes) -> int | None:
    """Where the next sound record begins."""
    position = data.find(marker, start)
    while position >= 0 and _sound(data, position, marker) is None:
        position = data.find(marker, position + 1)
    return None if position < 0 else position


def _zeros_from(data: Buffer, start: int) -> bool:
    """Whether nothing was written from `start` on."""
    for position in range(start, len(data), _STEP_BYTES):
        part = data[position : position + _STEP_BYTES]
        if part.count(0) != len(part):
            return False
    return True
