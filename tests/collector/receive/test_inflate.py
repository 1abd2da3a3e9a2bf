"""Compressed bodies: whole, in pieces, in members, damaged, and too large."""

from __future__ import annotations

import gzip
import zlib

import pytest

from collector.errors import MalformedRequest, RequestTooLarge, UnsupportedEncoding
from collector.receive.inflate import BodyReader, inflate

TEXT = b"spans " * 1000
ZIPPED = gzip.compress(TEXT, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", ZIPPED), ("deflate", zlib.compress(TEXT)), ("identity", TEXT), ("", TEXT)],
)
@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_a_body_is_the_same_however_it_is_cut(encoding: str, body: bytes, step: int) -> None:
    """Chunks of a stream have no meaning."""
    reader = BodyReader(encoding, 10_000)
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    assert reader.finish() == TEXT


@pytest.mark.parametrize("step", [1, 7, 10**6])
def test_all_members_of_a_gzip_body_are_read(step: int) -> None:
    """A reader of one member would acknowledge the rest and drop it."""
    body = ZIPPED + gzip.compress(b"") + gzip.compress(b"more") + b"\0" * 20
    reader = BodyReader("gzip", 10_000)
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    assert reader.finish() == TEXT + b"more"


@pytest.mark.parametrize("body", [ZIPPED[:-1], ZIPPED[:20], ZIPPED + b"\x1f"])
def test_an_incomplete_body_is_malformed(body: bytes) -> None:
    """Cut in the trailer, in the data, and in a second member's header."""
    with pytest.raises(MalformedRequest, match="incomplete"):
        inflate(body, "gzip", 10_000)


@pytest.mark.parametrize("body", [b"plain", ZIPPED[:-4] + b"\0\0\0\1", ZIPPED + b"junk"])
def test_a_damaged_body_is_malformed(body: bytes) -> None:
    """Not gzip, a wrong length, and rubbish after the last member."""
    with pytest.raises(MalformedRequest, match="damaged"):
        inflate(body, "gzip", 10_000)


def test_the_cap_is_exact() -> None:
    """The size that is allowed is allowed; one byte more is not."""
    assert inflate(ZIPPED, "gzip", len(TEXT)) == TEXT
    assert inflate(TEXT, "identity", len(TEXT)) == TEXT
    for body, encoding in ((ZIPPED, "gzip"), (TEXT, "")):
        with pytest.raises(RequestTooLarge):
            inflate(body, encoding, len(TEXT) - 1)


def test_an_empty_body_is_empty_in_every_encoding() -> None:
    """Nothing compressed is nothing, not half a member."""
    assert [inflate(b"", encoding, 10) for encoding in ("gzip", "deflate", "identity", "")] == [b""] * 4


def test_an_unknown_encoding_is_named() -> None:
    """zstd is not understood; the sender is told what is."""
    with pytest.raises(UnsupportedEncoding, match="zstd"):
        BodyReader("zstd", 10)
