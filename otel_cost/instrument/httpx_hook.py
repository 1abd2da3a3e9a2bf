"""Requests and responses of httpx and httpx2 (the same code under two names), sync and async.

The hook is `Client.send`: whatever a client sends passes there once, through every transport, mount, redirect,
authentication and event hook, and the span is current while they work. Of a response that was read, the content is
taken; of one that is streamed, the stream is replaced by one that tells of each chunk as the app takes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument import observe
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.headers import CREDENTIALS, LazyHeaders
from otel_cost.instrument.httpx_stream import StreamKinds
from otel_cost.instrument.multipart import stream_fields
from otel_cost.instrument.patching import Hook, Patch
from otel_cost.instrument.wire.types import Request, maker


def instrument() -> bool:
    """Observe what httpx and httpx2 send, each from when the app imports it; again changes nothing."""
    for library in _LIBRARIES:
        library.hook.instrument()
    return True


def uninstrument() -> None:
    """Observe no more; exchanges under way are followed to their end."""
    for library in _LIBRARIES:
        library.hook.uninstrument()


class _Instead(NamedTuple):
    """What is sent instead of what the app said, because its user wants something else to be asked."""

    asked: Any  # the app's request
    sent: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @guarded
    def give_back(self, answer: Any) -> None:
        """Responses and errors hold the request that was sent: to the app that is its own."""
        for holder in (answer, *getattr(answer, "history", ())):
            if getattr(holder, "_request", None) is self.sent:
                holder.request = self.asked


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
            exchange = instead = None
            if self.hook.is_on:
                try:
                    request = _request(args[0] if args else kwargs["request"])
                    exchange = observe.begin(request, self._name)
                except BudgetError:
                    raise
                except Exception as error:
                    STATS.failed("httpx_hook.begin", error)
            if exchange is None:
                return original(client, *args, **kwargs)
            if exchange.replacement_body is not None or exchange.replacement_url is not None:
                instead = self._instead(exchange, args, kwargs)
                if instead is not None:
                    args, kwargs = instead.args, instead.kwargs
            try:
                response = original(client, *args, **kwargs)
            except BaseException as error:
                exchange.leave()
                exchange.failed(error)
                if instead is not None:
                    instead.give_back(error)
                raise
            try:
                self._answered(exchange, response)
            except Exception as error:
                STATS.failed("httpx_hook.answered", error)
                exchange.leave()
                exchange.closed()
            if instead is not None:
                instead.give_back(response)
            return response

        return send

    def _wrap_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def send(client: Any, *args: Any, **kwargs: Any) -> Any:
            exchange = instead = None
            if self.hook.is_on:
                try:
                    request = _request(args[0] if args else kwargs["request"])
                    if observe.gate is None:
                        exchange = observe.begin(request, self._name)
                    else:
                        exchange = await observe.begin_async(request, self._name)
                except BudgetError:
                    raise
                except Exception as error:
                    STATS.failed("httpx_hook.begin", error)
            if exchange is None:
                return await original(client, *args, **kwargs)
            if exchange.replacement_body is not None or exchange.replacement_url is not None:
                instead = self._instead(exchange, args, kwargs)
                if instead is not None:
                    args, kwargs = instead.args, instead.kwargs
            try:
                response = await original(client, *args, **kwargs)
            except BaseException as error:
                exchange.leave()
                exchange.failed(error)
                if instead is not None:
                    instead.give_back(error)
                raise
            try:
                self._answered(exchange, response)
            except Exception as error:
                STATS.failed("httpx_hook.answered", error)
                exchange.leave()
                exchange.closed()
            if instead is not None:
                instead.give_back(response)
            return response

        return send

    @guarded
    def _instead(self, exchange: observe.Exchange, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Instead:
        asked = args[0] if args else kwargs["request"]
        sent = self._replaced(asked, exchange.replacement_body, exchange.replacement_url)
        if args:
            return _Instead(asked, sent, (sent, *args[1:]), kwargs)
        return _Instead(asked, sent, args, {**kwargs, "request": sent})

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

    def _answered(self, exchange: observe.Exchange, response: Any) -> None:
        if response.is_closed:
            headers = LazyHeaders(_headers_in, response.headers)
            try:
                exchange.answered(response.status_code, headers, response.content)
                return
            except self._module.ResponseNotRead:  # an event hook closed it
                pass
            exchange.leave()
            exchange.responded(response.status_code, headers, None)
            exchange.closed()
        else:
            headers = _answer_headers(response.headers)
            exchange.leave()
            exchange.responded(response.status_code, headers, headers.get("content-encoding"))
            response.stream = self._kinds.observed(response.stream, exchange)


_made = maker(Request)


def _request(request: Any) -> Request:
    """What `send` is given, without reading a stream."""
    body, form = getattr(request, "_content", None), None
    if type(body) is not bytes:
        try:
            body = request.content
        except Exception:  # RequestNotRead: a stream, or a form with files
            body, form = None, stream_fields(request.stream)
    try:
        url = _texts[request.url._uri_reference]
    except (LookupError, AttributeError, TypeError):  # a new one, or one that is kept in another way
        url = _text_of(request.url)
    return _made((request.method, url, LazyHeaders(_headers_of, request), body, form))


MAX_URLS = 1024
"""URLs whose texts are remembered: an app calls some dozens."""
_texts: dict[object, str] = {}


def _text_of(url: Any) -> str:
    """`str(url)`, which the library puts together each time anew; it is remembered by the parts that the library keeps,
    where it keeps any."""
    parts, text = getattr(url, "_uri_reference", None), str(url)
    if isinstance(parts, tuple) and "?" not in text and "@" not in text:  # else it may hold a key
        if len(_texts) >= MAX_URLS:
            _texts.clear()
        _texts[parts] = text
    return text


def _headers_of(request: Any) -> dict[str, str]:
    return _headers(request.headers.raw)


def _headers_in(headers: Any) -> dict[str, str]:
    return _headers(headers.raw)


def _answer_headers(headers: Any) -> LazyHeaders:
    """Of an answer that has just come. `raw` makes a list of all headers anew: they are looked at where they are kept,
    if that is known, by name as sent, name in lower case, and value."""
    content_type = None
    kept = getattr(headers, "_list", None)
    for entry in kept if type(kept) is list else headers.raw:
        if entry[-2] in _CONTENT_TYPE:
            content_type = entry[-1].decode("latin-1")
            break
    return LazyHeaders(_headers_in, headers, content_type)


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
