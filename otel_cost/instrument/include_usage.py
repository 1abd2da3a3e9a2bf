"""Opt-in: OpenAI-compatible chat streams are asked for their usage, where the app did not ask itself."""

from __future__ import annotations

import json

from otel_cost.instrument.wire.types import Asked

APIS = frozenset({"openai.chat", "openai.completion"})
"""Those whose streams say their usage only if asked, by `stream_options.include_usage`."""

SIGNED_BY = frozenset(
    {
        *("x-amz-content-sha256", "x-amz-date", "digest", "content-digest", "content-md5", "signature"),
        "content-encoding",
    }
)
"""Request headers that speak of the body's bytes: another body would be refused."""


def asking_for_usage(asked: Asked) -> bytes | None:
    """The body that asks for usage; None: it need not, or must not, be changed."""
    body = asked.body
    if asked.api.name not in APIS or not asked.is_stream or not isinstance(body, dict):
        return None
    options = body.get("stream_options")
    if options is None:
        options = {}
    if not isinstance(options, dict) or "include_usage" in options or not SIGNED_BY.isdisjoint(asked.request.headers):
        return None
    changed = {**body, "stream_options": {**options, "include_usage": True}}
    return json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode()
