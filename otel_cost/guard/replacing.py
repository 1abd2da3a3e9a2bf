"""Another model in the same request: in its JSON body, or in its URL, wherever the API names it."""

from __future__ import annotations

import json
from typing import NamedTuple
from urllib.parse import quote, unquote

from otel_cost.instrument.include_usage import SIGNED_BY
from otel_cost.instrument.wire.types import Asked


class Replacement(NamedTuple):
    """What to send instead. `asked` has the other model and body, but the app's own request."""

    asked: Asked
    body: bytes | None  # None: the app's
    url: str | None


def with_model(asked: Asked, model: str) -> Replacement | None:
    """The request with another model; None: it is signed, or it does not say the model where one can replace it."""
    request, said = asked.request, asked.model
    if not said or not SIGNED_BY.isdisjoint(request.headers):
        return None
    url = _in_path(request.url, said, model)
    body = asked.body
    named = body.get("model") if isinstance(body, dict) else None
    if isinstance(named, str) and named.endswith(said):
        body = {**body, "model": named.removesuffix(said) + model}
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return Replacement(asked._replace(model=model, body=body), content, url)
    return None if url is None else Replacement(asked._replace(model=model), None, url)


def _in_path(url: str, said: str, model: str) -> str | None:
    """The URL with another model in its path; None: its path does not name `said`.

    Segments: `/models/gemini-2.5-flash:generateContent`, `/deployments/gpt-4o/`, `/model/anthropic.claude...%3A0/`.
    """
    path, mark, rest = url.partition("?")
    segments = path.split("/")
    for index, segment in enumerate(segments):
        name, colon, action = segment.rpartition(":")
        if unquote(segment) == said:
            segments[index] = quote(model, safe="")
        elif colon and unquote(name) == said:
            segments[index] = quote(model, safe="") + colon + action
        else:
            continue
        return "/".join(segments) + mark + rest
    return None
