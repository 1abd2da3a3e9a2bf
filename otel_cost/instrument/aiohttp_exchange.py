"""Requests of an aiohttp session as exchanges, and what their responses say. Imported when the app has aiohttp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import payload
from aiohttp.client import ClientSession
from aiohttp.client_reqrep import ClientResponse
from aiohttp.formdata import FormData
from aiohttp.payload import BytesPayload
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from yarl import URL

from otel_cost.instrument.aiohttp_body import observe_body
from otel_cost.instrument.guard import guarded
from otel_cost.instrument.headers import LazyHeaders, header_texts, lazy
from otel_cost.instrument.observe import Exchange
from otel_cost.instrument.wire.types import Request, maker

_DECODED = frozenset({"gzip", "deflate", "br", "zstd"})
"""Content encodings that aiohttp decodes (`HttpParser.parse_headers`); it hands on the bytes of others as they came."""


def with_payload(session: ClientSession, options: dict[str, Any]) -> dict[str, Any]:
    """The same with `json` written out, as `_request` itself begins with: so that it is written once.

    What cannot be written is left to aiohttp, which then raises the error.
    """
    value = options.get("json")
    if value is None or options.get("data") is not None:
        return options
    to_bytes = getattr(session, "_json_serialize_bytes", None)
    try:
        if to_bytes is None:
            data: Any = payload.JsonPayload(value, dumps=session.json_serialize)
        else:
            data = payload.JsonBytesPayload(value, dumps=to_bytes)
    except Exception:
        return options
    return {**options, "json": None, "data": data}


@guarded
def with_body(options: dict[str, Any], body: bytes) -> dict[str, Any] | None:
    """The same with another body."""
    content_type = getattr(options.get("data"), "content_type", None) or "application/json"
    return {**options, "json": None, "data": BytesPayload(body, content_type=content_type)}


@guarded
def with_url(options: dict[str, Any], url: str) -> tuple[Any, dict[str, Any]]:
    """Another URL, and the options that go with it."""
    return URL(url, encoded=True), {**options, "params": None}


def request_of(session: ClientSession, method: str, str_or_url: Any, options: dict[str, Any]) -> Request:
    """The request as the readers of provider APIs take it."""
    said = session._base_url, str_or_url
    url = None if options.get("params") else _texts.get(said)
    if url is None:
        url = _text_of(session, said, options.get("params"))
    body = data = options.get("data")
    if isinstance(data, BytesPayload):
        body = data._value
    if type(body) is not bytes:
        body = _bytes(body)
    headers = LazyHeaders(_headers, (session, options.get("headers")))
    return _request((method.upper(), url, headers, body, _form(data) if body is None else None))


_request = maker(Request)

MAX_URLS = 1024
"""URLs whose texts are remembered: an app calls some dozens."""
_texts: dict[tuple[object, object], str] = {}


def _text_of(session: ClientSession, said: tuple[object, Any], params: Any) -> str:
    """What is requested, which takes long to put together: by a session's own base, and what the app says."""
    url = session._build_url(said[1])
    if params:
        return str(url.update_query(params))
    text = str(url)
    if "?" not in text and "@" not in text:  # else it may hold a key
        if len(_texts) >= MAX_URLS:
            _texts.clear()
        _texts[said] = text
    return text


def _headers(session_and_own: tuple[ClientSession, Any]) -> dict[str, str]:
    session, own = session_and_own
    return header_texts(session.headers) | header_texts(own)


def _bytes(data: Any) -> bytes | None:
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, bytes | bytearray) else None


def _form(data: Any) -> Mapping[str, str] | None:
    """Text fields of a form; its files are never touched."""
    named: list[tuple[Any, Any]]
    if isinstance(data, FormData):
        named = [(options.get("name"), value) for options, _, value in data._fields if "filename" not in options]
    elif isinstance(data, Mapping):
        named = list(data.items())
    else:
        return None
    return {name: value for name, value in named if isinstance(name, str) and isinstance(value, str)}


def responded(exchange: Exchange, session: ClientSession, response: ClientResponse, options: Mapping[str, Any]) -> bool:
    """The response is there: what is to come of its body is followed. False: its kind is not known."""
    content, encoding = response.content, response.headers.get("content-encoding")
    decodes = options.get("auto_decompress")
    if encoding is not None and (session.auto_decompress if decodes is None else decodes):
        encoding = None if encoding.strip().lower() in _DECODED else encoding
    if encoding is None and type(content) is StreamReader and content._eof and not content._cursor:
        held = content._buffer  # all has come, and nothing was taken yet; it stays there for the app
        body = held[0] if len(held) == 1 else b"".join(held)
        if content._exception is None and exchange.takes_at_once(body):
            exchange.answered(response.status, LazyHeaders(header_texts, response.headers), body)
            return True
    exchange.leave()
    exchange.responded(response.status, lazy(response.headers, response.headers.get("content-type")), encoding)
    if response._body is not None:  # a middleware, or a check of the status, has read it
        exchange.last(response._body)
        return True
    if content is EMPTY_PAYLOAD:
        exchange.ended()
        return True
    return observe_body(exchange, content)


@guarded
def failed(exchange: Exchange, error: BaseException) -> None:
    """Where the session raises for the status of a response, the error has it."""
    status, headers = getattr(error, "status", None), getattr(error, "headers", None)
    if isinstance(status, int) and status and headers is not None:
        exchange.responded(status, header_texts(headers), None)
    exchange.failed(error)
