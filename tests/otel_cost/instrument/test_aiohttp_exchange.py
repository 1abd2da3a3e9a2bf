"""What is seen of a response of aiohttp whose body has come with its head."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from multidict import CIMultiDict

from otel_cost.instrument import aiohttp_exchange
from otel_cost.instrument.aiohttp_body import ObservedReader
from otel_cost.instrument.observe import begin
from otel_cost.instrument.wire.types import Request
from tests.otel_cost.instrument.observing import observed
from tests.otel_cost.instrument.recording import Recorded

BODY = b'{"id": "a"}'


def seen(
    *pieces: bytes,
    is_all: bool = True,
    taken: int = 0,
    headers: dict[str, str] | None = None,
    auto_decompress: bool = True,
    takes: bool = True,
) -> tuple[str | None, bytes, type, bytes]:
    """How the exchange ended and with which body, before the app has read; class of the reader; what the app reads."""

    async def run() -> tuple[str | None, bytes, type, bytes]:
        content = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16, loop=asyncio.get_running_loop())
        for piece in pieces:
            content.feed_data(piece)
        if is_all:
            content.feed_eof()
        content.read_nowait(taken)
        said: Any = SimpleNamespace(content=content, headers=CIMultiDict(headers or {}), status=200, _body=None)
        exchange: Any = Recorded(Request("POST", "", {}), "aiohttp", takes_json_at_once=takes)
        async with ClientSession() as session:
            options = {} if auto_decompress else {"auto_decompress": False}
            assert aiohttp_exchange.responded(exchange, session, said, options)
        told = exchange.outcome, b"".join(exchange.pieces), type(content)
        return *told, await content.read(2**16)

    return asyncio.run(run())


def test_json_that_has_all_come_is_read_at_once_and_stays_for_the_app() -> None:
    assert seen(BODY) == ("whole", BODY, StreamReader, BODY)
    outcome, body, kind, _ = seen(BODY[:4], BODY[4:])
    assert (outcome, body, kind) == ("whole", BODY, StreamReader)
    assert seen(BODY, headers={"content-encoding": "gzip"})[0] == "whole"  # aiohttp has decoded it


@pytest.mark.parametrize(
    "other",
    [
        {"is_all": False},
        {"taken": 2},
        {"takes": False},
        {"headers": {"content-encoding": "own"}},
        {"headers": {"content-encoding": "gzip"}, "auto_decompress": False},
    ],
    ids=str,
)
def test_what_else_there_is_is_followed_as_the_app_reads(other: dict[str, Any]) -> None:
    outcome, body, kind, read = seen(BODY, **other)
    assert (outcome, body, kind) == (None, b"", ObservedReader)
    assert read == BODY[other.get("taken", 0) :]
    assert seen(b"data: {}", **other)[2] is ObservedReader


def test_an_empty_body_ends_the_exchange() -> None:
    assert seen()[0] == "ended"


def test_only_json_is_read_before_the_app_does_and_only_where_no_stream_was_asked_for() -> None:
    url = "https://api.openai.com/v1/chat/completions"
    with observed():
        for sent, takes in ((b'{"model": "m"}', True), (b'{"model": "m", "stream": true}', False)):
            exchange = begin(Request("POST", url, {}, sent), "aiohttp")
            assert exchange is not None
            exchange.leave()
            assert exchange.takes_at_once(BODY) is takes
            assert not exchange.takes_at_once(b"data: {}")
            exchange.closed()


def test_urls_are_put_together_once_and_those_with_a_key_are_not_kept() -> None:
    async def run() -> list[str]:
        bases = ("http://a.example/v1/", "http://c.example/")
        async with ClientSession() as plain, ClientSession(bases[0]) as based, ClientSession(bases[1]) as other:
            asked: list[tuple[ClientSession, str, dict[str, Any]]] = [
                (plain, "http://b.example/x", {}),
                (plain, "http://b.example/x", {}),
                (plain, "http://b.example/x", {"params": {"q": "1"}}),
                (based, "x", {}),
                (other, "x", {}),
                (based, "http://b.example/x", {}),
                (plain, "http://b.example/x?key=secret", {}),
                (plain, "http://me:secret@b.example/x", {}),
            ]
            return [aiohttp_exchange.request_of(session, "post", url, options).url for session, url, options in asked]

    assert asyncio.run(run()) == [
        "http://b.example/x",
        "http://b.example/x",
        "http://b.example/x?q=1",
        "http://a.example/v1/x",
        "http://c.example/x",
        "http://b.example/x",
        "http://b.example/x?key=secret",
        "http://me:secret@b.example/x",
    ]
    assert not [url for url in aiohttp_exchange._texts.values() if "secret" in url]
