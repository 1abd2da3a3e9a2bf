"""botocore (boto3): each request that its HTTP session sends is one exchange; its retries are above it.

Bodies of event streams, and of `invoke_model`, are read by the app; others by botocore before it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument.guard import STATS
from otel_cost.instrument.headers import LazyHeaders, header_texts, lazy
from otel_cost.instrument.observe import Exchange, begin
from otel_cost.instrument.patching import Hook, Patch
from otel_cost.instrument.urllib3_body import body_bytes, observe_body
from otel_cost.instrument.wire.types import Request, maker


def _patches(httpsession: ModuleType) -> Iterator[Patch]:
    yield Patch(httpsession.URLLib3Session, "send", _wrap_send)


_HOOK = Hook("botocore.httpsession", _patches)
instrument = _HOOK.instrument
uninstrument = _HOOK.uninstrument


def _wrap_send(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(original)
    def send(self: Any, request: Any) -> Any:
        exchange = None
        if _HOOK.is_on:
            try:
                exchange = begin(_request_of(request), "botocore")
            except BudgetError:
                raise
            except Exception as error:
                STATS.failed("botocore_hook.begin", error)
        if exchange is None:
            return original(self, request)
        try:
            response = original(self, request)
        except BaseException as error:
            exchange.failed(error)
            exchange.leave()
            raise
        try:
            _responded(exchange, response)
        except Exception as error:
            STATS.failed("botocore_hook.responded", error)
            exchange.leave()
            exchange.closed()
        return response

    return send


def _request_of(request: Any) -> Request:
    """Another body would break the request's signature, so `replacement_body` is never sent here."""
    body = request.body
    if type(body) is not bytes:
        body = body_bytes(body)
    return _request((request.method, request.url, LazyHeaders(header_texts, request.headers), body, None))


_request = maker(Request)


def _responded(exchange: Exchange, response: Any) -> None:
    body = response._content
    if body is not None and exchange.takes_at_once(body):  # JSON is not encoded; to look up a header takes long here
        exchange.answered(response.status_code, LazyHeaders(header_texts, response.headers), body)
        return
    headers = lazy(response.headers, response.headers.get("content-type"))
    content_encoding = response.headers.get("content-encoding")  # botocore decodes nothing
    if body is not None and content_encoding is None:
        exchange.answered(response.status_code, headers, body)
        return
    exchange.leave()
    if body is None:
        observe_body(exchange, response.raw, response.status_code, headers)
        return
    exchange.responded(response.status_code, headers, content_encoding)
    exchange.chunk(body)
    exchange.ended()
