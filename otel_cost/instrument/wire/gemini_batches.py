"""Gemini's batch mode: jobs, their inlined answers, and files of answers.

Source: Gemini API reference, "Batch API". A finished job repeats its answers on every look, so each counts once; an
answer without an id of its own is named by its job and place. Vertex AI writes answers to the user's own storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.gemini import GOOGLE, failed, part_of
from otel_cost.instrument.wire.google_url import place_of, provider_at
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import mapping, name, objects, text, whole
from otel_cost.normalise.vocabulary import GEMINI, VERTEX

MAX_ITEMS = 100_000
"""Answers of one file that are counted. More would hold a gigabyte of parts; Google allows 200,000 requests a job."""

_KEYS = ("key", "custom_id")
_BILLED_AS = {"counts_as": "generate_content"}


def _ask(request: Request, provider: str) -> Asked:
    place = place_of(request.url)
    body = json_body(request) if request.method == "POST" else None
    model = place.model if place.action.startswith(("batch", "async")) else text(mapping(body).get("model"))
    return Asked(API, provider_at(place, provider), "batch", request, model=model, body=body, context=place.context)


def _answers(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Inlined answers of a job, wherever it has them."""
    metadata = mapping(job.get("metadata"))
    for place in (
        job.get("response"),
        job.get("output"),
        metadata.get("output"),
        job.get("dest"),
        metadata.get("dest"),
    ):
        for key in ("inlinedResponses", "inlinedEmbedContentResponses"):
            found = mapping(place).get(key)
            nested = found.get("inlinedResponses") if isinstance(found, Mapping) else found
            if nested:
                return objects(nested)
    return []


def _item(entry: Mapping[str, Any], model: str | None, provider: str, fallback_id: str) -> Part | None:
    """One answer of a job or a line of its file; None for one without an answer."""
    response = entry.get("response")
    key = next(
        filter(None, (name(at.get(key)) for at in (entry, mapping(entry.get("metadata"))) for key in _KEYS)), None
    )
    if not response and "error" not in entry:
        return None
    part = part_of(response if response else entry, model, provider, key)
    if not part.usage and part.error_type is None:
        tokens = whole(mapping(response).get("tokenCount"))  # of embeddings
        part = part._replace(usage={} if tokens is None else {"input_tokens": tokens})
    return part if part.response_id else part._replace(response_id=fallback_id)


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return failed(asked, head, body)
    job = mapping(body)
    metadata = mapping(job.get("metadata"))
    identity = text(metadata.get("name")) or text(job.get("name"))
    model = text(metadata.get("model")) or text(job.get("model")) or asked.model
    state = text(metadata.get("state")) or text(job.get("state"))
    short = model.removeprefix("models/") if model else None
    found = (
        _item(entry, short, asked.provider, f"{identity or asked.request.url}/{place}")
        for place, entry in enumerate(_answers(job)[:MAX_ITEMS])
    )
    parts = tuple(part for part in found if part is not None)
    return answers.answer(asked)._replace(
        response_id=identity,
        is_billable=False,
        counts_once=bool(parts),
        parts=parts,
        extra={**({"batch_status": state} if state else {}), **(_BILLED_AS if parts else {})},
    )


class _Lines:
    """Reads a file of answers, line by line: what is kept of each is what is billed."""

    is_done = False
    has_content = False

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked
        self._parts: list[Part] = []
        self._lines = 0

    def feed(self, data: bytes, name: str) -> None:
        """One line."""
        del name
        self._lines += 1
        entry = mapping(answers.json_or_none(data))
        if len(self._parts) < MAX_ITEMS and entry:
            fallback = f"{self._asked.request.url.partition('?')[0]}/{self._lines}"
            part = _item(entry, text(entry.get("model")), self._asked.provider, fallback)
            if part is not None and (part.usage or part.error_type):
                self._parts.append(part)

    def reading(self) -> Reading:
        """What the file said so far."""
        base = answers.bookkeeping(self._asked)
        if not self._parts:
            return base
        return base._replace(operation="batch", counts_once=True, parts=tuple(self._parts), extra=_BILLED_AS)


def _ask_file(request: Request, provider: str) -> Asked:
    return Asked(FILES, provider or GEMINI, "batch", request)


def _file(asked: Asked, head: Head, body: Any) -> Reading:
    """A file that is no list of answers, or an error."""
    return failed(asked, head, body) if head.status >= 400 else answers.bookkeeping(asked)


API = Api("gemini.batches", _ask, _whole, answers.NoEvents)
FILES = Api("gemini.files", _ask_file, _file, _Lines, framing="ndjson")

ROUTES = (
    *(
        Route(f"{{model}}:{action}", API, providers=GOOGLE, provider=GEMINI, shape=answers.always)
        for action in ("batchGenerateContent", "asyncBatchEmbedContent")
    ),
    Route("batches/{id}", API, methods=("GET",), providers=frozenset({GEMINI}), provider=GEMINI),
    Route("batches", API, methods=("GET",), providers=frozenset({GEMINI}), provider=GEMINI),
    Route("batchPredictionJobs", API, methods=("POST", "GET"), providers=frozenset({VERTEX}), provider=VERTEX),
    Route("batchPredictionJobs/{id}", API, methods=("GET",), providers=frozenset({VERTEX}), provider=VERTEX),
    Route("files/{id}:download", FILES, methods=("GET",), providers=frozenset({GEMINI}), provider=GEMINI),
)
