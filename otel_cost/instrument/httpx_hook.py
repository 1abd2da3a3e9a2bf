"""Requests and responses of httpx and httpx2 (the same code under two names), sync and async.

The hook is `Client.send`: whatever a client sends passes there once, through every transport, mount, redirect,
authentication and event hook, and the span is current while they work. Of a response that was read, the content is
taken; of one that is streamed, the stream is replaced by one that tells of each chunk as the app takes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument import garbage, observe
from otel_cost.instrument.guard import STATS
from otel_cost.instrument.headers import CREDENTIALS, LazyHeaders
from otel_cost.instrument.httpx_stream import StreamKinds
from otel_cost.instrument.multipart import stream_fields
from otel_cost.instrument.patching import Hook, Patch
from otel_cost.instrument.wire.types import Request


def instrument() -> bool:
    """Observe what httpx and httpx2 send, each from when the app imports it; again changes nothing."""
    garbage.watch()
    for library in _LIBRARIES:
        library.hook.instrument()
    return True


def uninstrument() -> None:
    """Observe no more; exchanges under way are followed to their end."""
    for library in _LIBRARIES:
        library.hook.uninstrument()
    garbage.unwatch()


class _Sending:
    """One call of `send` that is observed."""

    __slots__ = ("args", "asked", "exchange", "kwargs", "sent", "token")

    def __init__(self, exchange: observe.Exchange, asked: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.exchange = exchange
        self.asked = self.sent = asked  # the app's request; and that, or one with another body
        self.args = args
        self.kwargs = kwargs
        self.token: object = None


class _Library:
    """httpx or httpx2."""

    def __init__(self, name: str) -> None:
        self.hook = Hook(name, self._patches)
        self._name = name
        self._module: Any = None
        self._kinds: StreamKinds

    def _patches(self, module: ModuleType) -> list[Patch]:
        if module.__name__ != self._name:  # httpx2 under the name of httpx (`alias_httpx`): hooked as httpx2
            return []
        self._module, self._kinds = module, StreamKinds(module)
        return [
            Patch(self._module.Client, "send", self._wrap),
            Patch(self._module.AsyncClient, "send", self._wrap_async),
        ]

    def _wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def send(client: Any, *args: Any, **kwargs: Any) -> Any:
            sending = None
            if self.hook.is_on:
                try:
                    asked = args[0] if args else kwargs.get("request")
                    exchange = None if asked is None else observe.begin(_request(asked), self._name)
                    if exchange is not None:
                        sending = self._start(exchange, asked, args, kwargs)
                except BudgetError:
                    raise
                except Exception as error:
                    STATS.failed("httpx_hook.start", error)
            if sending is None:
                return original(client, *args, **kwargs)
            try:
                response = original(client, *sending.args, **sending.kwargs)
            except BaseException as error:
                try:
                    _failed(sending, error)
                except Exception as fault:
                    _broken(sending, fault)
                raise
            try:
                self._answered(sending, response)
            except Exception as fault:
                _broken(sending, fault)
            return response

        return send

    def _wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def send(client: Any, *args: Any, **kwargs: Any) -> Any:
            sending = None
            if self.hook.is_on:
                try:
                    asked = args[0] if args else kwargs.get("request")
                    exchange = None if asked is None else await observe.begin_async(_request(asked), self._name)
                    if exchange is not None:
                        sending = self._start(exchange, asked, args, kwargs)
                except BudgetError:
                    raise
                except Exception as error:
                    STATS.failed("httpx_hook.start", error)
            if sending is None:
                return await original(client, *args, **kwargs)
            try:
                response = await original(client, *sending.args, **sending.kwargs)
            except BaseException as error:
                try:
                    _failed(sending, error)
                except Exception as fault:
                    _broken(sending, fault)
                raise
            try:
                self._answered(sending, response)
            except Exception as fault:
                _broken(sending, fault)
            return response

        return send

    def _start(self, exchange: observe.Exchange, asked: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Sending:
        """Everything is sent as the app said it, unless its user wants something else to be asked."""
        sending = _Sending(exchange, asked, args, kwargs)
        sending.token = exchange.enter()
        try:
            if exchange.replacement_body is not None or exchange.replacement_url is not None:
                sent = self._replaced(asked, exchange.replacement_body, exchange.replacement_url)
                if args:
                    sending.args = (sent, *args[1:])
                else:
                    sending.kwargs = {**kwargs, "request": sent}
                sending.sent = sent
        except Exception as error:
            STATS.failed("httpx_hook.replaced", error)
        return sending

    def _replaced(self, request: Any, body: bytes | None, url: str | None) -> Any:
        """The app's own request stays as it is: it may send it again."""
        body = request.content if body is None else body
        headers = self._module.Headers(request.headers.raw)
        if "content-length" in headers:
            headers["content-length"] = str(len(body))
        sent = self._module.Request(
            request.method,
            request.url if url is None else url,
            headers=headers,
            stream=self._module.ByteStream(body),
            extensions=request.extensions,
        )
        sent.read()
        return sent

    def _answered(self, sending: _Sending, response: Any) -> None:
        exchange = sending.exchange
        exchange.leave(sending.token)
        sending.token = None
        if sending.sent is not sending.asked:
            _give_back(sending, response, *response.history)
        headers = _answer_headers(response.headers.raw)
        if not response.is_closed:
            exchange.responded(response.status_code, headers, headers.get("content-encoding"))
            response.stream = self._kinds.observed(response.stream, exchange)
            return
        exchange.responded(response.status_code, headers, None)
        try:
            body = response.content
        except self._module.ResponseNotRead:  # an event hook closed it
            exchange.closed()
        else:
            exchange.whole(body)


