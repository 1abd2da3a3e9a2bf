"""Content codings of observed bodies, decoded as the bytes pass: gzip, deflate, and br and zstd where the app has them.

Nothing here raises, and nothing is imported before a response needs it. What cannot be decoded is no longer followed:
`Decoder.stopped` says why.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Literal, Protocol

MAX_FEED_BYTES = 32 * 1024 * 1024
"""What one chunk may decode to. Higher, and a small chunk of zeros holds as much of the app's memory; lower, and a
whole answer that comes as one chunk (an image in base64, a batch's results) is not read."""

MAX_DECODED_BYTES = 512 * 1024 * 1024
"""What one body may decode to. Higher, and a bomb costs more seconds of the app's time; lower, and the results file of
a large batch is not read to its end."""

MAX_MEMBERS = 64
"""gzip members or zstd frames in one chunk. More, and a chunk of empty ones costs seconds; fewer, and a body that was
compressed in pieces is not read."""

MAX_CODINGS = 5
"""Codings on top of each other. A response has one; more than a few is an attack. httpx2 draws the same line."""

_GZIP = zlib.MAX_WBITS | 16
_BROTLI_PIECE_BYTES = 64  # of what goes into libraries that cannot bound what comes out: some tens of MB at the worst
_ZSTD_PIECE_BYTES = 512

Stopped = Literal["unsupported", "garbage", "too_large"]
_Step = Callable[[bytes, int], bytes]  # (data, limit) -> at most about `limit` decoded bytes; raises what it likes


class _TooLargeError(Exception):
    """More than the limit came out."""


class Decoder(Protocol):
    """Decodes one body, chunk by chunk."""

    @property
    def is_identity(self) -> bool:
        """Whether `feed` gives back what it gets."""

    @property
    def stopped(self) -> Stopped | None:
        """Why it follows no longer; None while it does."""

    def feed(self, data: bytes) -> bytes:
        """What can be decoded by now, at most `MAX_FEED_BYTES`. Never raises; b"" once it stopped."""

    def end(self) -> bytes:
        """What was held back until the end."""


def decoder(content_encoding: str | None) -> Decoder:
    """For a body under this `content-encoding`, in the order in which the codings were applied (RFC 9110, 8.4).

    Unknown names are passed over, as the HTTP libraries do.
    """
    if not content_encoding:
        return IDENTITY
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name in _STEPS]
    return _Following(names) if names else IDENTITY


class _Identity:
    """Of bodies that are not encoded; has no state."""

    __slots__ = ()
    is_identity = True
    stopped: Stopped | None = None

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


IDENTITY: Decoder = _Identity()


class _Following:
    """Of bodies that are."""

    __slots__ = ("_decoded_bytes", "_steps", "stopped")
    is_identity = False

    def __init__(self, names: list[str]) -> None:
        self.stopped: Stopped | None = None
        self._decoded_bytes = 0
        self._steps: list[_Step] = []
        try:
            self._steps = [_STEPS[name]() for name in reversed(names[: MAX_CODINGS + 1])]
        except Exception:  # the app has no library for it, or one that has changed
            self._stop("unsupported")
        if len(names) > MAX_CODINGS:
            self._stop("unsupported")

    def feed(self, data: bytes) -> bytes:
        if self.stopped is not None:
            return b""
        try:
            for step in self._steps:
                data = step(data, MAX_FEED_BYTES)
        except _TooLargeError:
            return self._stop("too_large")
        except Exception:  # each library has its own errors
            return self._stop("garbage")
        self._decoded_bytes += len(data)
        return self._stop("too_large") if self._decoded_bytes > MAX_DECODED_BYTES else data

    def end(self) -> bytes:
        """All that could be decoded was given as it came; a body that was cut off is no error of ours."""
        return b""

    def _stop(self, why: Stopped) -> bytes:
        self.stopped = why
        self._steps = []
        return b""


