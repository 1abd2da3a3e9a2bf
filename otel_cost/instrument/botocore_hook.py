"""botocore (boto3): each request that its HTTP session sends is one exchange; its retries are above it.

Bodies of event streams, and of `invoke_model`, are read by the app; others by botocore before it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from otel_cost.instrument.guard import guarded
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
        asked = _request_of(request) if _HOOK.is_on else None
        exchange = None if asked is None else begin(asked, "botocore")
        if exchange is None:
            return original(self, request)
        token = exchange.enter()
        try:
            response = original(self, request)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.leave(token)
        _responded(exchange, response)
        return response

    return send


@guarded
def _request_of(request: Any) -> Request:
    """Another body would break the request's signature, so `replacement_body` is never sent here."""
    return Request(request.method, request.url, lazy(request.headers), body_bytes(request.body))


@guarded
def _responded(exchange: Exchange, response: Any) -> None:
    headers = lazy(response.headers, response.headers.get("content-type"))
    if response._content is None:
        observe_body(exchange, response.raw, response.status_code, headers)
        return
    content_encoding = response.headers.get("content-encoding")  # botocore decodes nothing
    exchange.responded(response.status_code, headers, content_encoding)
    if content_encoding is None:
        exchange.whole(response._content)
    else:
        exchange.chunk(response._content)
        exchange.ended()
