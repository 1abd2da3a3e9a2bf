"""Batches: their results are the model calls, each billed at batch rates; making and polling a batch is bookkeeping.

OpenAI, Azure, Groq, Together and others give the results as a file of JSON lines, each with the body that the call
would have had by itself; x.ai lists them as JSON. Any file can be downloaded: what is no result is passed over.
Source: OpenAI's API reference, "Batch" (request output object), x.ai's "Batch API".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_cost.instrument.wire.answers import bookkeeping
from otel_cost.instrument.wire.openai_chat import reading_of
from otel_cost.instrument.wire.openai_images import read_images
from otel_cost.instrument.wire.openai_responses import read_response
from otel_cost.instrument.wire.openai_units import failed, parsed
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, at, items, mapping, objects, text
from otel_cost.normalise.vocabulary import XAI

MAX_RESULTS = 200_000
"""Results that are taken from one file. OpenAI's batches have up to 50,000 requests; a file of more than these lines is
something else, and would fill the app's memory."""

_BATCH = {"processing": "batch"}
"""What makes a call's price that of a batch, whatever tier the answer itself names."""

_OK = Head(200, NOTHING)


def ask(request: Request, provider: str) -> Asked:
    """What a request about batches asks for."""
    return Asked(api=BATCHES, provider=provider, operation="batch", request=request)


def ask_file(request: Request, provider: str) -> Asked:
    """A download: only its content says whether it holds results."""
    return Asked(api=FILES, provider=provider, operation=None, request=request)


def whole_batch(asked: Asked, head: Head, body: Any) -> Reading:
    """A batch as it stands, or x.ai's page of its results."""
    error = failed(asked, head, body)
    if error is not None:
        return error
    said = mapping(body)
    state = text(said.get("status"))
    told = bookkeeping(asked)._replace(
        operation="batch",
        response_id=text(said.get("id")) or text(said.get("batch_id")),
        extra=NOTHING if state is None else {"batch_status": state},
    )
    parts = tuple(
        part
        for result in objects(said.get("results"))
        for answer in mapping(at(result, "batch_result", "response")).values()
        if (part := part_of(asked, mapping(answer), result.get("batch_request_id"))) is not None
    )
    return _with_parts(told, parts)


def _with_parts(told: Reading, parts: tuple[Part, ...]) -> Reading:
    if not parts:
        return told
    return told._replace(
        operation="batch", counts_once=True, parts=parts, extra={**told.extra, "usage_reported": False}
    )


def part_of(asked: Asked, body: Mapping[str, Any], custom_id: object, item_id: str | None = None) -> Part | None:
    """One result; None for an answer that reports nothing that could be billed.

    `item_id`: the result's own id, which stands for the answer's where that has none (embeddings).
    """
    operation = _operation(body)
    inner = asked._replace(operation=operation)
    if body.get("object") == "response":
        reading = read_response(inner, body, objects(body.get("output")))
    elif operation == "image_generation":
        reading = read_images(inner, body, len(items(body["data"])))
    else:
        reading = reading_of(inner, _OK, body, is_stream=False)
    if not reading.usage and reading.reported_cost_pico_usd is None:
        return None
    extra: dict[str, Any] = {"custom_id": text(custom_id), "counts_as": operation}
    if "cost_in_usd_ticks" in reading.extra:
        extra["cost_in_usd_ticks"] = reading.extra["cost_in_usd_ticks"]
    if item_id is not None and reading.response_id is None:
        extra["item_id"] = item_id
    return Part(
        model=reading.response_model,
        usage=reading.usage,
        response_id=reading.response_id,
        context={**reading.context, **_BATCH},
        reported_cost_pico_usd=reading.reported_cost_pico_usd,
        error_type=reading.error_type,
        extra=extra,
    )


def _operation(body: Mapping[str, Any]) -> str:
    """What kind of call an answer answers; nothing else says it."""
    kind = body.get("object")
    if kind == "list":
        return "embeddings"
    if kind == "text_completion":
        return "text_completion"
    return "image_generation" if kind is None and "created" in body and "data" in body else "chat"


def whole_file(asked: Asked, head: Head, body: Any) -> Reading:
    """A download that came in one piece."""
    error = failed(asked, head, body)
    if error is not None:
        return error
    events = Results(asked, head)
    for line in _lines(body):
        events.feed(line, "")
    return events.reading()


def _lines(body: Any) -> Iterator[bytes]:
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    return iter(body.split(b"\n") if isinstance(body, bytes) else ())


class Results:
    """Reads the lines of a file; after a first line that is no result, it only looks on."""

    __slots__ = ("_asked", "_is_other", "_parts", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._is_other = False
        self._parts: list[Part] = []
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One line."""
        self.has_content = True
        if self._is_other or len(self._parts) >= MAX_RESULTS:
            return
        if b'"custom_id"' not in data or b'"response"' not in data:
            self._is_other = not self._parts and bool(data.strip())
            return
        line = parsed(data)
        response = mapping(line.get("response"))
        part = part_of(self._asked, mapping(response.get("body")), line.get("custom_id"), text(line.get("id")))
        if part is not None:
            self._parts.append(part)

    def reading(self) -> Reading:
        """What the lines said so far."""
        return _with_parts(bookkeeping(self._asked), tuple(self._parts))


BATCHES = Api("openai.batches", ask, whole_batch, Results)
FILES = Api("openai.files", ask_file, whole_file, Results, framing="ndjson")


def _is_openai_file(request: Request) -> bool:
    return "/files/file-" in request.url


def _is_openai_batch(request: Request) -> bool:
    return "/batches/batch_" in request.url


ROUTES = (
    Route(
        "batches", BATCHES, methods=("POST", "GET"), shape=lambda request: b'"input_file_id"' in (request.body or b"")
    ),
    Route("batches/{id}", BATCHES, methods=("GET",), shape=_is_openai_batch),
    Route("batches/{id}/cancel", BATCHES, shape=_is_openai_batch),
    Route("batches/{id}/results", BATCHES, methods=("GET",), providers=frozenset({XAI})),
    Route("batches/{id}:cancel", BATCHES, providers=frozenset({XAI})),
    Route("files/{id}/content", FILES, methods=("GET",), shape=_is_openai_file),
)
