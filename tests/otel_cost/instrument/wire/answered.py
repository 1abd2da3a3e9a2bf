"""Answers of an API as its reader reads them: a request, what came back, the reading."""

from __future__ import annotations

import json
from typing import Any

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request

GEMINI = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google"


def wanted(url: str, body: object = None, method: str = "POST") -> Asked:
    sent = None if body is None else json.dumps(body).encode()
    found = asked(Request(method, url, {"content-type": "application/json"}, sent))
    assert found is not None
    return found


def read(
    url: str,
    answer: object,
    body: object = None,
    *,
    method: str = "POST",
    status: int = 200,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Reading:
    """The reading of an answer: JSON, or the text of a stream."""
    reader = body_reader(wanted(url, body, method), Head(status, {"content-type": kind, **(headers or {})}))
    reader.feed(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())
    reader.end()
    return reader.reading()


def sse(*events: object) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def gemini(metadata: dict[str, Any] | None = None, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [candidate], "usageMetadata": metadata or {"promptTokenCount": 1, "candidatesTokenCount": 2}}