class _Inflate:
    """gzip (also of several members), zlib, and raw deflate for servers that read RFC 9110's `deflate` that way."""

    __slots__ = ("_head", "_inner", "_window_bits")

    def __init__(self, window_bits: int | None) -> None:
        self._window_bits = window_bits  # None: not known before its first two bytes were seen
        self._inner: Any = None if window_bits is None else zlib.decompressobj(window_bits)
        self._head = b""

    def __call__(self, data: bytes, limit: int) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 2:
                return b""
            data, self._head = self._head, b""
            self._window_bits = zlib.MAX_WBITS if _is_zlib(data) else -zlib.MAX_WBITS
            self._inner = zlib.decompressobj(self._window_bits)
        parts = [self._inner.decompress(data, limit)]
        while self._inner.eof and self._window_bits == _GZIP and self._inner.unused_data.lstrip(b"\0"):
            rest, self._inner = self._inner.unused_data, zlib.decompressobj(_GZIP)
            limit -= len(parts[-1])
            if limit <= 0 or len(parts) == MAX_MEMBERS:
                raise _TooLargeError
            parts.append(self._inner.decompress(rest, limit))
        if self._inner.unconsumed_tail:
            raise _TooLargeError
        return b"".join(parts)


def _is_zlib(data: bytes) -> bool:
    """RFC 1950, 2.2: method 8, and both bytes together are a multiple of 31."""
    return data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0


def _brotli() -> _Step:
    library = _first_of("brotli", "brotlicffi")
    inner = library.Decompressor()
    process = getattr(inner, "process", None) or inner.decompress

    def bounded(data: bytes, limit: int) -> bytes:
        decoded: bytes = process(data, output_buffer_limit=limit)
        if len(decoded) >= limit or not inner.can_accept_more_data():
            raise _TooLargeError
        return decoded

    def unbounded(data: bytes, limit: int) -> bytes:
        parts: list[bytes] = []
        for piece in _pieces(data, _BROTLI_PIECE_BYTES):
            parts.append(process(piece))
            limit -= len(parts[-1])
            if limit < 0:
                raise _TooLargeError
        return b"".join(parts)

    return bounded if hasattr(inner, "can_accept_more_data") else unbounded  # Brotli before 1.2 has neither


def _zstandard() -> _Step:
    names = ("backports.zstd", "zstandard")
    library = _first_of(*(("compression.zstd", *names) if sys.version_info >= (3, 14) else names))
    if library.__name__ == "zstandard":
        return _Frames(lambda: library.ZstdDecompressor().decompressobj(), takes_limit=False)
    return _Frames(library.ZstdDecompressor, takes_limit=True)


class _Frames:
    """zstd: a body is one frame or several (RFC 8878, 3)."""

    __slots__ = ("_inner", "_new", "_takes_limit")

    def __init__(self, new: Callable[[], Any], *, takes_limit: bool) -> None:
        self._new, self._takes_limit = new, takes_limit
        self._inner = new()

    def __call__(self, data: bytes, limit: int) -> bytes:
        parts: list[bytes] = []
        frames = 0
        for piece in (data,) if self._takes_limit else _pieces(data, _ZSTD_PIECE_BYTES):
            rest = piece
            while rest:
                if self._inner.eof:
                    frames += 1
                    self._inner = self._new()
                parts.append(self._inner.decompress(rest, limit) if self._takes_limit else self._inner.decompress(rest))
                limit -= len(parts[-1])
                if limit <= 0 or frames > MAX_MEMBERS:
                    raise _TooLargeError
                rest = self._inner.unused_data if self._inner.eof else b""
        return b"".join(parts)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Little at a time, for libraries that decode all they are given: to see early that it becomes too much."""
    return (data[start : start + size] for start in range(0, len(data), size))


def _first_of(*names: str) -> Any:
    """The first of these modules that the app has.

    Raises:
        ImportError: it has none.
    """
    for name in names[:-1]:
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module(names[-1])


def _unsupported() -> _Step:
    raise ImportError("no library of the app decodes it")


_STEPS: Mapping[str, Callable[[], _Step]] = {
    "gzip": lambda: _Inflate(_GZIP),
    "x-gzip": lambda: _Inflate(_GZIP),
    "deflate": lambda: _Inflate(None),
    "br": _brotli,
    "zstd": _zstandard,
    "compress": _unsupported,
    "x-compress": _unsupported,
}
