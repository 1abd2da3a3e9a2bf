"""What readers take from a request: its JSON body, within bounds, and the model that it names."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from otel_cost.instrument.wire.types import Request
from otel_cost.instrument.wire.values import json_of, mapping, text

MAX_PARSED_BYTES = 2**20
"""Longest request body that is parsed. Less would lose what long conversations say of their price; a longer one is
mostly pictures, and parsing it would take the app milliseconds: then only model and stream are looked for."""

_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,256})"')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_EDGE_BYTES = 64 * 2**10
_MODEL_IN_PATH = re.compile(r"/(?:deployments|models|model)/([^/:?]+)")


def json_body(request: Request) -> Any:
    """The parsed JSON body; of a longer one the fields that stand near its beginning or end. None: it has none."""
    body = request.body
    if not body:
        return None
    if len(body) > MAX_PARSED_BYTES:
        return _edges(body)
    try:
        return json_of(body)
    except (ValueError, RecursionError):
        return None


def _edges(body: bytes) -> dict[str, Any]:
    ends = (body[:_EDGE_BYTES], body[-_EDGE_BYTES:])
    found: dict[str, Any] = {}
    model = next((match for match in map(_MODEL.search, ends) if match), None)
    if model:
        found["model"] = model.group(1).decode("utf-8", "replace")
    if any(map(_STREAM.search, ends)):
        found["stream"] = True
    if any(map(_USAGE.search, ends)):
        found["stream_options"] = {"include_usage": True}
    return found


def model_of(request: Request, body: Any) -> str | None:
    """The model that a request names: in its body, its form or its path (a deployment's name)."""
    named = text(mapping(body).get("model")) or text((request.form or {}).get("model"))
    if named:
        return named
    in_path = _MODEL_IN_PATH.search(request.url)
    return unquote(in_path.group(1)) if in_path else None
