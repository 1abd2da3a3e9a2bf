"""Streams of httpx and httpx2 that are observed: the same chunks, at the same time, with the same errors.

A chunk is told before the app gets it. So what the app got is known wherever it stops, the time of the first chunk is
that of its arrival, and nothing is left to do when the app closes. It costs the app the microseconds of `chunk()`.

Each call of ours that stands in the app's way is guarded where it stands: what it raises is counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from otel_cost.instrument import open_exchanges
from otel_cost.instrument.guard import STATS
from otel_cost.instrument.observe import Exchange


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
        open_exchanges.hold(exchange)
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
        try:
            open_exchanges.release(self._exchange)
            self._exchange.closed()
        except Exception as error:
            STATS.failed("httpx_stream.del", error)


class _Sync(_Observed):
    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        chunk = exchange.chunk
        end: Callable[..., None] = exchange.closed  # where the app stops, and the generator with it
        said: tuple[BaseException, ...] = ()
        try:
            for data in self._stream:
                try:
                    chunk(data)
                except Exception as error:
                    STATS.failed("httpx_stream.chunk", error)
                yield data
            end = exchange.ended
        except GeneratorExit:
            raise
        except BaseException as error:
            end, said = exchange.failed, (error,)
            raise
        finally:
            try:
                end(*said)
            except Exception as fault:
                STATS.failed("httpx_stream.end", fault)
            said = ()  # the error's traceback holds this frame

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            try:
                self._exchange.closed()
            except Exception as error:
                STATS.failed("httpx_stream.close", error)


class _Async(_Observed):
    def __aiter__(self) -> AsyncIterator[bytes]:
        inner: AsyncIterator[bytes] = self._stream.__aiter__()
        try:
            return _Chunks(self, inner, self._exchange)
        except Exception as error:
            STATS.failed("httpx_stream.aiter", error)
            return inner

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            try:
                self._exchange.closed()
            except Exception as error:
                STATS.failed("httpx_stream.close", error)


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
        except BaseException as error:
            try:
                if isinstance(error, StopAsyncIteration):
                    self._exchange.ended()
                else:
                    self._exchange.failed(error)
            except Exception as fault:
                STATS.failed("httpx_stream.end", fault)
            raise
        try:
            self._chunk(data)
        except Exception as error:
            STATS.failed("httpx_stream.chunk", error)
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
            try:
                self._exchange.closed()
            except Exception as error:
                STATS.failed("httpx_stream.close", error)

    def __del__(self) -> None:
        try:
            self._exchange.closed()
        except Exception as error:
            STATS.failed("httpx_stream.del", error)
