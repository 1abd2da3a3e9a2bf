"""A local stand-in for model providers: answers HTTP requests with recorded exchanges.

One JSON file per exchange (keys `request`, `response`, `expected`, `source`). Real SDKs run against it when their base
URL points here, e.g. `OPENAI_BASE_URL=http://127.0.0.1:PORT/v1`, `ANTHROPIC_BASE_URL=http://127.0.0.1:PORT`.

    python -m examples.replay examples/demo/exchanges --port 8080

How an answer is chosen, from the exchanges in the order in which they were given: those of the request's method and
path, narrowed to those of its model and then to those that stream as it does, wherever such exist. Repeated requests
walk down that list; its last answer repeats.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_MODEL_IN_PATH = re.compile(r"/(?:models|model|deployments)/([^/:]+)")
_ID_SUFFIX_DIGITS = 12
LEAVE_SECONDS = 10.0
"""How long a cut answer waits for its client to leave, so that no test waits for ever."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and what the provider answered."""

    name: str
    method: str
    path: str  # without the query
    model: str | None  # as the request names it, in its body or its path
    asks_stream: bool
    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[bytes, ...]  # joined they are the response's body
    streams: bool  # sent chunk by chunk, not with a content length
    response_id: str | None
    is_cut: bool = False  # what follows is never sent: the answer ends when the client leaves

    def with_fresh_id(self) -> Exchange:
        """The same answer under another response id, so that two replays are two calls."""
        if not self.response_id:
            return self
        fresh = self.response_id[:-_ID_SUFFIX_DIGITS] + secrets.token_hex(_ID_SUFFIX_DIGITS // 2)
        old, new = self.response_id.encode(), fresh.encode()
        return replace(self, chunks=tuple(chunk.replace(old, new) for chunk in self.chunks), response_id=fresh)


def load_exchange(file: Path) -> Exchange:
    """Read one recorded exchange.

    Raises:
        OSError, ValueError, KeyError: the file is unreadable or is no exchange.
    """
    record = json.loads(file.read_text(encoding="utf-8"))
    request, response = record["request"], record["response"]
    body = request.get("body")
    path = urlsplit(request["url"]).path
    streams = "chunks" in response or "chunks_b64" in response
    return Exchange(
        name=record["name"],
        method=request["method"].upper(),
        path=path,
        model=_model(path, body),
        asks_stream=_asks_stream(path, body),
        status=response["status"],
        headers=tuple((name, str(value)) for name, value in response["headers"].items()),
        chunks=tuple(_chunks(response)),
        streams=streams,
        response_id=record["expected"].get("response_id"),
    )


def load_exchanges(folder: Path) -> list[Exchange]:
    """Every exchange below `folder`, by path."""
    return [load_exchange(file) for file in sorted(folder.rglob("*.json"))]


def _chunks(response: dict[str, Any]) -> Iterator[bytes]:
    if "chunks_b64" in response:
        yield from (base64.b64decode(chunk) for chunk in response["chunks_b64"])
    elif "chunks" in response:
        yield from (chunk.encode() for chunk in response["chunks"])
    elif "body_b64" in response:
        yield base64.b64decode(response["body_b64"])
    elif isinstance(response.get("body"), str):
        yield response["body"].encode()
    else:
        yield json.dumps(response.get("body")).encode()


def _model(path: str, body: object) -> str | None:
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        return str(body["model"])
    found = _MODEL_IN_PATH.search(path)
    return found.group(1) if found else None


def _asks_stream(path: str, body: object) -> bool:
    return "stream" in path.lower() or (isinstance(body, dict) and body.get("stream") is True)


def _same_path(asked: str, recorded: str) -> bool:
    """Base URLs differ in how much of the path they hold, so one may be the tail of the other."""
    asked, recorded = asked.rstrip("/"), recorded.rstrip("/")
    return asked == recorded or asked.endswith(recorded) or (len(asked) > 1 and recorded.endswith(asked))


@dataclass(slots=True)
class Served:
    """One request that was answered, for tests and for the demo's own account."""

    method: str
    path: str
    model: str | None
    exchange: str | None  # None: nothing recorded fits
    status: int
    body: object = field(repr=False, default=None)


def _served(method: str, path: str, model: str | None, chosen: Exchange | None, body: object) -> Served:
    if chosen is None:
        return Served(method, path, model, None, 404, body)
    return Served(method, path, model, chosen.name, chosen.status, body)


class ReplayServer:
    """Serves exchanges on a loopback port from `start()` to `stop()`.

    `fresh_ids` gives every answer a response id of its own; without it the recorded ids are kept, and two replays of
    one exchange are one and the same call to whoever counts by id.
    """

    def __init__(self, exchanges: Iterable[Exchange], *, fresh_ids: bool = False, port: int = 0) -> None:
        self._exchanges = list(exchanges)
        self._fresh_ids = fresh_ids
        self._port = port
        self._next: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.served: list[Served] = []

    def __enter__(self) -> ReplayServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, known once started."""
        if self._server is None:
            raise RuntimeError("the replay server is not running")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Bind and serve in a background thread."""
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.replay = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="replay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def answer(self, method: str, path: str, body: object) -> Exchange | None:
        """The next exchange for this request; None when nothing recorded fits."""
        model, stream = _model(path, body), _asks_stream(path, body)
        fits = [each for each in self._exchanges if each.method == method and _same_path(path, each.path)]
        fits = [each for each in fits if each.model == model] or fits
        fits = [each for each in fits if each.asks_stream == stream] or fits
        with self._lock:
            chosen = self._advance(fits) if fits else None
            self.served.append(_served(method, path, model, chosen, body))
        return chosen.with_fresh_id() if chosen and self._fresh_ids else chosen

    def _advance(self, fits: list[Exchange]) -> Exchange:
        key = tuple(each.name for each in fits)
        position = self._next.get(key, 0)
        self._next[key] = position + 1
        return fits[min(position, len(fits) - 1)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    replay: ReplayServer

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """A client that hangs up mid-stream is its own business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self._reply()

    def do_GET(self) -> None:
        self._reply()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the terminal belongs to whoever started the server."""

    def _reply(self) -> None:
        path = urlsplit(self.path).path
        exchange = self.server.replay.answer(self.command, path, self._body())
        if exchange is None:
            message = f"nothing recorded for {self.command} {path}"
            self._send_whole(404, (("content-type", "application/json"),), json.dumps({"error": message}).encode())
        elif exchange.streams:
            self._send_chunks(exchange)
        else:
            self._send_whole(exchange.status, exchange.headers, b"".join(exchange.chunks))

    def _body(self) -> object:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            parsed: object = json.loads(raw)
        except ValueError:
            return raw.decode("utf-8", "replace")
        return parsed

    def _send_whole(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self._send_head(status, (*headers, ("content-length", str(len(body)))))
        self.wfile.write(body)

    def _send_chunks(self, exchange: Exchange) -> None:
        self._send_head(exchange.status, (*exchange.headers, ("transfer-encoding", "chunked")))
        for chunk in exchange.chunks:
            if chunk:
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        if exchange.is_cut:
            self._wait_until_left()
        self.wfile.write(b"0\r\n\r\n")

    def _wait_until_left(self) -> None:
        self.connection.settimeout(LEAVE_SECONDS)
        try:
            self.connection.recv(1)
        except TimeoutError:
            return
        self.close_connection = True

    def _send_head(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()


def main() -> None:
    """Serve a folder of exchanges until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Answer HTTP requests with recorded provider exchanges.")
    parser.add_argument("folder", type=Path, nargs="+", help="folders of exchange files")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--fresh-ids", action="store_true", help="give every answer a response id of its own")
    arguments = parser.parse_args()
    exchanges = [each for folder in arguments.folder for each in load_exchanges(folder)]
    with ReplayServer(exchanges, fresh_ids=arguments.fresh_ids, port=arguments.port) as server:
        print(f"{len(exchanges)} exchanges at {server.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
