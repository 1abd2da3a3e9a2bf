"""Observing a body of urllib3 (requests, botocore) as the app reads it.

The response object stays the one that the app holds; its class becomes a subclass whose reading methods pass on what
they return. All other ways to read (`stream`, `readinto`, `readline`, `data`, iteration) come down to these.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from otel_cost.instrument import open_exchanges
from otel_cost.instrument.guard import STATS, guarded

if TYPE_CHECKING:
    from otel_cost.instrument.observe import Exchange

_SEEN = "_otel_cost_seen"


def body_bytes(body: object) -> bytes | None:
    """A request's body; None: it has none, or is a stream that must not be read."""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def observe_body(exchange: Exchange, raw: Any, status: int, headers: Mapping[str, str]) -> None:
    """Pass on to `exchange` what the app reads of `raw`, an unread `urllib3.HTTPResponse`; never raises.

    `headers`: names in lower case. A response whose class cannot be replaced is not read: its exchange ends here.
    """
    exchange.responded(status, headers, None)
    if not _watch(exchange, raw, headers.get("content-encoding")):
        exchange.closed()


@guarded
def _watch(exchange: Exchange, raw: Any, content_encoding: str | None) -> bool:
    vars(raw)[_SEEN] = _Seen(exchange, content_encoding, raw)
    open_exchanges.hold(exchange)
    raw.__class__ = _observed_class(type(raw))
    return True


class _Seen:
    """What one response's app has read of it. `is_reading`: urllib3 is at work, and may close by itself."""

    __slots__ = ("_decoder", "_encoding", "_is_decodable", "exchange", "is_reading")

    def __init__(self, exchange: Exchange, content_encoding: str | None, raw: Any) -> None:
        self.exchange = exchange
        self.is_reading = False
        self._encoding = content_encoding
        named = [name.strip() for name in (content_encoding or "").lower().split(",")]
        self._is_decodable = any(name in raw.CONTENT_DECODERS for name in named)  # urllib3 decodes those it knows
        self._decoder: Any = None

    def read(self, raw: Any, data: bytes | None, amount: int | None, is_decoded: bool | None) -> None:
        """What one call returned: the end, if it asked for everything or got nothing, or nothing is left to read."""
        if data:
            self.chunks(is_decoded)(data)
        wants_all = amount is None or amount < 0
        if wants_all or (not data and amount) or (self._encoding is None and raw.isclosed()):
            self.exchange.ended()

    def chunks(self, is_decoded: bool | None) -> Callable[[bytes], object]:
        """What to call with pieces of the body that are as they were on the wire, unless urllib3 has decoded them."""
        if self._encoding is None or (is_decoded and self._is_decodable):
            return self.exchange.chunk
        return self._encoded_chunk

    def _encoded_chunk(self, data: bytes) -> None:
        if self._decoder is None:
            from otel_cost.instrument.encoding import decoder

            self._decoder = decoder(self._encoding)
        plain = self._decoder.feed(data)
        if plain:
            self.exchange.chunk(plain)

    def __del__(self) -> None:
        """The app dropped the response (whose own finalizer closes it only if its connection is still open)."""
        _drop(self)


class _Observed:
    """Goes before `urllib3.HTTPResponse` (1.26 and 2) in a class's bases. Whatever of ours raises, the app goes on."""

    decode_content: Any

    def read(self, amt: Any = None, decode_content: Any = None, *args: Any, **kwargs: Any) -> Any:
        seen: _Seen = vars(self)[_SEEN]
        seen.is_reading = True
        try:
            data = super().read(amt, decode_content, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            _fail(seen, error)
            raise
        seen.is_reading = False
        try:
            seen.read(self, data, amt, self.decode_content if decode_content is None else decode_content)
        except Exception as error:
            STATS.failed("urllib3_body.read", error)
        return data

    def read_chunked(self, amt: Any = None, decode_content: Any = None) -> Generator[bytes, None, None]:
        seen: _Seen = vars(self)[_SEEN]
        chunks = super().read_chunked(amt, decode_content)  # type: ignore[misc]
        chunk: Callable[[bytes], object] | None = None
        try:
            while True:
                seen.is_reading = True
                data = next(chunks, None)
                seen.is_reading = False
                if data is None:
                    break
                try:
                    chunk = chunk or seen.chunks(decode_content)
                    chunk(data)
                except Exception as error:
                    STATS.failed("urllib3_body.read_chunked", error)
                yield data
        except BaseException as error:
            if seen.is_reading:  # else the app is done with the generator, and may go on to read by other means
                _fail(seen, error)
            raise
        finally:
            chunks.close()
        if amt != 0:
            _end(seen)

    def stream(self, *args: Any, **kwargs: Any) -> Generator[bytes, None, None]:
        yield from super().stream(*args, **kwargs)  # type: ignore[misc]
        if (args[0] if args else kwargs.get("amt")) != 0:
            _end(vars(self)[_SEEN])

    def close(self) -> None:
        """Of the app, unless urllib3 does it inside of a read."""
        seen: _Seen = vars(self)[_SEEN]
        if not seen.is_reading:
            _close(seen)
        super().close()  # type: ignore[misc]


class _ObservedRead1:
    """The same for `read1`, which `urllib3.HTTPResponse` has since 2."""

    decode_content: Any

    def read1(self, amt: Any = None, decode_content: Any = None, *args: Any, **kwargs: Any) -> Any:
        seen: _Seen = vars(self)[_SEEN]
        seen.is_reading = True
        try:
            data = super().read1(amt, decode_content, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            _fail(seen, error)
            raise
        seen.is_reading = False
        some = 1 if amt is None else amt  # without an amount it returns what is there, not everything
        try:
            seen.read(self, data, some, self.decode_content if decode_content is None else decode_content)
        except Exception as error:
            STATS.failed("urllib3_body.read1", error)
        return data


@guarded
def _fail(seen: _Seen, error: BaseException) -> None:
    seen.is_reading = False
    seen.exchange.failed(error)


@guarded
def _end(seen: _Seen) -> None:
    seen.exchange.ended()


@guarded
def _close(seen: _Seen) -> None:
    seen.exchange.closed()


@guarded
def _drop(seen: _Seen) -> None:
    seen.exchange.closed()
    open_exchanges.release(seen.exchange)


_observed_classes: dict[type, type] = {}


def _observed_class(kind: type) -> type:
    """`kind` that passes on what is read; by name and module it is `kind`."""
    made = _observed_classes.get(kind)
    if made is None:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        observed = (_Observed, _ObservedRead1) if hasattr(kind, "read1") else (_Observed,)
        made = _observed_classes[kind] = type(kind.__name__, (*observed, kind), names)
    return made
