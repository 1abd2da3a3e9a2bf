"""Decoding of observed bodies: exact, in any chunks, bounded, and never an exception."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument import encoding
from otel_cost.instrument.encoding import decoder

Encode = Callable[[bytes], bytes]


def _raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


def _codings() -> list[tuple[str, Encode]]:
    """Those that every app has, and those of the libraries that are installed here."""
    found: list[tuple[str, Encode]] = [
        ("gzip", gzip.compress),
        ("X-GZip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
        ("gzip,gzip , deflate", lambda data: zlib.compress(gzip.compress(gzip.compress(data)))),
        ("identity, gzip", gzip.compress),
    ]
    optional = {"brotli": "br", "brotlicffi": "br", "backports.zstd": "zstd", "zstandard": "zstd"}
    for module, name in optional.items():
        try:
            found.append((name, importlib.import_module(module).compress))
        except ImportError:
            continue
    return found


CODINGS = _codings()


@given(coding=st.sampled_from(CODINGS), data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=30))
def test_any_body_in_any_chunks_is_decoded_to_what_was_encoded(
    coding: tuple[str, Encode], data: bytes, cuts: list[int]
) -> None:
    name, encode = coding
    encoded = encode(data * 3)
    follows = decoder(name)
    bounds = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    parts = [follows.feed(encoded[start:end]) for start, end in pairwise(bounds)]
    assert b"".join(parts) + follows.end() == data * 3
    assert follows.stopped is None


@given(name=st.sampled_from([name for name, _ in CODINGS]), chunks=st.lists(st.binary(max_size=200), max_size=10))
def test_no_bytes_make_it_raise(name: str, chunks: list[bytes]) -> None:
    follows = decoder(name)
    for chunk in chunks:
        follows.feed(chunk)
    follows.end()
    assert follows.stopped in (None, "garbage", "too_large")


@given(data=st.binary(min_size=50, max_size=2000), keep=st.floats(0, 1), name=st.sampled_from(["gzip", "deflate"]))
def test_a_body_that_is_cut_off_gives_a_prefix_and_no_failure(data: bytes, keep: float, name: str) -> None:
    encoded = gzip.compress(data) if name == "gzip" else zlib.compress(data)
    follows = decoder(name)
    assert data.startswith(follows.feed(encoded[: int(len(encoded) * keep)]) + follows.end())
    assert follows.stopped is None


def test_each_event_is_decoded_when_it_comes() -> None:
    """Servers flush after each event; it must not wait for the next."""
    deflate = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    follows = decoder("gzip")
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        assert follows.feed(deflate.compress(event) + deflate.flush(zlib.Z_SYNC_FLUSH)) == event


def test_after_garbage_nothing_more_is_followed() -> None:
    follows = decoder("gzip")
    assert follows.feed(b"this is no gzip at all") == b""
    assert follows.stopped == "garbage"
    assert follows.feed(gzip.compress(b"right")) == b""


def test_a_chunk_that_decodes_to_more_than_the_bound_is_not_followed() -> None:
    bomb = gzip.compress(bytes(encoding.MAX_FEED_BYTES + 1))
    assert len(bomb) < 40_000
    follows = decoder("gzip")
    assert follows.feed(bomb) == b""
    assert follows.stopped == "too_large"


def test_a_bomb_within_a_bomb_is_not_followed() -> None:
    follows = decoder("gzip, gzip")
    follows.feed(gzip.compress(gzip.compress(bytes(encoding.MAX_FEED_BYTES + 1))))
    assert follows.stopped == "too_large"


def test_a_body_that_decodes_to_more_than_the_bound_in_all_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MAX_DECODED_BYTES", 2500)
    deflate = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    follows = decoder("gzip")
    fed = [follows.feed(deflate.compress(b"x" * 1000) + deflate.flush(zlib.Z_SYNC_FLUSH)) for _ in range(4)]
    assert [len(each) for each in fed] == [1000, 1000, 0, 0]
    assert follows.stopped == "too_large"


def test_gzip_of_several_members_is_one_body_but_not_of_very_many() -> None:
    assert decoder("gzip").feed(gzip.compress(b"one, ") + gzip.compress(b"two") + bytes(20)) == b"one, two"
    follows = decoder("gzip")
    assert follows.feed(gzip.compress(b"") * 10_000) == b""
    assert follows.stopped == "too_large"


@pytest.mark.parametrize("content_encoding", [None, "", "identity", "utf-8", "aws-chunked"])
def test_what_is_not_encoded_passes_as_it_is(content_encoding: str | None) -> None:
    follows = decoder(content_encoding)
    chunk = b"data: {}\n\n"
    assert follows.is_identity
    assert follows.feed(chunk) is chunk
    assert follows.end() == b""


@pytest.mark.parametrize("content_encoding", ["compress", "gzip, x-compress", "gzip" + ", gzip" * encoding.MAX_CODINGS])
def test_a_coding_that_cannot_be_decoded_is_not_followed(content_encoding: str) -> None:
    follows = decoder(content_encoding)
    assert follows.stopped == "unsupported"
    assert follows.feed(gzip.compress(b"x")) == b""


def test_without_a_library_br_and_zstd_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_module(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(encoding, "import_module", no_module)
    assert [decoder(name).stopped for name in ("br", "zstd")] == ["unsupported", "unsupported"]
