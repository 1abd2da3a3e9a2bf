"""What a page is told without asking, as Server-Sent Events: the ledger has changed, something happened to a budget."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError
from collector.serve.api.path import Path, Returns
from collector.serve.api.shapes import as_json

EVENT_STREAM = "text/event-stream"
LEAST_SECONDS = 1.0
"""Between two events `changed`. Lower: every page asks for all of its figures more often than anybody can read them."""
HEARTBEAT_SECONDS = 15.0
"""Proxies close a connection on which nothing is said for a minute or less."""
MAX_LISTENERS = 500
"""At once; each keeps a connection. More are told to come again (503)."""
MAX_OF_ONE = 100
"""Of those, by the same caller. More: one script that never hangs up leaves no place for anybody else. Fewer: people
who share a token, each with a few pages open, are refused. Where nobody says who they are, there is nobody else."""
MAX_WAITING = 200
"""Budget events for one listener that does not read. The oldest are dropped: they are in /budgets/events too."""
RETRY_MS = 3000
"""How soon a browser connects again after the collector was restarted."""


@dataclass(frozen=True, slots=True)
class BudgetNews:
    """An event of one organisation's budget, as `/budgets/events` shows it."""

    org: str
    body: dict[str, Any]


MayStill = Callable[[], Awaitable[bool]]
"""Whether a listener's credential is good yet: people log out, and tokens end."""


class _Listener:
    """One connection. All methods run on its event loop."""

    def __init__(self, org: str | None, caller: str | None) -> None:
        self.org = org
        self.caller = caller
        self.woken = asyncio.Event()
        self.changed = False
        self.budgets: deque[BudgetNews] = deque(maxlen=MAX_WAITING)


class News:
    """Told by the collector's threads, heard on the event loop of the API. `start()` is called on that loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[_Listener] = set()
        self._stopped = False
        self.last_seq = 0
        self.as_of: datetime | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """End all streams, on the event loop: the server waits for them."""
        self._stopped = True
        for listener in self._listeners:
            listener.woken.set()

    def changed(self, as_of: datetime, last_seq: int) -> None:
        """What is asked from now on sees the ledger as published at `as_of`, up to `last_seq`. From any thread."""
        self._call(lambda: self._changed(last_seq, as_of))

    def happened(self, news: Iterable[BudgetNews]) -> None:
        """Something happened to budgets. From any thread."""
        heard = list(news)
        if heard:
            self._call(lambda: self._happened(heard))

    def _call(self, work: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(work)

    def _changed(self, last_seq: int, as_of: datetime) -> None:
        self.last_seq, self.as_of = last_seq, as_of
        for listener in self._listeners:
            listener.changed = True
            listener.woken.set()

    def _happened(self, heard: list[BudgetNews]) -> None:
        for listener in self._listeners:
            listener.budgets.extend(each for each in heard if listener.org in (None, each.org))
            if listener.budgets:
                listener.woken.set()

    def listen(self, org: str | None, may_still: MayStill, caller: str | None = None) -> AsyncIterator[str]:
        """The events for whoever may see an organisation (None: all), for as long as they may.

        `caller`: who asks; None: nobody says. Raises ApiError: too many listen, or they do too often.
        """
        crowd = self._crowd(caller)
        if crowd is not None:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", crowd)
        return self._told(_Listener(org, caller), may_still)

    def _crowd(self, caller: str | None) -> str | None:
        """Why there is no place for a caller; None: there is one."""
        if len(self._listeners) >= MAX_LISTENERS:
            return f"{MAX_LISTENERS} pages listen already"
        if caller is not None and sum(each.caller == caller for each in self._listeners) >= MAX_OF_ONE:
            return f"{MAX_OF_ONE} pages of {caller} listen already"
        return None

    async def _told(self, listener: _Listener, may_still: MayStill) -> AsyncIterator[str]:
        told_seconds = 0.0
        if self._crowd(listener.caller) is not None:
            return  # many came at the same time, and places were taken since they were told that there are some
        try:
            self._listeners.add(listener)  # not before: what is never begun never ends
            yield f"retry: {RETRY_MS}\n\n"
            listener.changed = True  # where the ledger stands, so that a page knows whether it missed something
            while not self._stopped and await may_still():
                while listener.budgets:
                    yield _event("budget", {"event": listener.budgets.popleft().body})
                pause_seconds = told_seconds + LEAST_SECONDS - time.monotonic()
                if listener.changed and pause_seconds <= 0:
                    listener.changed, told_seconds = False, time.monotonic()
                    # how much others send is not for whoever sees one organisation
                    last_seq = self.last_seq if listener.org is None else None
                    yield _event("changed", {"last_seq": last_seq, "as_of": as_json(self.as_of)})
                    continue
                listener.woken.clear()
                was_changed = listener.changed
                woken = await _set(listener.woken, pause_seconds if was_changed else HEARTBEAT_SECONDS)
                if not woken and not was_changed:
                    yield ": still here\n\n"
        finally:
            self._listeners.discard(listener)


async def _set(event: asyncio.Event, timeout_seconds: float) -> bool:
    """Whether it was set in time."""
    try:
        await asyncio.wait_for(event.wait(), max(0.0, timeout_seconds))
    except TimeoutError:
        return False
    return True


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def news_path(news: News) -> Path:
    """The stream."""

    async def stream(request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        caller = None if request.state.login == "none" else request.state.caller
        told = news.listen(request.state.org, request.state.may_still, caller)
        return StreamingResponse(told, media_type=EVENT_STREAM, headers=headers)

    return Path(
        "GET",
        "/stream",
        Role.VIEWER,
        stream,
        "events: `changed` when there is more in the ledger, `budget` when something happened to one",
        returns=Returns(None, EVENT_STREAM),
    )
