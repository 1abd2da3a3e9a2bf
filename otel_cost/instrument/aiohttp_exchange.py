"""Requests of an aiohttp session as exchanges, and what their responses say. Imported when the app has aiohttp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import payload
from aiohttp.client import ClientSession
from aiohttp.client_reqrep import ClientResponse
from aiohttp.formdata import FormData
from aiohttp.payload import BytesPayload
from aiohttp.streams import EMPTY_PAYLOAD
from yarl import URL

from otel_cost.instrument.aiohttp_body import observe_body
from otel_cost.instrument.guard import guarded
from otel_cost.instrument.headers import LazyHeaders, header_texts, lazy
from otel_cost.instrument.observe import Exchange
from otel_cost.instrument.wire.types import Request

_DECODED = frozenset({"gzip", "deflate", "br", "zstd"})
"""Content encodings that aiohttp decodes (`HttpParser.parse_headers`); it hands on the bytes of others as they came."""


@guarded
def with_payload(session: ClientSession, options: dict[str, Any]) -> dict[str, Any] | None:
    """The same with `json` written out, as `_request` itself begins with: so that it is written once.

    What cannot be written is left to aiohttp, which then raises the error.
    """
    value = options.get("json")
    if value is None or options.get("data") is not None:
        return None
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
def with_body(options: dict[str, Any], body: bytes) -> dict[str, Any] | None:
    """The same with another body."""
    content_type = getattr(options.get("data"), "content_type", None) or "application/json"
    return {**options, "json": None, "data": BytesPayload(body, content_type=content_type)}


@guarded
def with_url(options: dict[str, Any], url: str) -> tuple[Any, dict[str, Any]]:
    """Another URL, and the options that go with it."""
    return URL(url, encoded=True), {**options, "params": None}


@guarded
def request_of(session: ClientSession, method: str, str_or_url: Any, options: dict[str, Any]) -> Request:
    """The request as the readers of provider APIs take it."""
    url = session._build_url(str_or_url)
    if options.get("params"):
        url = url.update_query(options["params"])
    headers = LazyHeaders(_headers, (session.headers, options.get("headers")))
    data = options.get("data")
    body = _body(data)
    return Request(method.upper(), str(url), headers, body, _form(data) if body is None else None)


def _headers(usual_and_own: tuple[Any, Any]) -> dict[str, str]:
    usual, own = usual_and_own
    return header_texts(usual) | header_texts(own)


def _body(data: Any) -> bytes | None:
    if isinstance(data, BytesPayload):
        data = data._value
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


@guarded
def responded(exchange: Exchange, session: ClientSession, response: ClientResponse, options: Mapping[str, Any]) -> bool:
    """The response is there: what is to come of its body is followed. False: its kind is not known."""
    headers = lazy(response.headers, response.headers.get("content-type"))
    encoding = response.headers.get("content-encoding")
    decodes = options.get("auto_decompress")
    if encoding is not None and (session.auto_decompress if decodes is None else decodes):
        encoding = None if encoding.strip().lower() in _DECODED else encoding
    exchange.responded(response.status, headers, encoding)
    if response._body is not None:  # a middleware, or a check of the status, has read it
        exchange.last(response._body)
        return True
    if response.content is EMPTY_PAYLOAD:
        exchange.ended()
        return True
    return observe_body(exchange, response.content)


@guarded
def failed(exchange: Exchange, error: BaseException) -> None:
    """Where the session raises for the status of a response, the error has it."""
    status, headers = getattr(error, "status", None), getattr(error, "headers", None)
    if isinstance(status, int) and status and headers is not None:
        exchange.responded(status, header_texts(headers), None)
    exchange.failed(error)
