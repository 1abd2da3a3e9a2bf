"""Bedrock's `InvokeModel`: a model's own request and answer, whole. Its stream is read by `bedrock_stream`.

Source: Amazon Bedrock API reference, `InvokeModel`, `InvokeModelWithResponseStream`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire.answers import answer, texts_in
from otel_cost.instrument.wire.anthropic_messages import message_reading
from otel_cost.instrument.wire.anthropic_usage import INFERENCE_GEO, SPEED
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.bedrock_converse import guardrail_units
from otel_cost.instrument.wire.bedrock_models import (
    IMAGE,
    IMAGE_EDIT,
    RERANK,
    Told,
    operation_of,
    picture_context,
    searches_of,
    told_by,
)
from otel_cost.instrument.wire.bedrock_request import (
    METRICS,
    at_latency,
    complete,
    counted_by,
    counted_by_headers,
    failed,
    header,
    on_bedrock,
    target_of,
)
from otel_cost.instrument.wire.bedrock_stream import InvokeEvents
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import at, mapping, text
from otel_cost.normalise.vocabulary import BEDROCK

_TEXTS = frozenset({"text", "content", "system", "prompt", "inputText", "message", "query", "documents", "texts"})
_ANSWERS = frozenset({"text", "completion", "generation", "outputText", "thinking", "content"})
_STREAM = "invoke-with-response-stream"


def ask(request: Request, provider: str) -> Asked:
    """The model is in the path, its own request in the body."""
    path = request.url.partition("?")[0].rstrip("/")
    model, context = target_of(request.url)
    body = json_body(request)
    operation = operation_of(model, body)
    if operation in (IMAGE, IMAGE_EDIT):
        context |= picture_context(body)
    context |= {key: value for key in (SPEED, INFERENCE_GEO) if (value := text(at(body, key)))}
    is_stream = path.endswith(_STREAM)
    api = INVOKE_STREAM if is_stream else INVOKE
    return Asked(api, provider, operation, request, model, is_stream, body, context)


def read_whole(asked: Asked, head: Head, body: Any) -> Reading:
    """A model's answer, or an error."""
    if head.status >= 400:
        return failed(asked, head, body)
    return invoked(asked, head, mapping(body), is_stream=asked.is_stream)


def invoked(asked: Asked, head: Head, said: Mapping[str, Any], *, is_stream: bool) -> Reading:
    """What an answer says, whole or the last word of a stream; what the body leaves out its metrics or headers tell."""
    if said.get("type") == "message":
        reading = message_reading(asked, said, is_stream=is_stream)
    else:
        reading = _in_any_shape(asked, told_by(said), said)._replace(is_stream=is_stream)
    usage = dict(reading.usage)
    complete(usage, counted_by(mapping(said.get(METRICS))))
    complete(usage, counted_by_headers(head))
    units = guardrail_units(at(said, "amazon-bedrock-trace", "guardrail"))
    return reading._replace(
        usage=usage,
        service_tier=header(head, "service-tier") or reading.service_tier,
        context=at_latency(reading.context, header(head, "performanceconfig-latency")),
        extra={**reading.extra, "guardrail_units": units} if units else reading.extra,
    )


def _in_any_shape(asked: Asked, told: Told, said: Mapping[str, Any]) -> Reading:
    usage, extra = dict(told.usage), {}
    if told.images is not None:
        usage["output_images"], extra["usage_reported"] = told.images, False
    if asked.operation == RERANK:
        usage["rerank_searches"], extra["usage_reported"] = searches_of(asked.body), False
    return answer(asked)._replace(
        response_model=told.response_model,
        response_id=told.response_id,
        usage=usage,
        images=told.images,
        finish_reasons=told.finish_reasons or None,
        said=lambda: (texts_in(asked.body, _TEXTS), texts_in(said, _ANSWERS)),
        extra=extra,
    )


def _events(asked: Asked, head: Head) -> InvokeEvents:
    return InvokeEvents(asked, head, invoked)


INVOKE = Api("bedrock.invoke", ask, read_whole, _events)
INVOKE_STREAM = Api("bedrock.invoke_stream", ask, read_whole, _events, framing="aws-eventstream")
ROUTES = tuple(
    Route(f"model/{{model}}/{action}", INVOKE, provider=BEDROCK, shape=on_bedrock) for action in ("invoke", _STREAM)
)
"""`ask` says which of both APIs a request is for."""
