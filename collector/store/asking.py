"""Asking the ledger from a service: questions go to a process of their own (`collector.store.asked`).

It reads the published file, so that neither DuckDB's memory nor Python's lock is shared with what takes spans in. It is
started when the service is, and again after it has died; what it was asked then fails and may be asked again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from collector.errors import QueryTimedOut, StoreUnavailable
from collector.questions.asking import Answered
from collector.store import asked
from collector.store.asked import read_frame, write_frame
from collector.store.layout import Layout

T = TypeVar("T")

DEFAULT_SECONDS = 20.0
"""A question may take so long."""
MOST_WAITING = 64
"""Questions under way; more are refused: a page that is reloaded in anger must not queue for minutes."""
_GRACE_SECONDS = 5.0
"""Beyond a question's own time; then the process is taken for hung and is ended."""
_EAGER_SECONDS = 3.0
"""After the start of a service that nobody asks, where somebody has asked before: what is not summed up yet takes a
while. A service that only lives for seconds is spared a process, and one that nobody ever asks memory and sums."""
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZDIR")

_Waiting = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Any]
"""Where an answer is waited for, and the process that is to give it."""


class Reading:
    """Implements `collector.questions.asking.Asking`. `start` and `stop` may be called from any thread.

    `zone` is the one whose days are summed up beforehand; questions about another one's days take longer. `on_read`
    hears, on a thread of its own, of each publication that is asked from then on: see `as_of`.
    """

    def __init__(
        self,
        published: Path,
        zone: ZoneInfo | None = None,
        on_read: Callable[[datetime, int], None] = lambda _, __: None,
    ) -> None:
        self._published = published
        self._on_read = on_read
        self._zone = zone or ZoneInfo("UTC")
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[int, _Waiting] = {}
        self._number = 0
        self._state: tuple[datetime, int] | None = None
        self._open = False
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """It may be asked at once. The process is started by the first question, or `warm`; where there are sums of
        earlier questions, soon."""
        with self._lock:
            self._open = True
            if Layout.of(self._published).rollups.exists():
                self._timer = threading.Timer(_EAGER_SECONDS, self.warm)
                self._timer.daemon = True
                self._timer.start()

    @property
    def is_running(self) -> bool:
        """Whether somebody has asked, or there are sums of earlier questions: a question starts no process."""
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def warm(self) -> None:
        """A question is about to come: start the process, if it is not running."""
        with self._lock:
            if self._open:
                self._running()

    def stop(self) -> None:
        """End it. What is under way fails."""
        with self._lock:
            self._open = False
            process, self._process = self._process, None
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
        if process is not None:
            _end(process)

    def as_of(self) -> tuple[datetime, int] | None:
        """When the newest publication that can be asked was made (UTC), and the last seq in it."""
        return self._state

    async def answer(
        self,
        question: Callable[..., T],
        *arguments: Any,
        timeout_seconds: float | None = None,
        hold: int | None = None,
        **named: Any,
    ) -> Answered[T]:
        """See `Asking.answer`."""
        seconds = DEFAULT_SECONDS if timeout_seconds is None else timeout_seconds
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answered[T]] = loop.create_future()
        number, process = self._enter(loop, future)
        try:
            self._send(process, (number, seconds, question, arguments, named, hold))
            return await asyncio.wait_for(asyncio.shield(future), seconds + _GRACE_SECONDS)
        except TimeoutError:
            _end(process)
            raise QueryTimedOut(f"stopped after {seconds:g} seconds") from None
        except asyncio.CancelledError:
            with suppress(StoreUnavailable):
                self._send(process, (number,))
            raise
        finally:
            with self._lock:
                self._waiting.pop(number, None)
            future.cancel()

    def let_go(self, hold: int) -> None:
        """See `Asking.let_go`."""
        with self._lock:
            process = self._process
        if process is not None:
            with suppress(StoreUnavailable):
                self._send(process, (None, hold))

    def _enter(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> tuple[int, Any]:
        with self._lock:
            if not self._open:
                raise StoreUnavailable("the ledger is closed")
            if len(self._waiting) >= MOST_WAITING:
                raise StoreUnavailable("too many questions wait; ask again in a moment")
            self._number += 1
            process = self._running()
            self._waiting[self._number] = (loop, future, process)
            return self._number, process

    def _running(self) -> Any:
        """The process, started anew where it has died. Under the lock."""
        if self._process is None or self._process.poll() is not None:
            process = subprocess.Popen(
                [sys.executable, "-m", asked.__name__, str(self._published.absolute()), self._zone.key],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )
            self._process = process
            threading.Thread(target=self._listen, args=(process,), name="otel-cost-answers", daemon=True).start()
        return self._process

    def _send(self, process: Any, frame: Any) -> None:
        try:
            write_frame(process.stdin, self._writing, frame)
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"the process that answers has ended: {error}") from None

    def _listen(self, process: Any) -> None:
        """Hand out answers until the process ends; then everybody who waits for it is told."""
        with suppress(OSError, EOFError, ValueError):
            while (frame := read_frame(process.stdout)) is not None:
                number, value, error = frame
                if number:
                    self._settle(number, value, error)
                else:
                    self._state = value
                    self._on_read(*value)
        with self._lock:  # it may not be known to be dead yet, but nobody would hear its answers
            if self._process is process:
                self._process = None
            left = [number for number, (_, _, asked_of) in self._waiting.items() if asked_of is process]
        for number in left:
            self._settle(number, None, StoreUnavailable("the process that answers has ended; ask again"))
        _end(process)

    def _settle(self, number: int, value: Any, error: Exception | None) -> None:
        with self._lock:
            waiting = self._waiting.pop(number, None)
        if waiting is not None:
            loop, future, _ = waiting
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_set, future, value, error)


def _set(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It keeps nothing that could be lost."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
