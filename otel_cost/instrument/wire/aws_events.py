"""AWS event streams, as Bedrock answers: binary frames with checksums."""

from __future__ import annotations

import struct
import zlib

from otel_cost.instrument.wire import held
from otel_cost.instrument.wire.held import MAX_NAMES, Held, Sink

_PRELUDE_BYTES, _CRC_BYTES = 12, 4
_prelude = struct.Struct("!III").unpack_from  # bytes of the frame, bytes of its headers, checksum of both
_TYPE_TEXT = 7
_TYPE_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class AwsEvents:
    """`application/vnd.amazon.eventstream`: frames of headers and a payload.

    The name is that of `:event-type` (`:exception-type` of an exception). Of the two checksums the one over the
    lengths is checked, because with wrong lengths everything after is noise; a damaged payload is found by whoever
    parses it, and by the SDK.
    """

    __slots__ = ("_held", "_is_broken", "_names", "_sink", "_wanted", "dropped")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = Held()
        self._wanted = _PRELUDE_BYTES
        self._is_broken = False
        self._names: dict[bytes, str] = {}
        self.dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""
        if self._is_broken:
            return
        data = chunk
        if self._held.size:  # else most chunks are whole frames
            self._held.add(chunk)
            if self._held.size < self._wanted:
                return
            data = self._held.take()
        begin, size = 0, len(data)
        self._wanted = _PRELUDE_BYTES
        while size - begin >= _PRELUDE_BYTES:
            total, headers, check = _prelude(data, begin)
            if not _PRELUDE_BYTES + _CRC_BYTES <= total <= held.MAX_EVENT_BYTES or (
                zlib.crc32(data[begin : begin + 8]) != check
            ):
                self._is_broken = True
                self.dropped += 1
                return
            if size - begin < total:
                self._wanted = total
                break
            payload, end = begin + _PRELUDE_BYTES + headers, begin + total - _CRC_BYTES
            if payload > end:
                self.dropped += 1
            else:
                self._frame(data[begin + _PRELUDE_BYTES : payload], data[payload:end])
            begin += total
        if begin < size:
            self._held.add(data[begin:])

    def end(self) -> None:
        """The stream is over: half a frame is none."""
        if self._held.size:
            self._held.take()
            self.dropped += 1

    def _frame(self, headers: bytes, payload: bytes) -> None:
        name = self._names.get(headers)
        if name is None:
            name = _aws_name(headers)
            if len(self._names) < MAX_NAMES:
                self._names[headers] = name  # all events of one type have the same headers
        self._sink(payload, name)


def _aws_name(data: bytes) -> str:
    headers = _aws_headers(data)
    return headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or ""


def _aws_headers(data: bytes) -> dict[str, str]:
    """The text headers of a frame. Source: AWS, "Event stream encoding"."""
    found: dict[str, str] = {}
    place = 0
    while place < len(data):
        value = place + 1 + data[place]
        if value >= len(data):
            break
        kind = data[value]
        size, begin = _TYPE_SIZES.get(kind), value + 1
        if kind in (_TYPE_TEXT, 6):
            size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
        if size is None:
            break
        if kind == _TYPE_TEXT:
            header = data[place + 1 : value].decode("utf-8", "replace")
            found[header] = data[begin : begin + size].decode("utf-8", "replace")
        place = begin + size
    return found
