"""What an app can tell of a call by httpx or httpx2: everything it got, in order, and how it ended."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any

ASK = {"model": "gpt-4o-mini", "messages": [], "stream": True}
PATH = "/v1/chat/completions"

Transcript = list[tuple[str, object]]
Way = Callable[[Any], Iterator[object]]
AsyncWay = Callable[[Any], AsyncIterator[object]]

WAYS: dict[str, Way] = {
    "iter_raw": lambda response: response.iter_raw(),
    "iter_raw(7)": lambda response: response.iter_raw(7),
    "iter_bytes": lambda response: response.iter_bytes(),
    "iter_bytes(5)": lambda response: response.iter_bytes(5),
    "iter_text": lambda response: response.iter_text(),
    "iter_lines": lambda response: response.iter_lines(),
    "read": lambda response: iter([response.read(), response.content, response.read()]),
    "stream": lambda response: iter(response.stream),
    "twice": lambda response: iter([*islice(response.iter_raw(), 1), *response.stream]),
    "unread": lambda response: iter([response.content]),
}


async def _async_list(*pieces: object) -> AsyncIterator[object]:
    for piece in pieces:
        yield piece


async def _aread(response: Any) -> AsyncIterator[object]:
    yield await response.aread()
    yield response.content
    yield await response.aread()


async def _atwice(response: Any) -> AsyncIterator[object]:
    """As openai's client does: what a first iterator has left, a second one drains."""
    first = response.aiter_raw()
    async for piece in first:
        yield piece
        break
    else:
        return  # httpx would wait for ever for the rest of a body that is cut off before it begins
    async for piece in response.stream:
        yield piece
    await first.aclose()


ASYNC_WAYS: dict[str, AsyncWay] = {
    "iter_raw": lambda response: response.aiter_raw(),
    "iter_raw(7)": lambda response: response.aiter_raw(7),
    "iter_bytes": lambda response: response.aiter_bytes(),
    "iter_bytes(5)": lambda response: response.aiter_bytes(5),
    "iter_text": lambda response: response.aiter_text(),
    "iter_lines": lambda response: response.aiter_lines(),
    "read": _aread,
    "stream": lambda response: response.stream.__aiter__(),
    "twice": _atwice,
    "unread": lambda response: _async_list(response.content),
}


def errors(error: BaseException | None) -> list[object]:
    """An error and the errors behind it, by what they say."""
    found: list[object] = []
    while error is not None:
        args = re.sub("0x[0-9a-f]+", "", repr(error.args))
        found.append((type(error), args, error.__suppress_context__, error.__cause__ is error.__context__))
        error = error.__cause__ or error.__context__
    return found


def _facts(response: Any) -> Transcript:
    return [
        ("status", (response.status_code, response.reason_phrase, response.http_version)),
        ("headers", [pair for pair in response.headers.raw if pair[0] != b"Date"]),
        ("history", [(past.status_code, past.content) for past in response.history]),
        ("type", (type(response), response.request.method, str(response.request.url.path))),
        ("state", (response.is_closed, response.is_stream_consumed, response.num_bytes_downloaded)),
        ("elapsed", _has_elapsed(response)),
    ]


def _has_elapsed(response: Any) -> bool:
    try:
        return bool(response.elapsed.total_seconds() > 0)
    except RuntimeError:
        return False


def transcript(client: Any, request: Any, way: str, *, stream: bool, stop_after: int | None) -> Transcript:
    """One call by a sync client; `stop_after`: the app leaves after so many pieces."""
    told: Transcript = []
    response = None
    try:
        response = client.send(request, stream=stream, follow_redirects=True)
        told += _facts(response)
        told.append(("request", response.request is request))
        with contextlib.closing(response):
            for piece in islice(WAYS[way](response), stop_after):
                told.append(("got", piece))
                told.append(("downloaded", response.num_bytes_downloaded))
    except BaseException as error:
        told.append(("raised", errors(error)))
        told.append(("of", getattr(error, "_request", None) is request))
    return told + (_facts(response) if response is not None else [])


async def atranscript(client: Any, request: Any, way: str, *, stream: bool, stop_after: int | None) -> Transcript:
    """The same of an async client."""
    told: Transcript = []
    response = None
    try:
        response = await client.send(request, stream=stream, follow_redirects=True)
        told += _facts(response)
        told.append(("request", response.request is request))
        try:
            pieces = ASYNC_WAYS[way](response)
            left = stop_after
            while left is None or left > 0:
                told.append(("got", await anext(pieces)))
                told.append(("downloaded", response.num_bytes_downloaded))
                left = None if left is None else left - 1
        except StopAsyncIteration:
            pass
        finally:
            await response.aclose()
    except Exception as error:
        told.append(("raised", errors(error)))
        told.append(("of", getattr(error, "_request", None) is request))
    return told + (_facts(response) if response is not None else [])


def asking(module: ModuleType, url: str, **extra: Any) -> Any:
    """The app's request."""
    return module.Request("POST", url + PATH, json=ASK, **extra)
