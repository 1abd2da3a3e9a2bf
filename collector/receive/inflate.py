"""Compressed bodies, inflated as they arrive and never beyond the cap."""

from __future__ import annotations

import zlib

from collector.errors import MalformedRequest, RequestTooLarge, UnsupportedEncoding
from collector.limits import INFLATE_CHUNK_BYTES

_SMALL_BYTES = 16 * 1024
"""A Python object takes 33 bytes beside its own; pieces below this are put together as they arrive."""

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class BodyReader:
    """Collects one body. `feed` chunks, then `finish`.

    A gzip body may have several members, one after the other; all are read. Padding zeros after the last are ignored.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        """Raises `UnsupportedEncoding`."""
        self._bits = _WINDOW_BITS.get(encoding)
        if self._bits is None and encoding not in {"", "identity"}:
            raise UnsupportedEncoding(f"content encoding {encoding[:40]!r}; gzip, deflate and identity are understood")
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._held_bytes = 0
        self._parts: list[bytes | bytearray] = []
        self._member: zlib._Decompress | None = None
        self._complete = True

    @property
    def held_bytes(self) -> int:
        """Decompressed bytes collected so far."""
        return self._held_bytes

    def feed(self, chunk: bytes) -> None:
        """Raises `RequestTooLarge`, `MalformedRequest`."""
        self._received_bytes += len(chunk)
        if self._received_bytes > self._max_bytes:
            raise self._too_large()
        if self._bits is None:
            self._keep(chunk)
            return
        while chunk:
            if self._member is None:
                chunk = chunk if self._complete and not self._held_bytes else chunk.lstrip(b"\0")
                if not chunk:
                    return
                self._member = zlib.decompressobj(self._bits)
            chunk = self._inflate(self._member, chunk)

    def _inflate(self, member: zlib._Decompress, chunk: bytes) -> bytes:
        """Takes what belongs to this member; returns what follows it."""
        self._complete = False
        while chunk and not member.eof:
            try:
                self._keep(member.decompress(chunk, INFLATE_CHUNK_BYTES))
            except zlib.error as error:
                raise MalformedRequest(f"the compressed body is damaged: {error}") from None
            if self._held_bytes > self._max_bytes:
                raise self._too_large()
            chunk = member.unconsumed_tail
        if member.eof:
            self._complete, self._member = True, None
            return member.unused_data
        return b""

    def finish(self) -> bytes:
        """The whole body, which is not held here any more. Raises `MalformedRequest` if compressed data stops short."""
        if not self._complete:
            raise MalformedRequest("the compressed body is incomplete")
        body = b"".join(self._parts)
        self._parts.clear()
        return body

    def _keep(self, piece: bytes) -> None:
        """A body that arrived in one piece is never copied; of many small ones none is an object of its own."""
        self._held_bytes += len(piece)
        if len(piece) >= _SMALL_BYTES or not self._parts:
            self._parts.append(piece)
        elif isinstance(last := self._parts[-1], bytearray):
            last += piece
        else:
            self._parts.append(bytearray(piece))

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"the request has more than {self._max_bytes} bytes after decompression")


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """A whole body at once. Raises as `BodyReader` does."""
    reader = BodyReader(encoding, max_bytes)
    reader.feed(body)
    return reader.finish()
