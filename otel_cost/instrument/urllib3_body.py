"""Observing a body of urllib3 (requests, botocore) as the app reads it.

The response object stays the one that the app holds; its class becomes a subclass whose reading methods pass on what
they return. All other ways to read (`stream`, `readinto`, `readline`, `data`, iteration) come down to these.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.open_streams import OPEN_STREAMS

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
    seen = vars(raw)[_SEEN] = _Seen(exchange, content_encoding, raw)
    OPEN_STREAMS.add(seen)
    raw.__class__ = _observed_class(type(raw))
    return True


class _Seen:
    """What one response's app has read of it."""

    __slots__ = ("__weakref__", "_decoder", "_encoding", "_exchange", "_is_decodable", "is_reading")

    def __init__(self, exchange: Exchange, content_encoding: str | None, raw: Any) -> None:
        self._exchange = exchange
        self._encoding = content_encoding
        named = [name.strip() for name in (content_encoding or "").lower().split(",")]
        self._is_decodable = any(name in raw.CONTENT_DECODERS for name in named)  # urllib3 decodes those it knows
        self._decoder: Any = None
        self.is_reading = False

    def __enter__(self) -> None:
        """urllib3 reads: where it closes the response before it raises, the app did not."""
        self.is_reading = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.is_reading = False
        if error is not None:
            self.failed(error)

    def read(self, raw: Any, data: bytes | None, amount: int | None, is_decoded: bool | None) -> None:
        """What one call returned: the end, if it asked for everything or got nothing, or nothing is left to read."""
        try:
            if data:
                self.chunks(is_decoded)(data)
            wants_all = amount is None or amount < 0
            if wants_all or (not data and amount) or (self._encoding is None and raw.isclosed()):
                self._exchange.ended()
        except Exception as error:
            STATS.failed("urllib3_body.read", error)

    def chunks(self, is_decoded: bool | None) -> Callable[[bytes], object]:
        """What to call with pieces of the body that are as they were on the wire, unless urllib3 has decoded them."""
        if self._encoding is None or (is_decoded and self._is_decodable):
            return self._exchange.chunk
        return self._encoded_chunk

    def _encoded_chunk(self, data: bytes) -> None:
        try:
            if self._decoder is None:
                from otel_cost.instrument.encoding import decoder

                self._decoder = decoder(self._encoding)
            plain = self._decoder.feed(data)
        except Exception as error:
            STATS.failed("urllib3_body.decode", error)
            return
        if plain:
            self._exchange.chunk(plain)

    def ended(self) -> None:
        self._exchange.ended()

    def closed(self) -> None:
        self._exchange.closed()

    def failed(self, error: BaseException) -> None:
        self._exchange.failed(error)

    def __del__(self) -> None:
        """The app dropped the response (whose own finalizer closes it only if its connection is still open)."""
        self._exchange.closed()


class _Observed:
    """Goes before `urllib3.HTTPResponse` (1.26 and 2) in a class's bases."""

    decode_content: Any

    def read(self, amt: Any = None, decode_content: Any = None, *args: Any, **kwargs: Any) -> Any:
        seen: _Seen = vars(self)[_SEEN]
        with seen:
            data = super().read(amt, decode_content, *args, **kwargs)  # type: ignore[misc]
        seen.read(self, data, amt, self.decode_content if decode_content is None else decode_content)
        return data

    def read1(self, amt: Any = None, decode_content: Any = None, *args: Any, **kwargs: Any) -> Any:
        seen: _Seen = vars(self)[_SEEN]
        with seen:
            data = super().read1(amt, decode_content, *args, **kwargs)  # type: ignore[misc]
        some = 1 if amt is None else amt  # without an amount it returns what is there, not everything
        seen.read(self, data, some, self.decode_content if decode_content is None else decode_content)
        return data

    def read_chunked(self, amt: Any = None, decode_content: Any = None) -> Generator[bytes, None, None]:
        seen: _Seen = vars(self)[_SEEN]
        chunk = seen.chunks(decode_content)
        chunks = super().read_chunked(amt, decode_content)  # type: ignore[misc]
        try:
            while True:
                seen.is_reading = True
                data = next(chunks, None)
                seen.is_reading = False
                if data is None:
                    break
                chunk(data)
                yield data
        except BaseException as error:
            if seen.is_reading:  # else the app is done with the generator, and may go on to read by other means
                seen.is_reading = False
                seen.failed(error)
            raise
        finally:
            chunks.close()
        if amt != 0:
            seen.ended()

    def stream(self, *args: Any, **kwargs: Any) -> Generator[bytes, None, None]:
        yield from super().stream(*args, **kwargs)  # type: ignore[misc]
        if (args[0] if args else kwargs.get("amt")) != 0:
            vars(self)[_SEEN].ended()

    def close(self) -> None:
        """Of the app, unless urllib3 does it inside of a read."""
        seen: _Seen = vars(self)[_SEEN]
        if not seen.is_reading:
            seen.closed()
        super().close()  # type: ignore[misc]


_observed_classes: dict[type, type] = {}


def _observed_class(kind: type) -> type:
    """`kind` that passes on what is read; by name and module it is `kind`."""
    made = _observed_classes.get(kind)
    if made is None:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        made = _observed_classes[kind] = type(kind.__name__, (_Observed, kind), names)
    return made
