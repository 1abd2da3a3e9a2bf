"""Whatever a server sends: readers of OpenAI's APIs never raise, and tell only whole, known quantities."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.exchange import chunks_of, head_of, request_of
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request
from otel_cost.pricing.units import MAX_QUANTITY, UNITS
from tests.support.sdk_replay import load, recorded

from .answers import request

MODULES = (
    "openai/resp",
    "openai/im",
    "openai/tr",
    "openai/sp",
    "openai/mod",
    "openai/as",
    "xai",
    "lmstudio",
    "azure/r",
)
RECORDED = [load(name) for name in recorded(*MODULES)]

REQUESTS = [
    *(request(path, {"model": "m", "stream": True}) for path in ("responses", "responses/compact", "moderations")),
    *(request(path, {"model": "m", "stream": True}) for path in ("images/generations", "images/edits", "threads/runs")),
    *(
        request(path, {"model": "m"})
        for path in ("audio/speech", "audio/transcriptions", "videos", "batches", "realtime")
    ),
    *(request(path) for path in ("responses/resp_1", "files/file-1/content", "batches/batch_1", "videos/video_1")),
    *(request(path) for path in ("threads/thread_1/runs/run_1", "agents/sessions/s/events")),
    *(
        request(path, host="https://api.x.ai/v1/")
        for path in ("batches/b/results", "chat/deferred-completion/1", "videos/1")
    ),
    request("images", {"model": "m"}, host="https://openrouter.ai/api/v1/"),
]

WORDS = [
    *("usage", "input_tokens", "input_tokens_details", "cached_tokens", "output", "type", "response", "data", "object"),
    *("status", "tools", "tool_usage", "web_search", "image_gen", "num_requests", "action", "container_id", "result"),
    *(
        "web_search_call",
        "image_generation_call",
        "code_interpreter_call",
        "shell_call",
        "svg_usage",
        "thread.run",
        "id",
    ),
    *(
        "response.completed",
        "response.created",
        "error",
        "duration",
        "seconds",
        "completed",
        "custom_id",
        "body",
        "turn",
    ),
    *("results", "batch_result", "agent.session.turn", "background", "incomplete_details", "container", "memory_limit"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=6)
    | st.sampled_from([*WORDS, "4g", "g", "1024x1536", "9" * 400, "1e400", "\ud800"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=25,
)


def sane(reading: Reading) -> None:
    """Checks what everyone who uses a reading relies on."""
    for usage in (reading.usage, *(part.usage for part in reading.parts)):
        assert set(usage) <= set(UNITS)
        assert all(type(quantity) is int and 0 <= quantity <= MAX_QUANTITY * 16 for quantity in usage.values())
    for name in (reading.response_id, reading.response_model, reading.error_type, reading.service_tier, reading.status):
        assert name is None or type(name) is str
    assert all(type(value) is str for value in reading.context.values())
    if reading.said is not None:
        assert all(type(text) is str for texts in reading.said() for text in texts)


def run(wanted: Asked | None, head: Head, chunks: list[bytes]) -> None:
    assert wanted is not None
    reader = body_reader(wanted, head)
    for chunk in chunks:
        reader.feed(chunk)
        sane(reader.reading() if reader.is_stream else wanted.api.whole(wanted, head, None))
    reader.end()
    sane(reader.reading())


HEADS = st.builds(
    Head,
    st.sampled_from([200, 202, 400, 500]),
    st.sampled_from(
        [{"content-type": f"{kind}"} for kind in ("application/json", "text/event-stream", "text/plain", "")]
    ),
)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@given(st.sampled_from(REQUESTS), HEADS, JSON)
def test_any_json_is_read(sent: Request, head: Head, body: object) -> None:
    run(asked(sent), head, [encoded(body)])


@given(st.sampled_from(REQUESTS), HEADS, st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_are_read(sent: Request, head: Head, chunks: list[bytes]) -> None:
    run(asked(sent), head, chunks)


@given(
    st.sampled_from(REQUESTS),
    st.lists(st.tuples(st.sampled_from(["", *WORDS, "x.delta", "a.completed"]), JSON), max_size=6),
)
def test_any_events_are_read(sent: Request, events: list[tuple[str, Any]]) -> None:
    chunks = [
        (f"event: {name}\n" if name else "").encode() + b"data: " + encoded(data) + b"\n\n" for name, data in events
    ]
    run(asked(sent), Head(200, {"content-type": "text/event-stream"}), chunks)


@given(st.sampled_from(REQUESTS), JSON)
def test_any_request_is_asked(sent: Request, body: object) -> None:
    for data in (encoded(body), b"{" + encoded(body)):
        wanted = asked(sent._replace(body=data))
        if wanted is not None:
            assert wanted.model is None or type(wanted.model) is str
            run(wanted, Head(200, {}), [b"{}"])


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [place for key, item in value.items() for place in _places(item, (*path, key))]
    if isinstance(value, list):
        return found + [place for index, item in enumerate(value) for place in _places(item, (*path, index))]
    return found


def _damaged(value: Any, chance: random.Random, other: object) -> Any:
    """A copy with another value at one place."""
    value = copy.deepcopy(value)
    places = _places(value)
    if not places:
        return other
    *way, last = chance.choice(places)
    inner = value
    for step in way:
        inner = inner[step]
    inner[last] = other
    return value


@given(st.sampled_from(RECORDED), st.integers(0, 2**32), JSON)
def test_a_recorded_answer_with_something_else_at_one_place_is_read(exchange: Any, seed: int, other: object) -> None:
    chance = random.Random(seed)
    said = exchange["response"]
    if isinstance(said.get("body"), dict):
        chunks = [encoded(_damaged(said["body"], chance, other))]
    else:
        chunks = chunks_of(exchange)
        events = [place for place, chunk in enumerate(chunks) if b"data: {" in chunk and b'"usage"' in chunk]
        if events:
            place = chance.choice(events)
            start, _, data = chunks[place].partition(b"data: ")
            end = data.find(b"\n")
            changed = _damaged(json.loads(data if end < 0 else data[:end]), chance, other)
            chunks = [*chunks[:place], start + b"data: " + encoded(changed) + b"\n\n", *chunks[place + 1 :]]
    run(asked(request_of(exchange)), head_of(exchange), chunks)
