"""Replicate's predictions: time on a GPU, or tokens and images, that a run was billed for.

Source: Replicate's HTTP API, "predictions", and its billing page. A prediction is created, then looked at until it has
ended; its metrics are told at the end, so each counts once. With `Prefer: wait` they are told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire import answers
from otel_cost.instrument.wire.asking import json_body, model_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import mapping, micros, put, text, whole

REPLICATE = "replicate"
OPERATION = "generate_content"
_METRICS = (
    ("input_token_count", "input_tokens"),
    ("token_input_count", "input_tokens"),
    ("output_token_count", "output_tokens"),
    ("token_output_count", "output_tokens"),
    ("image_count", "output_images"),
    ("image_output_count", "output_images"),
)
_ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})


def _ask(request: Request, provider: str) -> Asked:
    path = request.url.partition("?")[0].rstrip("/")
    body = json_body(request) if request.method == "POST" else None
    owner = path.partition("/models/")[2].removesuffix("/predictions") if "/models/" in path else None
    is_call = request.method == "POST" and path.endswith("/predictions")
    return Asked(
        API,
        provider or REPLICATE,
        OPERATION if is_call else None,
        request,
        model=text(owner) or (model_of(request, body) if is_call else None) or text(mapping(body).get("version")),
        body=body,
    )


def _usage(metrics: Mapping[str, Any]) -> dict[str, int]:
    usage: dict[str, int] = {}
    for metric, unit in _METRICS:
        if metric in metrics:
            put(usage, unit, metrics[metric])
    seconds = micros(metrics.get("predict_time"))
    if seconds is not None:
        usage["gpu_seconds"] = seconds
    video = micros(metrics.get("video_output_duration_seconds"))
    if video is not None:
        usage["output_video_seconds"] = video
    return usage


def _whole(asked: Asked, head: Head, body: Any) -> Reading:
    if head.status >= 400:
        return answers.failed(asked, head, body)
    said = mapping(body)
    is_call = asked.operation is not None
    usage = _usage(mapping(said.get("metrics")))
    status = text(said.get("status"))
    is_once = not is_call and bool(usage) and status in _ENDED
    pictures = whole(usage.get("output_images"))
    return answers.answer(asked)._replace(
        response_model=text(said.get("model")),
        response_id=text(said.get("id")),
        usage=usage if is_call or is_once else {},
        images=pictures or None,
        error_type="failed" if status == "failed" and is_call else None,
        is_billable=is_call,
        counts_once=is_once,
        status=status,
        extra={"usage_reported": bool(usage), **({"counts_as": OPERATION} if is_once else {})},
    )


API = Api(REPLICATE, _ask, _whole, answers.NoEvents)
_HOSTS = frozenset({REPLICATE})

ROUTES = (
    Route("predictions", API, providers=_HOSTS, provider=REPLICATE, shape=answers.never),
    Route("predictions/{id}", API, methods=("GET",), providers=_HOSTS, provider=REPLICATE, shape=answers.never),
)
