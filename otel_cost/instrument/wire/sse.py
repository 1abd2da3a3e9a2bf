"""Server-sent events, cut out of a stream of bytes."""

from __future__ import annotations

from otel_cost.instrument.wire.held import BOM, MAX_NAMES, Held, Sink, Skim

UNNAMED = "message"
"""What an event without a name is called; some proxies write it out."""


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
        "_skim",
        "dropped",
    )

    def __init__(self, sink: Sink, skim: Skim | None = None) -> None:
        self._sink = sink
        self._skim = skim
        self._held = Held()
        self._line = b""  # a first line that came by itself, as to those who read line by line
        self._is_start = True
        self._after_cr = False  # the last byte was a CR: a LF that follows belongs to it
        self._after_newline = False  # what is held ends with a newline: another one ends the event
        self._is_between = False  # nothing is pending: the next byte begins an event
        self._names: dict[bytes, str] = {}  # whole lines, as in "event: ping"
        self.dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""
        if self._is_between and b"\r" not in chunk:  # by far most chunks are whole events
            if self._skim is not None and chunk.endswith(b"\n\n") and self._skim(chunk):
                return
            newline, size = chunk.find(b"\n"), len(chunk)
            if newline == size - 2 and chunk[-1] == 10 and chunk[:6] == b"data: ":
                self._sink(chunk[6:newline], "")
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
        if len(start) < len(BOM) and BOM.startswith(start):
            self._held.add(start)
            return b""
        self._is_start = False
        return start[len(BOM) :] if start.startswith(BOM) else start

    def _with_newlines(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        elif not chunk:
            return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _complete(self, held: Held) -> None:
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
            known = "" if known == UNNAMED else known
            if len(self._names) < MAX_NAMES:
                self._names[line] = known
        return known
