"""A request and its answer, as the tests of readers write them down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.types import Head, Reading, Request

OPENAI = "https://api.openai.com/v1/"


def request(path: str, body: object = None, *, method: str = "", host: str = OPENAI, form: Any = None) -> Request:
    """A request to `host` + `path`; POST where it has a body."""
    sent = None if body is None else json.dumps(body).encode()
    is_post = sent is not None or form is not None
    return Request(method or ("POST" if is_post else "GET"), host + path, {}, sent, form)


def read(sent: Request, answer: object, *, status: int = 200, content_type: str = "application/json") -> Reading:
    """What an answer says: JSON, or bytes as they are."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read_chunks(sent, [body], status=status, content_type=content_type)


def read_events(sent: Request, events: Iterable[Mapping[str, Any]], *, is_named: bool = True) -> Reading:
    """What a stream of server-sent events says, each named by its `type`."""
    chunks = []
    for event in events:
        name = f"event: {event['type']}\n" if is_named and "type" in event else ""
        chunks.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    return read_chunks(sent, chunks, content_type="text/event-stream")


def read_chunks(sent: Request, chunks: Iterable[bytes], *, status: int = 200, content_type: str = "") -> Reading:
    """What a body says that comes in chunks."""
    wanted = asked(sent)
    assert wanted is not None, sent.url
    reader = body_reader(wanted, Head(status, {"content-type": content_type}))
    for chunk in chunks:
        reader.feed(chunk)
    reader.end()
    return reader.reading()
