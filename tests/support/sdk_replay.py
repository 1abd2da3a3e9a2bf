"""Real SDKs against recorded answers, with our instrumentation on.

The server is an HTTP proxy on loopback that answers every request with one recorded exchange: the SDK keeps the
provider's own host in its URLs (`http://` instead of `https://`), so that who is behind it is found as in production.

    with replayed(exchange) as replay:
        OpenAI(base_url=replay.base_url("/chat/completions"), api_key="k", max_retries=0).chat.completions.create(...)
    assert_told(replay.only_span(), exchange["expected"])
"""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from otel_cost import attributes as k
from otel_cost.instrument.instrumentor import OtelCostInstrumentor
from otel_cost.instrument.wire.exchange import chunks_of
from otel_cost.testing import CostRecorder

FOLDER = Path(__file__).parents[1] / "testdata" / "exchanges"
PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy")
OTHER_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
_HOP_BY_HOP = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})

TOLD: Mapping[str, str] = {
    "operation": k.GEN_AI_OPERATION_NAME,
    "provider": k.GEN_AI_PROVIDER_NAME,
    "request_model": k.GEN_AI_REQUEST_MODEL,
    "response_model": k.GEN_AI_RESPONSE_MODEL,
    "response_id": k.GEN_AI_RESPONSE_ID,
    "input_tokens": k.GEN_AI_USAGE_INPUT_TOKENS,
    "output_tokens": k.GEN_AI_USAGE_OUTPUT_TOKENS,
    "cache_read": k.GEN_AI_USAGE_CACHE_READ,
    "cache_creation": k.GEN_AI_USAGE_CACHE_WRITE,
    "cache_creation_5m": k.OTEL_COST_USAGE_PREFIX + "cache_write_5m_tokens",
    "cache_creation_1h": k.OTEL_COST_USAGE_PREFIX + "cache_write_1h_tokens",
    "reasoning": k.GEN_AI_USAGE_REASONING,
    "audio_in": k.GEN_AI_USAGE_AUDIO_INPUT,
    "audio_out": k.GEN_AI_USAGE_AUDIO_OUTPUT,
    "finish_reasons": k.GEN_AI_RESPONSE_FINISH_REASONS,
    "error_type": k.ERROR_TYPE,
}
"""Key of `expected` -> the span attribute that says the same."""


def recorded(*beginnings: str, path_end: str = "", status: Callable[[int], bool] = lambda _: True) -> list[str]:
    """Names (`openai/chat_basic`) of the recorded exchanges that begin so and whose URL's path ends so."""
    names = []
    for file in sorted(FOLDER.rglob("*.json")):
        name = str(file.relative_to(FOLDER))[: -len(".json")]
        if name.startswith(beginnings or ("",)):
            exchange = load(name)
            if urlsplit(exchange["request"]["url"]).path.endswith(path_end) and status(exchange["response"]["status"]):
                names.append(name)
    return names


def load(name: str) -> dict[str, Any]:
    """A recorded exchange."""
    exchange = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(exchange, dict)
    return exchange


@dataclass(slots=True)
class Replay:
    """One exchange that is being replayed, and the spans that it made."""

    exchange: Mapping[str, Any]
    recorder: CostRecorder
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, URL and body of each request that came."""

    @property
    def body(self) -> dict[str, Any]:
        """The recorded request's JSON body."""
        body = self.exchange["request"]["body"]
        assert isinstance(body, dict)
        return body

    @property
    def url(self) -> str:
        """The recorded URL over plain HTTP."""
        return "http://" + str(self.exchange["request"]["url"]).partition("://")[2]

    def query(self) -> dict[str, str]:
        """The recorded URL's query."""
        return dict(parse_qsl(urlsplit(self.url).query))

    def base_url(self, path_end: str) -> str:
        """The recorded URL without the end that the SDK adds itself."""
        path = self.url.partition("?")[0]
        assert path.endswith(path_end), (path, path_end)
        return path.removesuffix(path_end)

    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that ended."""
        return self.recorder.spans()

    def only_span(self) -> ReadableSpan:
        """The span of the one call there is; what is billed by itself has spans below it."""
        (span,) = [span for span in self.recorder.spans() if span.parent is None]
        return span


@contextmanager
def replayed(exchange: Mapping[str, Any]) -> Iterator[Replay]:
    """Answer every request of this process over `HTTP_PROXY` with the exchange, our instrumentation on."""
    replay = Replay(exchange, CostRecorder())
    server = _Server(("127.0.0.1", 0), _Handler)
    server.replay = replay
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    proxy = f"http://127.0.0.1:{server.server_address[1]}"
    environment = dict.fromkeys(PROXY_VARIABLES, proxy) | dict.fromkeys(OTHER_PROXY_VARIABLES, "")
    instrumentor = OtelCostInstrumentor()
    try:
        with patch.dict(os.environ, environment), patch.object(trace, "_TRACER_PROVIDER", replay.recorder.provider):
            instrumentor.instrument()
            try:
                yield replay
            finally:
                instrumentor.uninstrument()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    replay: Replay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    def _answer(self) -> None:
        replay = self.server.replay
        replay.requests.append((self.command, self.path, self._read()))
        said = replay.exchange["response"]
        chunks = [chunk for chunk in chunks_of(replay.exchange) if chunk]
        self.send_response(said["status"])
        for name, value in said["headers"].items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, str(value))
        is_stream = "chunks" in said or "chunks_b64" in said
        size = sum(map(len, chunks))
        self.send_header(*(("transfer-encoding", "chunked") if is_stream else ("content-length", str(size))))
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_stream else chunk)
        if is_stream:
            self.wfile.write(b"0\r\n\r\n")

    def _read(self) -> bytes:
        if "chunked" not in (self.headers.get("transfer-encoding") or ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _answer


def told(span: ReadableSpan, keys: Iterable[str] = TOLD) -> dict[str, Any]:
    """What a span says, by the keys of `expected`."""
    attributes = span.attributes or {}
    found = {key: attributes.get(TOLD[key]) for key in keys}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def assert_told(span: ReadableSpan, expected: Mapping[str, Any], *, but: Iterable[str] = ()) -> None:
    """The span says what `expected` says, and nothing of what it does not. `but`: keys that are not compared."""
    keys = [key for key in TOLD if key not in set(but)]
    assert told(span, keys) == {key: expected[key] for key in keys}


def arguments(function: Callable[..., Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded body as arguments of an SDK's method; what the method does not name goes into `extra_body`."""
    named = inspect.signature(function).parameters
    given = {key: value for key, value in body.items() if key in named}
    other = {key: value for key, value in body.items() if key not in named}
    return given | ({"extra_body": other} if other else {})
