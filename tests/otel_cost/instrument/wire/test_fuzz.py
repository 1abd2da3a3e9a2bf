"""Whatever an app sends and a server answers: no reader of any API raises, and what is told is JSON."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost.instrument.wire import asked, body_reader, read_exchange
from otel_cost.instrument.wire.detect import MODULES
from otel_cost.instrument.wire.exchange import chunks_of, head_of, request_of
from otel_cost.instrument.wire.types import Head, Request
from otel_cost.pricing.units import MAX_QUANTITY, UNITS
from tests.support.sdk_replay import load, recorded

RECORDED = [load(name) for name in recorded()]
HOSTS = [*sorted({exchange["request"]["url"].split("/")[2] for exchange in RECORDED}), "example.com", "localhost:8000"]
PATHS = sorted({route.path.replace("{", "").replace("}", "") for routes in MODULES for route in routes})
CONTENT_TYPES = [
    *("application/json", "text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream"),
    *("text/plain", "audio/mpeg", "multipart/form-data; boundary=x", ""),
]
WORDS = [
    "url",
    "method",
    "headers",
    "body",
    "status",
    "chunks",
    "chunks_b64",
    "body_b64",
    "usage",
    "model",
    "choices",
    "delta",
    "error",
    "data",
    "id",
    "message",
    "usageMetadata",
    "type",
    "event",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([2**70, -1, "7", ""]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)
REQUESTS = st.builds(
    lambda host, path, method, kind, body: Request(method, f"https://{host}/v1/{path}", {"content-type": kind}, body),
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(CONTENT_TYPES),
    st.none()
    | st.binary(max_size=60)
    | st.just(b'{"model":"m","stream":true}')
    | JSON.map(lambda value: json.dumps({"model": "m", "body": value}).encode()),
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
EVENTS = st.lists(JSON.map(lambda value: f"event: x\ndata: {json.dumps(value)}\n\n".encode()), max_size=4).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(
    REQUESTS, st.sampled_from([200, 204, 400, 500]), st.sampled_from(CONTENT_TYPES), BODIES | EVENTS, st.integers(0, 99)
)
def test_no_request_and_no_answer_raises(request: Request, status: int, kind: str, body: bytes, place: int) -> None:
    """Of every route, known hosts and unknown ones, streams and whole bodies, asked for at any time."""
    wanted = asked(request)
    if wanted is None:
        return
    reader = body_reader(wanted, Head(status, {"content-type": kind}))
    reader.feed(body[:place])
    reader.reading()
    reader.feed(body[place:])
    reader.end()
    reading = reader.reading()
    assert isinstance(reader.is_done, bool)
    assert isinstance(reader.has_content, bool)
    if reading.said is not None:
        assert all(isinstance(text, str) for texts in reading.said() for text in texts)
    for usage in (reading.usage, *(part.usage for part in reading.parts)):
        assert set(usage) <= set(UNITS)
        assert all(type(quantity) is int and 0 <= quantity <= MAX_QUANTITY for quantity in usage.values())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RECORDED), st.data())
def test_no_change_of_a_recorded_answer_raises(exchange: dict[str, Any], data: st.DataObject) -> None:
    """Values of any type where another was; what is told stays plain JSON."""
    changed = copy.deepcopy(exchange)
    body = changed["response"].get("body")
    if isinstance(body, dict):
        replace(body, data)
    else:
        text = b"".join(chunks_of(exchange))
        places = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2).map(sorted))
        text = text[: places[0]] + data.draw(st.binary(max_size=5)) + text[places[1] :]
        changed["response"] = exchange["response"] | {"chunks_b64": [base64.b64encode(text).decode()]}
    json.dumps(read_exchange(changed))


def replace(value: Any, data: st.DataObject) -> None:
    """Put something else somewhere into a JSON value."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(value[key], (dict, list)) or data.draw(st.booleans()):
            value[key] = data.draw(JSON)
            return
        value = value[key]


@given(st.dictionaries(st.sampled_from(["request", "response", "expected"]), JSON))
def test_no_json_raises_as_an_exchange(exchange: dict[str, Any]) -> None:
    json.dumps(read_exchange(exchange))


def test_recorded_requests_are_all_recognised() -> None:
    """Else the tests above would prove nothing: every recorded request has its reader."""
    assert [each["name"] for each in RECORDED if asked(request_of(each)) is None] == []
    assert all(head_of(each).status for each in RECORDED)
