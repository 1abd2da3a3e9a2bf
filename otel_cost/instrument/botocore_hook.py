"""botocore (boto3): each request that its HTTP session sends is one exchange; its retries are above it.

Bodies of event streams, and of `invoke_model`, are read by the app; others by botocore before it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.headers import lazy
from otel_cost.instrument.observe import Exchange, begin
from otel_cost.instrument.patching import Hook, Patch
from otel_cost.instrument.urllib3_body import body_bytes, observe_body
from otel_cost.instrument.wire.types import Request


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
        if _responded(exchange, response) is None:
            exchange.leave()
            exchange.closed()
        return response

    return send


def _request_of(request: Any) -> Request:
    """Another body would break the request's signature, so `replacement_body` is never sent here."""
    return Request(request.method, request.url, lazy(request.headers), body_bytes(request.body))


@guarded
def _responded(exchange: Exchange, response: Any) -> bool:
    headers = lazy(response.headers, response.headers.get("content-type"))
    body = response._content
    content_encoding = response.headers.get("content-encoding")  # botocore decodes nothing
    if body is not None and content_encoding is None:
        exchange.answered(response.status_code, headers, body)
        return True
    exchange.leave()
    if body is None:
        observe_body(exchange, response.raw, response.status_code, headers)
        return True
    exchange.responded(response.status_code, headers, content_encoding)
    exchange.chunk(body)
    exchange.ended()
    return True
