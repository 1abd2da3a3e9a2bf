"""A WSGI app that makes a call for each request and answers with the id of its response."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import MESSAGES, MODEL

client = OpenAI()


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    response = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [response.id.encode()]
