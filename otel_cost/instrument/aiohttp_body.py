"""Observing a body of aiohttp as the app consumes it.

aiohttp's parser feeds a `StreamReader`, and every way to read takes from its buffer by `_read_nowait_chunk`. The
reader stays the object that parser and app hold; its class becomes a subclass that passes on what is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp.client_exceptions import ClientConnectionError
from aiohttp.streams import StreamReader

from otel_cost.instrument import open_exchanges
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.observe import Exchange


def observe_body(exchange: Exchange, content: StreamReader) -> bool:
    """Pass on to `exchange` what the app reads of an unread body; False: it is of a kind that is not known."""
    if type(content) is not StreamReader:
        return False
    content._eof_callbacks = _Seen(exchange, content._eof_callbacks)
    content.__class__ = ObservedReader
    open_exchanges.hold(exchange)
    if content.at_eof():
        exchange.ended()
    return True


_take = StreamReader._read_nowait_chunk


class _Seen(list[Callable[[], None]]):
    """The reader's list of callbacks, and what we know: a reader has slots only, so this takes the place of one."""

    __slots__ = ("chunk", "exchange", "interrupted", "unread_bytes")

    def __init__(self, exchange: Exchange, callbacks: list[Callable[[], None]]) -> None:
        super().__init__(callbacks)
        self.exchange = exchange
        self.chunk = exchange.chunk
        self.interrupted: BaseException | None = None  # the wait for more was cancelled, or timed out
        self.unread_bytes = 0  # that the app put back

    def took_again(self, data: bytes) -> bytes:
        """What is new of the bytes that the app takes after it put some back."""
        again = min(self.unread_bytes, len(data))
        self.unread_bytes -= again
        return data[again:]

    def closed(self) -> None:
        if self.interrupted is None:
            self.exchange.closed()
        else:
            self.exchange.failed(self.interrupted)

    def __del__(self) -> None:
        _drop(self)


@guarded
def _close(seen: _Seen) -> None:
    seen.closed()


@guarded
def _drop(seen: _Seen) -> None:
    seen.closed()
    open_exchanges.release(seen.exchange)


@guarded
def _end(seen: _Seen) -> None:
    seen.exchange.ended()


@guarded
def _fail(seen: _Seen, error: BaseException) -> None:
    seen.exchange.failed(error)


class ObservedReader(StreamReader):
    """A `StreamReader` whose consumer is watched."""

    __slots__ = ()
    _eof_callbacks: _Seen

    def _read_nowait_chunk(self, n: int) -> bytes:
        data = _take(self, n)
        try:
            seen = self._eof_callbacks
            seen.interrupted = None
            new = seen.took_again(data) if seen.unread_bytes else data
            if self._eof and not self._buffer:
                seen.exchange.last(new)
            else:
                seen.chunk(new)
        except Exception as error:
            STATS.failed("aiohttp_body.took", error)
        return data

    async def _wait(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super()._wait(*args, **kwargs)
        except BaseException as error:  # no end: the app may read on; if it closes instead, this is why
            self._eof_callbacks.interrupted = error
            raise

    def feed_eof(self) -> None:
        super().feed_eof()
        if not self._buffer:
            _end(self._eof_callbacks)

    def set_exception(self, exc: BaseException, *args: Any, **kwargs: Any) -> None:
        """The connection broke; or the app closed the response, which aiohttp tells in the same way."""
        super().set_exception(exc, *args, **kwargs)
        if type(exc) is ClientConnectionError:
            _close(self._eof_callbacks)
        else:
            _fail(self._eof_callbacks, exc)

    def unread_data(self, data: bytes) -> None:
        super().unread_data(data)
        self._eof_callbacks.unread_bytes += len(data)
