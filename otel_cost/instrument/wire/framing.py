"""Where one event of a stream ends: server-sent events, JSON lines, JSON arrays and AWS event streams.

Chunks may break anywhere. An event is handed on as soon as its last byte is there, never copied twice, and held only
up to `MAX_EVENT_BYTES`; a longer one is dropped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from otel_cost.instrument.wire.aws_events import AwsEvents
from otel_cost.instrument.wire.held import BOM, Framer, Held, Sink
from otel_cost.instrument.wire.sse import ServerSentEvents


class JsonLines:
    """One JSON value per line."""

    __slots__ = ("_held", "_sink", "dropped")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = Held()
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
        if line.startswith(BOM):
            line = line[len(BOM) :]
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
        self._held = Held()
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


FRAMERS: dict[str, Callable[[Sink], Framer]] = {
    "sse": ServerSentEvents,
    "ndjson": JsonLines,
    "json-array": JsonArray,
    "aws-eventstream": AwsEvents,
}
"""Framings by name."""
