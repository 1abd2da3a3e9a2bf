"""aiohttp: a request of a `ClientSession` is one exchange.

Redirects, and what a client middleware repeats, are inside; the response is the last one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otel_cost.instrument.guard import guarded
from otel_cost.instrument.headers import LazyHeaders, header_texts, lazy
from otel_cost.instrument.observe import Exchange, begin_async
from otel_cost.instrument.patching import Hook, Patch
from otel_cost.instrument.wire.types import Request

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

    _Send = Callable[..., Coroutine[Any, Any, ClientResponse]]

_DECODED = frozenset({"gzip", "deflate", "br", "zstd"})
"""Content encodings that aiohttp decodes (`HttpParser.parse_headers`); it hands on the bytes of others as they came."""


def _patches(client: ModuleType) -> Iterator[Patch]:
    yield Patch(client.ClientSession, "_request", _wrap_request)


_HOOK = Hook("aiohttp.client", _patches)
instrument = _HOOK.instrument
uninstrument = _HOOK.uninstrument


def _wrap_request(original: _Send) -> _Send:
    @functools.wraps(original)
    async def _request(self: ClientSession, method: str, str_or_url: Any, **options: Any) -> ClientResponse:
        if not _HOOK.is_on:
            return await original(self, method, str_or_url, **options)
        options = _with_payload(self, options) or options
        request = _request_of(self, method, str_or_url, options)
        exchange = None if request is None else await begin_async(request, "aiohttp")
        if exchange is None:
            return await original(self, method, str_or_url, **options)
        if exchange.replacement_body is not None:
            options = _with_body(options, exchange.replacement_body) or options
        if exchange.replacement_url is not None:
            str_or_url, options = _with_url(options, exchange.replacement_url) or (str_or_url, options)
        token = exchange.enter()
        try:
            response = await original(self, method, str_or_url, **options)
        except BaseException as error:
            _failed(exchange, error)
            raise
        finally:
            exchange.leave(token)
        if not _responded(exchange, self, response, options):
            exchange.closed()
        return response

    return _request


@guarded
def _with_payload(session: ClientSession, options: dict[str, Any]) -> dict[str, Any] | None:
    """The same with `json` written out, as `_request` itself begins with: so that it is written once.

    What cannot be written is left to aiohttp, which then raises the error.
    """
    value = options.get("json")
    if value is None or options.get("data") is not None:
        return None
    from aiohttp import payload

    to_bytes = getattr(session, "_json_serialize_bytes", None)
    try:
        if to_bytes is None:
            data: Any = payload.JsonPayload(value, dumps=session.json_serialize)
        else:
            data = payload.JsonBytesPayload(value, dumps=to_bytes)
    except Exception:
        return None
    return {**options, "json": None, "data": data}


@guarded
def _with_body(options: dict[str, Any], body: bytes) -> dict[str, Any] | None:
    from aiohttp.payload import BytesPayload

    content_type = getattr(options.get("data"), "content_type", None) or "application/json"
    return {**options, "json": None, "data": BytesPayload(body, content_type=content_type)}


@guarded
def _with_url(options: dict[str, Any], url: str) -> tuple[Any, dict[str, Any]]:
    from yarl import URL

    return URL(url, encoded=True), {**options, "params": None}


@guarded
def _request_of(session: ClientSession, method: str, str_or_url: Any, options: dict[str, Any]) -> Request:
    url = session._build_url(str_or_url)
    if options.get("params"):
        url = url.update_query(options["params"])
    headers = LazyHeaders(functools.partial(_headers, session.headers, options.get("headers")))
    data = options.get("data")
    return Request(method.upper(), str(url), headers, _body(data), _form(data))


def _headers(usual: Any, own: Any) -> dict[str, str]:
    return header_texts(usual) | header_texts(own)


def _body(data: Any) -> bytes | None:
    from aiohttp.payload import BytesPayload

    if isinstance(data, BytesPayload):
        data = data._value
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, bytes | bytearray) else None


def _form(data: Any) -> Mapping[str, str] | None:
    """Text fields of a form; its files are never touched."""
    from aiohttp import FormData

    named: list[tuple[Any, Any]]
    if isinstance(data, FormData):
        named = [(options.get("name"), value) for options, _, value in data._fields if "filename" not in options]
    elif isinstance(data, Mapping):
        named = list(data.items())
    else:
        return None
    return {name: value for name, value in named if isinstance(name, str) and isinstance(value, str)}


@guarded
def _responded(
    exchange: Exchange, session: ClientSession, response: ClientResponse, options: Mapping[str, Any]
) -> bool:
    headers = lazy(response.headers, response.headers.get("content-type"))
    encoding = response.headers.get("content-encoding")
    decodes = options.get("auto_decompress")
    if encoding is not None and (session.auto_decompress if decodes is None else decodes):
        encoding = None if encoding.strip().lower() in _DECODED else encoding
    exchange.responded(response.status, headers, encoding)
    if response._body is not None:  # a middleware, or a check of the status, has read it
        exchange.chunk(response._body)
        exchange.ended()
        return True
    from aiohttp.streams import EMPTY_PAYLOAD

    from otel_cost.instrument.aiohttp_body import observe_body

    if response.content is EMPTY_PAYLOAD:
        exchange.ended()
        return True
    return observe_body(exchange, response.content)


@guarded
def _failed(exchange: Exchange, error: BaseException) -> None:
    """Where the session raises for the status of a response, the error has it."""
    status, headers = getattr(error, "status", None), getattr(error, "headers", None)
    if isinstance(status, int) and status and headers is not None:
        exchange.responded(status, header_texts(headers), None)
    exchange.failed(error)
