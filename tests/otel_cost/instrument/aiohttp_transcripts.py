"""Ways to read a response of aiohttp, and what an app can tell of one that it read so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import ClientResponse

PATH = "/v1/chat/completions"
ASK = {"model": "gpt-4o-mini", "stream": True}
PATIENCE = aiohttp.ClientTimeout(total=20)

Way = Callable[[ClientResponse], AsyncIterator[object]]


async def _until_empty(read: Callable[[], Awaitable[Any]]) -> AsyncIterator[object]:
    while piece := await read():
        yield piece


async def _once(read: Callable[[], Awaitable[object]]) -> AsyncIterator[object]:
    yield await read()


async def _exactly(response: ClientResponse) -> AsyncIterator[object]:
    while True:
        try:
            yield await response.content.readexactly(5)
        except asyncio.IncompleteReadError as error:
            yield error.partial
            return


async def _ends_in_chunks(response: ClientResponse) -> AsyncIterator[object]:
    async for data, is_end in response.content.iter_chunks():
        yield data, is_end


WHOLE_WAYS: dict[str, Way] = {
    "read": lambda response: _once(response.read),
    "text": lambda response: _once(lambda: response.text("latin-1")),
    "content.read": lambda response: _once(response.content.read),
}
WAYS: dict[str, Way] = {
    **WHOLE_WAYS,
    "iter_any": lambda response: response.content.iter_any(),
    "iter_chunked(1)": lambda response: response.content.iter_chunked(1),
    "iter_chunked(7)": lambda response: response.content.iter_chunked(7),
    "iter_chunks": _ends_in_chunks,
    "lines": lambda response: aiter(response.content),
    "readuntil": lambda response: _until_empty(lambda: response.content.readuntil(b"}\n")),
    "readexactly": _exactly,
    "read(6)": lambda response: _until_empty(lambda: response.content.read(6)),
    "readany": lambda response: _until_empty(response.content.readany),
}
SAME_PIECES = (*WHOLE_WAYS, "iter_chunked(1)", "lines", "readuntil", "readexactly")
"""Ways whose pieces do not depend on what has arrived by when."""


async def transcript(way: Way, url: str, *, stop_after: int | None, **options: Any) -> list[tuple[str, object]]:
    """What an app can tell of one call: everything it got, in order, and how it ended."""
    told: list[tuple[str, object]] = []
    left = stop_after
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE, **options) as session,
            session.post(url + PATH, json=ASK) as response,
        ):
            told.append(("status", response.status))
            told.append(("kind", isinstance(response.content, aiohttp.StreamReader)))
            if left != 0:
                async for piece in way(response):
                    told.append(("got", piece))
                    left = None if left is None else left - 1
                    if left == 0:
                        break
        told.append(("closed", response.closed))
    except Exception as error:
        told.append((type(error).__name__, re.sub("0x[0-9a-f]+", "", str(error))))
    return told


def joined(told: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """The same, with what it got in one piece: boundaries depend on when bytes arrive."""
    pieces = [piece if isinstance(piece, bytes) else piece[0] for what, piece in told if what == "got"]  # type: ignore[index]
    return [*(each for each in told if each[0] != "got"), ("got", b"".join(pieces))]
