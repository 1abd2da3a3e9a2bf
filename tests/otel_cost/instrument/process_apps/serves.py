"""An ASGI app that makes a call for each request and answers with the id of its response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from openai import AsyncOpenAI

from tests.otel_cost.instrument.process_apps.calls import MESSAGES, MODEL

client = AsyncOpenAI()


async def app(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    while scope["type"] == "lifespan":
        said = (await receive())["type"]
        await send({"type": f"{said}.complete"})
        if said == "lifespan.shutdown":
            return
    response = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": response.id.encode()})
