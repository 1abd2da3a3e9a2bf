"""The body of an answer, whole or as it comes: it is framed, parsed, and given to the reader of its API."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from otel_cost.instrument.wire.framing import FRAMERS
from otel_cost.instrument.wire.held import Framer
from otel_cost.instrument.wire.hosts import settled
from otel_cost.instrument.wire.sse import ServerSentEvents
from otel_cost.instrument.wire.trim import MIN_BYTES, trimmed
from otel_cost.instrument.wire.types import Asked, EventReader, Head, Reading
from otel_cost.instrument.wire.values import json_of

MAX_BODY_BYTES = 64 * 2**20
"""Largest body that is held to be read at its end. Less would lose answers with several images; more would double the
memory that a download takes."""

_CONTENT_FRAMINGS = {
    "text/event-stream": "sse",
    "application/vnd.amazon.eventstream": "aws-eventstream",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/x-jsonl": "ndjson",
    "application/jsonl": "ndjson",
    "application/json-lines": "ndjson",
    "application/stream+json": "ndjson",
}
_SSE_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BLANKS = b" \t\r\n\xef\xbb\xbf"


def parse(body: bytes, content_type: str) -> Any:
    """The JSON of a body, else its text, else its bytes. Never raises."""
    if not body:
        return None
    start = body[:16].lstrip(_BLANKS)[:1]
    if start in b"{[" or "json" in content_type:
        try:
            return json_of(trimmed(body))
        except (ValueError, RecursionError):
            pass
    if "audio" in content_type or "image" in content_type or "octet-stream" in content_type:
        return body
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


@lru_cache(maxsize=256)
def _content_framing(content_type: str) -> str | None:
    return _CONTENT_FRAMINGS.get(content_type.partition(";")[0].strip().lower())


def is_whole(asked: Asked, head: Head) -> bool:
    """Whether an answer is read at its end, and not as it comes."""
    return _framing(asked, head) is None


def _framing(asked: Asked, head: Head) -> str | None:
    """How the answer is framed; None for a body that is read whole, "" where only its first byte will tell."""
    if head.status >= 400 or head.status == 204:
        return None
    framing = _content_framing(head.headers.get("content-type", ""))
    if framing:
        return framing
    if asked.api.framing:
        return asked.api.framing
    return "" if asked.is_stream else None


def _sniffed(start: bytes) -> str | None:
    """The framing of a stream whose headers say nothing of it, by its first bytes; None while they are too few."""
    if start.startswith(_SSE_STARTS):
        return "sse"
    if not start or any(word.startswith(start) for word in _SSE_STARTS):
        return None
    return "json-array" if start.startswith(b"[") else "ndjson"


def _framer(framing: str, events: EventReader) -> Framer:
    if framing == "sse":
        return ServerSentEvents(events.feed, getattr(events, "skim", None))
    return FRAMERS[framing](events.feed)


class BodyReader:
    """Reads one answer as its decoded bytes come. No method raises for any bytes.

    `feed(decoded_chunk)`: bytes of the body, decompressed, in order.
    """

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._head = head
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole: Reading | None = None
        self._framing = _framing(asked, head)
        self._framer: Framer | None = None
        self.feed: Callable[[bytes], None] = self._take
        self._events: EventReader | None = None
        if self._framing is not None:
            self._events = asked.api.stream(asked, head)
            if self._framing:
                self._framer = _framer(self._framing, self._events)
                self.feed = self._framer.feed

    def _take(self, chunk: bytes) -> None:
        if self._framer is not None:
            self._framer.feed(chunk)
        elif chunk:
            self._hold(chunk)
            if self._framing == "":
                self._sniff()

    def _hold(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._whole = None
        if self._size > MAX_BODY_BYTES:
            self._pieces.clear()
        else:
            self._pieces.append(chunk)

    def _sniff(self) -> None:
        held = b"".join(self._pieces)
        framing = _sniffed(held[:64].lstrip(_BLANKS))
        if framing == "ndjson" and self._head.headers.get("content-type", "").startswith("application/json"):
            self._framing, self._events = None, None  # the server may not stream at all: the end will tell
        elif framing and self._events is not None:
            self._framer = _framer(framing, self._events)
            self.feed = self._framer.feed
            self._pieces.clear()
            self._framer.feed(held)

    def end(self) -> None:
        """There is no more."""
        if self._framer is not None:
            self._framer.end()

    def reading(self) -> Reading:
        """What was read so far; of a body that is no stream, what all that came says."""
        if self._events is not None:
            return settled(self._asked, self._events.reading())
        if self._whole is None:
            body = b"".join(self._pieces)
            self._pieces = [body]
            self._whole = _read(self._asked, self._head, body)
        return settled(self._asked, self._whole)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is read event by event."""
        return self._events is not None

    @property
    def is_done(self) -> bool:
        """Whether the provider said that it was the end."""
        return self._events is not None and self._events.is_done

    @property
    def has_content(self) -> bool:
        """Whether anything of the answer was delivered."""
        return self._events.has_content if self._events is not None else self._size > 0

    @property
    def dropped(self) -> int:
        """Events, or bodies, that were too long to be read."""
        return self._framer.dropped if self._framer is not None else int(self._size > MAX_BODY_BYTES)


def _read(asked: Asked, head: Head, body: bytes) -> Reading:
    """A body that came whole; events in it (under the content type of a JSON body) are still a stream."""
    parsed = parse(body, head.headers.get("content-type", "").lower())
    framing = _sniffed(body[:64].lstrip(_BLANKS)) if isinstance(parsed, str) and head.status < 400 else None
    if framing == "sse" or (framing and asked.is_stream):
        events = asked.api.stream(asked, head)
        framer = _framer(framing, events)
        framer.feed(body)
        framer.end()
        return events.reading()
    return asked.api.whole(asked, head, parsed)


def read_body(asked: Asked, head: Head, body: bytes) -> Reading:
    """What a whole body says, streamed or not."""
    size = len(body)
    if body[:1] == b"{" and size <= MAX_BODY_BYTES and (head[0] >= 400 or not (asked.is_stream or asked.api.framing)):
        try:
            said = json_of(body if size < MIN_BYTES else trimmed(body))
        except (ValueError, RecursionError):
            pass
        else:  # nearly always: one JSON object, and no stream was asked for; headers can say nothing else
            reading = asked.api.whole(asked, head, said)
            return settled(asked, reading) if asked.is_provider_guessed else reading
    if size <= MAX_BODY_BYTES and _framing(asked, head) is None:
        return settled(asked, _read(asked, head, body))
    reader = BodyReader(asked, head)
    reader.feed(body)
    reader.end()
    return reader.reading()
