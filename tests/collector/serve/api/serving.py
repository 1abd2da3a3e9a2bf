"""An API server on an event loop of its own, and a client of it."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from collector.config.parts import Endpoint
from collector.serve.api.app import Path, build_app
from collector.serve.api.config import ApiConfig, ApiToken
from collector.serve.api.server import ApiServer

ANY = Endpoint("127.0.0.1", 0)
JSON = {"content_type": "application/json"}
Ask = Callable[..., tuple[int, Any]]


@contextmanager
def serving(paths: Iterable[Path], *tokens: ApiToken) -> Iterator[Ask]:
    """Serves the paths; gives a function that asks: method, path below `/api/v1`, body, headers."""
    started, done = Event(), Event()
    found: list[Endpoint] = []

    async def run() -> None:
        server = ApiServer(ANY, build_app(ApiConfig(ANY, tokens), paths))
        found.append(await server.start())
        started.set()
        await asyncio.to_thread(done.wait)
        await server.stop()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    started.wait(10)

    def ask(method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", found[0].port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), named)
        answer = connection.getresponse()
        try:
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    try:
        yield ask
    finally:
        done.set()
        thread.join()
