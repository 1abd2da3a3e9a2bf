"""requests: a call of `Session.send` is one exchange.

`requests.post()` and the methods of a session come down to it. What it repeats by itself is inside: redirects, and the
attempts of urllib3's `Retry` in the adapter; the response is the last one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.headers import LazyHeaders, header_texts, lazy
from otel_cost.instrument.observe import Exchange, begin
from otel_cost.instrument.patching import Hook, Patch
from otel_cost.instrument.urllib3_body import body_bytes, observe_body
from otel_cost.instrument.wire.types import Request, maker

if TYPE_CHECKING:
    import requests


def _patches(sessions: ModuleType) -> Iterator[Patch]:
    yield Patch(sessions.Session, "send", _wrap_send)


_HOOK = Hook("requests.sessions", _patches)
instrument = _HOOK.instrument
uninstrument = _HOOK.uninstrument


def _wrap_send(original: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    @functools.wraps(original)
    def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        exchange = None
        if _HOOK.is_on:
            try:
                exchange = begin(_request_of(request), "requests")
            except BudgetError:
                raise
            except Exception as error:
                STATS.failed("requests_hook.begin", error)
        if exchange is None:
            return original(self, request, **kwargs)
        if exchange.replacement_body is not None or exchange.replacement_url is not None:
            request = _replaced(request, exchange.replacement_body, exchange.replacement_url) or request
        try:
            response = original(self, request, **kwargs)
        except BaseException as error:
            _failed(exchange, error)
            exchange.leave()
            raise
        try:
            _responded(exchange, response)
        except Exception as error:
            STATS.failed("requests_hook.responded", error)
            exchange.leave()
            exchange.closed()
        return response

    return send


def _request_of(request: requests.PreparedRequest) -> Request:
    body = request.body
    if type(body) is not bytes:
        body = body_bytes(body)
    return _request((request.method or "", request.url or "", LazyHeaders(header_texts, request.headers), body, None))


_request = maker(Request)


@guarded
def _replaced(request: requests.PreparedRequest, body: bytes | None, url: str | None) -> requests.PreparedRequest:
    """A copy that sends something else."""
    changed = request.copy()
    if body is not None:
        changed.body = body
        changed.headers["Content-Length"] = str(len(body))
    if url is not None:
        changed.url = url
    return changed


def _responded(exchange: Exchange, response: requests.Response) -> None:
    content: Any = response._content
    if content is False:  # nothing was read: the app asked for a stream
        exchange.leave()
        headers = lazy(response.headers, response.headers.get("content-type"))
        observe_body(exchange, response.raw, response.status_code, headers)
    else:
        exchange.answered(response.status_code, LazyHeaders(header_texts, response.headers), content or b"")


@guarded
def _failed(exchange: Exchange, error: BaseException) -> None:
    """An error that a response caused (an app's hook that raises for its status) has it."""
    response = getattr(error, "response", None)
    if response is not None:
        exchange.responded(response.status_code, header_texts(response.headers), None)
        if isinstance(response._content, bytes):
            exchange.chunk(response._content)
    exchange.failed(error)
