"""Where one event of a stream ends: server-sent events, JSON lines, JSON arrays and AWS event streams.

Chunks may break anywhere. An event is handed on as soon as its last byte is there, never copied twice, and held only
up to `MAX_EVENT_BYTES`; a longer one is dropped and counted.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Protocol

Sink = Callable[[bytes, str], None]
"""Takes an event's data and its name (empty where it has none)."""

MAX_EVENT_BYTES = 32 * 2**20
"""Longest event that is held. Less would lose the usage of answers that repeat their images in the last event; more
would let one broken stream eat the app's memory."""

MAX_NAMES = 256
"""Event names (AWS: headers) that are remembered as text. A provider has some dozens; a stream of ever new names must
not fill us."""


class Framer(Protocol):
    """Cuts a stream of decoded bytes into events."""

    dropped: int  # events that were too long, or not readable

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""

    def end(self) -> None:
        """The stream is over: what remains is an event without its last newline."""


class _Held:
    """Bytes of an event that is not complete yet."""

    __slots__ = ("_pieces", "is_over", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.is_over = False  # too long: nothing of it is kept

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > MAX_EVENT_BYTES:
            self._pieces.clear()
            self.is_over = True
        elif piece:
            self._pieces.append(piece)

    def take(self) -> bytes:
        """All that was held; holds nothing afterwards."""
        joined = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self.size, self.is_over = [], 0, False
        return joined


_BOM = b"\xef\xbb\xbf"


class ServerSentEvents:
    """`text/event-stream`. Source: WHATWG HTML, "Interpreting an event stream"; a last event without an end counts."""

    __slots__ = (
        "_after_cr",
        "_after_newline",
        "_held",
        "_is_between",
        "_is_start",
        "_line",
        "_names",
        "_sink",
        "dropped",
    )

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = _Held()
        self._line = b""  # a first line that came by itself, as to those who read line by line
        self._is_start = True
        self._after_cr = False  # the last byte was a CR: a LF that follows belongs to it
        self._after_newline = False  # what is held ends with a newline: another one ends the event
        self._is_between = False  # nothing is pending: the next byte begins an event
        self._names: dict[bytes, str] = {}  # whole lines, as in "event: ping"
        self.dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""
        if self._is_between and b"\r" not in chunk:  # by far most chunks are one event
            newline, size = chunk.find(b"\n"), len(chunk)
            if newline == size - 2 and chunk.startswith(b"data: ") and chunk.endswith(b"\n\n"):
                self._sink(chunk[6:-2], "")
                return
            if newline == size - 1 > 0:
                self._line = chunk
                self._is_between = False
                return
            if chunk.find(b"\n", newline + 1) == size - 2 > newline and chunk.endswith(b"\n\n"):
                name = self._names.get(chunk[:newline])
                if name is not None and chunk.startswith(b"data: ", newline + 1):
                    self._sink(chunk[newline + 7 : -2], name)
                else:
                    self._event(chunk[:-2])
                return
        elif self._line:
            line, self._line = self._line, b""
            if chunk == b"\n":
                self._is_between = True
                self._event(line[:-1])
                return
            is_named = line.startswith(b"event: ") and line.count(b"\n") == 1
            if is_named and b"\r" not in chunk and chunk.find(b"\n") == len(chunk) - 1:
                self._line = line + chunk
                return
            chunk = line + chunk
        self._cut(chunk)

    def _cut(self, chunk: bytes) -> None:
        """Bytes of any form."""
        if self._is_start:
            chunk = self._without_bom(chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_newlines(chunk)
        if not chunk:
            return
        held = self._held
        if held.size and self._after_newline and chunk[0] == 10:
            self._after_newline = False
            self._complete(held)
            chunk = chunk[1:]
        end = chunk.rfind(b"\n\n")
        if end >= 0:
            events = chunk[:end].split(b"\n\n")
            if held.size:
                held.add(events[0])
                self._complete(held)
                del events[0]
            for event in events:
                self._event(event)
            chunk = chunk[end + 2 :]
        if chunk:
            held.add(chunk)
            self._after_newline = chunk[-1] == 10
        self._is_between = not (held.size or self._after_cr or self._is_start)

    def end(self) -> None:
        """The stream is over."""
        if self._line:
            line, self._line = self._line, b""
            self._cut(line)
        if self._held.size:
            self._complete(self._held)

    def _without_bom(self, chunk: bytes) -> bytes:
        start = self._held.take() + chunk
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._held.add(start)
            return b""
        self._is_start = False
        return start[len(_BOM) :] if start.startswith(_BOM) else start

    def _with_newlines(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        elif not chunk:
            return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _complete(self, held: _Held) -> None:
        is_over, event = held.is_over, held.take()
        if is_over:
            self.dropped += 1
        else:
            self._event(event)

    def _event(self, event: bytes) -> None:
        if event.startswith(b"data: ") and b"\n" not in event:
            self._sink(event[6:], "")
            return
        if event.startswith(b"event: "):
            line = event.find(b"\n")
            if event.startswith(b"data: ", line + 1) and event.find(b"\n", line + 7) < 0 and line > 0:
                self._sink(event[line + 7 :], self._name(event[:line]))
                return
        self._lines(event)

    def _lines(self, event: bytes) -> None:
        data: list[bytes] = []
        name = b""
        for line in event.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value
        if data:
            self._sink(b"\n".join(data), self._name(b"event: " + name) if name else "")

    def _name(self, line: bytes) -> str:
        known = self._names.get(line)
        if known is None:
            known = line[len(b"event: ") :].decode("utf-8", "replace")
            if len(self._names) < MAX_NAMES:
                self._names[line] = known
        return known


class JsonLines:
    """One JSON value per line."""

    __slots__ = ("_held", "_sink", "dropped")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = _Held()
        self.dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""
        end = chunk.rfind(b"\n")
        if end >= 0:
            for line in chunk[:end].split(b"\n"):
                if self._held.size:
                    self._held.add(line)
                    self.end()
                else:
                    self._line(line)
            chunk = chunk[end + 1 :]
        self._held.add(chunk)

    def end(self) -> None:
        """The stream is over."""
        is_over, line = self._held.is_over, self._held.take()
        if is_over:
            self.dropped += 1
        else:
            self._line(line)

    def _line(self, line: bytes) -> None:
        line = line.strip()
        if line.startswith(_BOM):
            line = line[len(_BOM) :]
        if line:
            self._sink(line, "")


_MARK = re.compile(rb'["\\{}\[\]]')
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_OPEN = frozenset(b"{[")


class JsonArray:
    """The elements of one JSON array, as Gemini streams without `alt=sse`."""

    __slots__ = ("_depth", "_held", "_in_text", "_sink", "_skip", "dropped")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = _Held()
        self._depth = 0  # 1: between the elements
        self._in_text = False
        self._skip = False  # the next byte is escaped
        self.dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""
        start = 0 if self._depth > 1 else -1  # where the current element begins in this chunk
        begin = 1 if self._skip and chunk else 0
        if chunk:
            self._skip = False
        while (found := _MARK.search(chunk, begin)) is not None:
            place = found.start()
            begin = place + 1
            mark = chunk[place]
            if mark == _QUOTE:
                self._in_text = not self._in_text
            elif self._in_text:
                if mark == _BACKSLASH:
                    self._skip = begin == len(chunk)
                    begin += 1
            elif mark in _OPEN:
                self._depth += 1
                if self._depth == 2:
                    start = place
            elif mark != _BACKSLASH:
                self._depth -= 1
                if self._depth == 1:
                    self._element(chunk[start:begin])
                    start = -1
        if start >= 0:
            self._held.add(chunk[start:])

    def _element(self, last: bytes) -> None:
        self._held.add(last)
        is_over, element = self._held.is_over, self._held.take()
        if is_over:
            self.dropped += 1
        else:
            self._sink(element, "")

    def end(self) -> None:
        """The stream is over: an element that was not closed is no JSON."""
        if self._held.size:
            self._held.take()
            self.dropped += 1


_PRELUDE_BYTES, _CRC_BYTES = 12, 4
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
        self._held = _Held()
        self._wanted = _PRELUDE_BYTES
        self._is_broken = False
        self._names: dict[bytes, str] = {}
        self.dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""
        if self._is_broken:
            return
        self._held.add(chunk)
        if self._held.size < self._wanted:
            return
        data = self._held.take()
        begin = 0
        while len(data) - begin >= _PRELUDE_BYTES:
            total = int.from_bytes(data[begin : begin + 4], "big")
            check = int.from_bytes(data[begin + 8 : begin + 12], "big")
            if not _PRELUDE_BYTES + _CRC_BYTES <= total <= MAX_EVENT_BYTES or (
                zlib.crc32(data[begin : begin + 8]) != check
            ):
                self._is_broken = True
                self.dropped += 1
                return
            if len(data) - begin < total:
                break
            self._frame(data[begin : begin + total])
            begin += total
        rest = data[begin:]
        self._wanted = int.from_bytes(rest[:4], "big") if len(rest) >= _PRELUDE_BYTES else _PRELUDE_BYTES
        self._held.add(rest)

    def end(self) -> None:
        """The stream is over: half a frame is none."""
        if self._held.size:
            self._held.take()
            self.dropped += 1

    def _frame(self, frame: bytes) -> None:
        payload = _PRELUDE_BYTES + int.from_bytes(frame[4:8], "big")
        if payload > len(frame) - _CRC_BYTES:
            self.dropped += 1
            return
        headers = frame[_PRELUDE_BYTES:payload]
        name = self._names.get(headers)
        if name is None:
            name = _aws_name(headers)
            if len(self._names) < MAX_NAMES:
                self._names[headers] = name  # all events of one type have the same headers
        self._sink(frame[payload:-_CRC_BYTES], name)


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


FRAMERS: dict[str, Callable[[Sink], Framer]] = {
    "sse": ServerSentEvents,
    "ndjson": JsonLines,
    "json-array": JsonArray,
    "aws-eventstream": AwsEvents,
}
"""Framings by name."""
