"""Recorded exchanges: one HTTP request and its answer as JSON, read as the instrumentation reads the live ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from otel_cost.instrument.wire.body import BodyReader
from otel_cost.instrument.wire.detect import asked
from otel_cost.instrument.wire.forms import form_fields
from otel_cost.instrument.wire.hosts import provider_of_url
from otel_cost.instrument.wire.types import Head, Part, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, mapping, text, whole
from otel_cost.pricing import units as u
from otel_cost.pricing.money import PICO_PER_USD

_TOKENS = {
    "input_tokens": u.INPUT,
    "output_tokens": u.OUTPUT,
    "cache_read": u.CACHE_READ,
    "cache_creation": u.CACHE_WRITE,
    "cache_creation_5m": u.CACHE_WRITE_5M,
    "cache_creation_1h": u.CACHE_WRITE_1H,
    "reasoning": u.REASONING,
}
_SOUNDS = {"audio_in": "input_audio_tokens", "audio_out": "output_audio_tokens"}
_EXTRA_UNITS = {
    "image_tokens_in": "input_image_tokens",
    "image_tokens_out": "output_image_tokens",
    "video_tokens_in": "input_video_tokens",
    "video_tokens_out": "output_video_tokens",
    "tool_use_prompt_tokens": u.TOOL,
    "input_characters": "input_characters",
}
_EXTRA_SECONDS = {"audio_seconds": ("audio_seconds", "input_audio_seconds", "output_audio_seconds")}
_EXTRA_CONTEXT = ("inference_geo", "speed")
_EXTRA_SAID = frozenset(
    [
        "anomaly",
        "audio_seconds",
        "batch_status",
        "billable",
        "billed_units",
        "cached_content_tokens",
        "code_interpreter_calls",
        "cost_in_usd_ticks",
        "counted_tokens",
        "document_tokens_in",
        "error",
        "file_search_calls",
        "inference_geo",
        "input_characters",
        "is_byok",
        "iterations",
        "iterations_total",
        "kind",
        "reported_cost_details",
        "run_usage",
        "status",
        "tool_use_prompt_tokens",
        "traffic_type",
        "usage_breakdown",
        "web_fetch_requests",
        "web_search_calls",
        "web_search_requests",
    ]
)
"""Names of `Reading.extra` that are told; its others are for the spans."""


def request_of(exchange: Mapping[str, Any]) -> Request:
    """The request of an exchange. A JSON body is written as bytes; a multipart text also as its fields."""
    said = mapping(exchange.get("request"))
    headers = _headers(said)
    body = said.get("body")
    sent = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else None
    if sent is None and body is not None:
        sent = json.dumps(body).encode()
    form = form_fields(headers.get("content-type", ""), sent) if sent else None
    method, url = said.get("method"), said.get("url")
    return Request(str(method or "GET").upper(), url if isinstance(url, str) else "", headers, sent, form)


def _headers(said: Mapping[str, Any]) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in mapping(said.get("headers")).items()}


def head_of(exchange: Mapping[str, Any]) -> Head:
    """Status and headers of the answer."""
    said = mapping(exchange.get("response"))
    return Head(whole(said.get("status")) or 0, _headers(said))


def chunks_of(exchange: Mapping[str, Any]) -> list[bytes]:
    """The body of the answer, as it came: one chunk, or those of the stream."""
    said = mapping(exchange.get("response"))
    for key, is_list in (("chunks_b64", True), ("body_b64", False), ("chunks", True), ("body", False)):
        value = said.get(key)
        if value is None:
            continue
        pieces = (value if isinstance(value, list) else []) if is_list else [value]
        return [_bytes(piece, key.endswith("b64")) for piece in pieces]
    return []


def _bytes(piece: object, is_base64: bool) -> bytes:
    if not isinstance(piece, str):
        return json.dumps(piece).encode()
    if not is_base64:
        return piece.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(piece)
    except ValueError:
        return b""


def read_exchange(
    exchange: Mapping[str, Any], *, chunks: Iterable[bytes] | None = None, hosts: Mapping[str, str] = NOTHING
) -> dict[str, Any]:
    """What a recorded exchange says, in plain JSON (docs/instrumentation.md, "Reading recorded exchanges").

    `chunks`: the body in other chunks than the recorded ones; `hosts`: host -> provider of hosts of the user's own.
    Never raises for any JSON: what cannot be read is null.
    """
    request = request_of(exchange)
    wanted = asked(request, hosts)
    if wanted is None:
        return _told(Reading(operation=None, provider=provider_of_url(request.url) or "", is_billable=False), 0)
    head = head_of(exchange)
    reader = BodyReader(wanted, head)
    for chunk in chunks_of(exchange) if chunks is None else chunks:
        reader.feed(chunk)
    reader.end()
    return _told(reader.reading(), head.status)


def _told(reading: Reading, status: int) -> dict[str, Any]:
    usage = reading.usage
    return {
        "operation": reading.operation,
        "provider": reading.provider or None,
        "request_model": reading.request_model,
        "response_model": reading.response_model,
        "stream": reading.is_stream,
        "usage_reported": is_usage_reported(reading),
        **{key: usage.get(unit) for key, unit in (*_TOKENS.items(), *_SOUNDS.items())},
        "images": reading.images,
        "finish_reasons": None if reading.finish_reasons is None else list(reading.finish_reasons),
        "response_id": reading.response_id,
        "error_type": reading.error_type,
        "service_tier": reading.service_tier,
        "extra": _extra(reading, status),
    }


def is_usage_reported(reading: Reading) -> bool:
    """Whether the provider reported usage: tokens, or what the reader says that it reported instead of tokens."""
    said = reading.extra.get("usage_reported")
    return said if isinstance(said, bool) else any(unit.endswith("_tokens") for unit in reading.usage)


def _extra(reading: Reading, status: int) -> dict[str, Any]:
    extra: dict[str, Any] = {"billable": reading.is_billable}
    is_image = (reading.operation or "").startswith("image_")
    for key, unit in _EXTRA_UNITS.items():
        if reading.usage.get(unit, 0) > 0 or (is_image and unit in reading.usage):
            extra[key] = reading.usage[unit]
    for key, seconds in _EXTRA_SECONDS.items():
        found = [reading.usage[unit] for unit in seconds if unit in reading.usage]
        if found:
            extra[key] = found[0] / u.MICRO
    extra |= {key: reading.context[key] for key in _EXTRA_CONTEXT if key in reading.context}
    if reading.status is not None:
        extra["status"] = reading.status
    if reading.reported_cost_pico_usd is not None:
        extra["reported_cost_usd"] = float(Decimal(reading.reported_cost_pico_usd) / PICO_PER_USD)
    if status >= 400:
        extra["http_status"] = status
    extra |= _parts(reading)
    return extra | {key: value for key, value in reading.extra.items() if key in _EXTRA_SAID}


def _parts(reading: Reading) -> dict[str, Any]:
    if not reading.parts or reading.operation is None:
        return {}
    if reading.operation == "batch":
        return {"batch_items": [_item(part) for part in reading.parts]}
    if all("type" in part.extra for part in reading.parts):
        steps = [
            {"type": part.extra["type"], "model": part.model}
            | {key: part.usage.get(unit) for key, unit in _TOKENS.items()}
            for part in reading.parts
        ]
        for step in steps:
            del step["reasoning"]
        totals = ("input_tokens", "output_tokens", "cache_read", "cache_creation")
        return {"iterations": steps, "iterations_total": {key: sum(step[key] or 0 for step in steps) for key in totals}}
    return {}


def _item(part: Part) -> dict[str, Any]:
    item: dict[str, Any] = {key: part.usage[unit] for key, unit in _TOKENS.items() if unit in part.usage}
    item |= {key: part.usage[unit] for key, unit in _SOUNDS.items() if part.usage.get(unit)}
    said = {
        "service_tier": part.service_tier,
        "custom_id": text(part.extra.get("custom_id")),
        "response_id": part.response_id,
        "response_model": part.model,
        "finish_reasons": None if part.finish_reasons is None else list(part.finish_reasons),
        "error_type": part.error_type,
    }
    item |= {key: value for key, value in said.items() if value is not None}
    extra = {key: value for key, value in part.extra.items() if key in _EXTRA_SAID}
    if part.reported_cost_pico_usd is not None:
        extra["reported_cost_usd"] = float(Decimal(part.reported_cost_pico_usd) / PICO_PER_USD)
    return item | ({"extra": extra} if extra else {})
