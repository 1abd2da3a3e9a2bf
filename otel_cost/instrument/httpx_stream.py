"""Streams of httpx and httpx2 that are observed: the same chunks, at the same time, with the same errors.

A chunk is told before the app gets it. So what the app got is known wherever it stops, the time of the first chunk is
that of its arrival, and nothing is left to do when the app closes. It costs the app the microseconds of `chunk()`.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from otel_cost.instrument.guard import STATS
from otel_cost.instrument.observe import Exchange


def tell(method: Callable[..., object], *args: object) -> None:
    """Call one of ours. What it raises is counted; the app goes on."""
    try:
        method(*args)
    except Exception as error:
        STATS.failed("httpx_hook.tell", error)


class _Open:
    """Exchanges whose streams the app neither read to the end nor closed: at the interpreter's end they are dropped.

    `atexit` calls the latest first, so this comes before a tracer provider's own that was made before the first stream.
    """

    def __init__(self) -> None:
        self.exchanges: dict[int, Exchange] = {}
        self._is_registered = False

    def add(self, exchange: Exchange) -> None:
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._drop)
        self.exchanges[id(exchange)] = exchange

    def _drop(self) -> None:
        while self.exchanges:
            tell(self.exchanges.popitem()[1].closed)


OPEN = _Open()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=OPEN.exchanges.clear)  # they are the parent's


class StreamKinds:
    """The stream classes of one library: its responses check that theirs are instances of its own base classes."""

    def __init__(self, module: Any) -> None:
        self._sync, self._async = module.SyncByteStream, module.AsyncByteStream
        self._kinds = {
            (True, False): type("ObservedStream", (_Sync, self._sync), {}),
            (False, True): type("ObservedAsyncStream", (_Async, self._async), {}),
            (True, True): type("ObservedByteStream", (_Sync, _Async, self._sync, self._async), {}),
        }

    def observed(self, stream: Any, exchange: Exchange) -> Any:
        """`stream`, but `exchange` is told.

        Raises:
            KeyError: it is no stream of the library.
        """
        kind = self._kinds[isinstance(stream, self._sync), isinstance(stream, self._async)]
        OPEN.add(exchange)
        return kind(stream, exchange)


class _Observed:
    """What both kinds share. All that we do not know is asked of the library's own stream, such as `elapsed`."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        if name in ("_stream", "_exchange"):  # of a copy that was not initialised
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __del__(self) -> None:
        OPEN.exchanges.pop(id(self._exchange), None)
        tell(self._exchange.closed)


class _Sync(_Observed):
    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        chunk = exchange.chunk
        try:
            for data in self._stream:
                try:
                    chunk(data)
                except Exception as error:
                    STATS.failed("httpx_hook.chunk", error)
                yield data
        except GeneratorExit:  # the app stopped here
            tell(exchange.closed)
            raise
        except BaseException as error:
            tell(exchange.failed, error)
            raise
        tell(exchange.ended)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            tell(self._exchange.closed)


class _Async(_Observed):
    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Chunks(self, self._stream.__aiter__(), self._exchange)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            tell(self._exchange.closed)


class _Chunks:
    """Iterates as the library's own iterator does, without being an asynchronous generator itself.

    Those are finalised by the event loop, in tasks of its own and with warnings (trio), when the app drops one:
    there would be one more of them. httpx2 takes what has these methods for a generator, and closes it.
    """

    __slots__ = ("_chunk", "_exchange", "_inner", "_next", "_stream")

    def __init__(self, stream: Any, inner: Any, exchange: Exchange) -> None:
        self._stream = stream  # it must not be collected while it is read
        self._inner = inner
        self._next = inner.__anext__
        self._exchange = exchange
        self._chunk = exchange.chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data: bytes = await self._next()
        except StopAsyncIteration:
            tell(self._exchange.ended)
            raise
        except BaseException as error:
            tell(self._exchange.failed, error)
            raise
        try:
            self._chunk(data)
        except Exception as error:
            STATS.failed("httpx_hook.chunk", error)
        return data

    async def asend(self, value: Any) -> Any:
        return await self._inner.asend(value)

    async def athrow(self, *error: Any) -> Any:
        return await self._inner.athrow(*error)

    async def aclose(self) -> None:
        try:
            if hasattr(self._inner, "aclose"):
                await self._inner.aclose()
        finally:
            tell(self._exchange.closed)

    def __del__(self) -> None:
        tell(self._exchange.closed)
