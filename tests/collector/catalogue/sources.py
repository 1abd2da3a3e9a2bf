"""Small catalogues in their published forms, and a host that serves them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

PROVIDER = "testers"
"""A provider that no catalogue has."""


def genai_prices(prices: dict[str, Any], provider: str = PROVIDER) -> bytes:
    """genai-prices' data.json: model -> its `prices` (or a number: USD per million input tokens)."""
    models = [
        {"id": model, "name": model, "match": {"equals": model}, "prices": _prices(said)}
        for model, said in prices.items()
    ]
    return json.dumps([{"id": provider, "name": provider, "api_pattern": "x", "models": models}]).encode()


def litellm(prices: dict[str, float], provider: str = "openai") -> bytes:
    """LiteLLM's file: model -> USD per input token."""
    return json.dumps(
        {
            model: {"litellm_provider": provider, "mode": "chat", "input_cost_per_token": price}
            for model, price in prices.items()
        }
    ).encode()


def _prices(said: Any) -> Any:
    return {"input_mtok": said} if isinstance(said, int | float) else said


@contextmanager
def serving(pages: dict[str, bytes]) -> Iterator[str]:
    """An HTTP server on the loopback; `pages` may be changed while it runs. Yields its URL without a slash."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