def _broken(sending: _Sending, error: Exception) -> None:
    """Ours failed after `send`: the span is current no more, and ends."""
    STATS.failed("httpx_hook.end", error)
    if sending.token is not None:
        sending.exchange.leave(sending.token)
    sending.exchange.closed()


def _failed(sending: _Sending, error: BaseException) -> None:
    sending.exchange.leave(sending.token)
    sending.token = None
    sending.exchange.failed(error)
    if sending.sent is not sending.asked:
        _give_back(sending, error)


def _give_back(sending: _Sending, *holders: Any) -> None:
    """Responses and errors hold the request that was sent: to the app that is its own."""
    for holder in holders:
        if getattr(holder, "_request", None) is sending.sent:
            holder.request = sending.asked


def _request(request: Any) -> Request:
    """What `send` is given, without reading a stream."""
    try:
        body, form = request.content, None
    except Exception:  # RequestNotRead: a stream, or a form with files
        body, form = None, stream_fields(request.stream)
    headers = LazyHeaders(functools.partial(_headers_of, request))
    return Request(request.method, str(request.url), headers, body, form)


def _headers_of(request: Any) -> dict[str, str]:
    return _headers(request.headers.raw)


def _answer_headers(raw: list[tuple[bytes, bytes]]) -> LazyHeaders:
    content_type = None
    for name, value in raw:
        if name in _CONTENT_TYPE:
            content_type = value.decode("latin-1")
            break
    return LazyHeaders(functools.partial(_headers, raw), content_type)


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Without credentials. From the raw list: asking `Headers` for a value decides its encoding for good."""
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name = _name(raw_name)
        if name is not None:
            value = raw_value.decode("latin-1")
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@functools.lru_cache(maxsize=256)
def _name(raw: bytes) -> str | None:
    """A header's name in lower case, None of a credential; there are few, and they recur with every call."""
    name = raw.decode("latin-1").lower()
    return None if name in CREDENTIALS else name


_CONTENT_TYPE = (b"content-type", b"Content-Type")  # as nearly all servers write it

_LIBRARIES = (_Library("httpx"), _Library("httpx2"))
