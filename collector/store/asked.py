"""The process that answers a service's questions: `python -m collector.store.asked FILE ZONE`, frames on stdin, stdout.

A frame is four bytes of length and a pickle; both ends are ours. In: (number, seconds, question, arguments, named,
hold); (number,) to interrupt one; (None, hold) when no question that is to see the generation of a hold will follow.
Out: (number, answer or None, error or None), and (0, state, None) whenever another publication is read. Each question
runs in a thread, on one generation of the published file (`collector.store.generations`).
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import duckdb

from collector.errors import CollectorError, QueryTimedOut, StoreUnavailable
from collector.questions.asking import Answered
from collector.store.database import as_unavailable
from collector.store.generations import Cursor, Generations

THREADS = 3
"""Questions at once. DuckDB divides its own threads among them."""
NICENESS = 5
"""Of what nobody waits for, sums of segments, and of what DuckDB's own threads add to a question: behind the collector,
whose senders wait for each acknowledgement. The threads of questions, for which somebody waits, are not."""
MEMORY_LIMIT_MIB = 768
_BEYOND_MEMORY_LIMIT_BYTES = 2 << 30
"""Address space of Python, Arrow, DuckDB's own code and threads, beside what DuckDB counts."""
_LENGTH = struct.Struct(">I")


def read_frame(stream: BinaryIO) -> Any | None:
    """The next frame; None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return pickle.loads(stream.read(_LENGTH.unpack(head)[0]))


def write_frame(stream: BinaryIO, lock: threading.Lock, frame: Any) -> None:
    """One whole frame. Raises OSError."""
    body = pickle.dumps(frame, protocol=pickle.HIGHEST_PROTOCOL)
    with lock:
        stream.write(_LENGTH.pack(len(body)) + body)
        stream.flush()


class Turns:
    """Many at once, or one alone, which begins when those before it have ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = 0
        self._is_alone = False

    @contextmanager
    def among_others(self) -> Iterator[None]:
        """Waits for whoever is alone, or wants to be."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits for all others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._is_alone = True
            self._changed.wait_for(lambda: not self._at_work)
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()


class Desk:
    """Runs questions in threads; knows which are under way, to interrupt them."""

    def __init__(self, generations: Generations, say: Callable[[Any], None]) -> None:
        self._generations = generations
        self._say = say
        self._pool = ThreadPoolExecutor(THREADS, "question")
        self._lock = threading.Lock()
        self._running: dict[int, Cursor | None] = {}
        self._turns = Turns()

    def take(self, number: int, seconds: float, *asked: Any) -> None:
        """Run a question as soon as a thread is free; its answer is said. `asked`: the rest of its frame."""
        with self._lock:
            self._running[number] = None
        self._pool.submit(self._run, number, time.monotonic() + seconds, seconds, *asked)

    def let_go(self, hold: int) -> None:
        """No question of this hold will follow."""
        self._generations.let_go(hold)

    def interrupt(self, number: int) -> None:
        """Nobody waits for the answer any more."""
        with self._lock:
            cursor = self._running.pop(number, None)
        if cursor is not None:
            cursor.interrupt()

    def _run(self, number: int, ends_seconds: float, seconds: float, *asked: Any) -> None:
        with self._lock:
            if number not in self._running:
                return
        try:
            answer, error = self._answered_yet(number, ends_seconds, *asked), None
        except Exception as raised:
            answer, error = None, _told(raised, seconds)
        with self._lock:
            self._running.pop(number, None)
        self._say((number, answer, error))

    def _answered_yet(self, number: int, ends_seconds: float, *asked: Any) -> Answered[Any]:
        """The answer; where memory does not do for several questions at once, of the question by itself."""
        try:
            with self._turns.among_others():
                return self._answered(number, ends_seconds, *asked)
        except (duckdb.OutOfMemoryException, MemoryError):
            pass  # out of here: what was raised keeps what the question held
        with self._turns.alone():
            return self._answered(number, ends_seconds, *asked)

    def _answered(
        self,
        number: int,
        ends_seconds: float,
        question: Callable[..., Any],
        arguments: Any,
        named: Any,
        hold: int | None,
    ) -> Answered[Any]:
        with self._generations.current(hold) as cursor:
            with self._lock:
                if number not in self._running:
                    raise StoreUnavailable("nobody waits for it")
                self._running[number] = cursor
            timer = threading.Timer(max(0.0, ends_seconds - time.monotonic()), cursor.interrupt)
            timer.daemon = True
            timer.start()
            try:
                value = question(cursor, *arguments, **named)
            finally:
                timer.cancel()
            return Answered(value, cursor.published_at, cursor.last_seq)


def _told(error: Exception, seconds: float) -> Exception:
    """What the other end is told: its own kinds of errors, and nothing that it cannot unpickle."""
    if isinstance(error, duckdb.InterruptException):
        return QueryTimedOut(f"stopped after {seconds:g} seconds")
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        return QueryTimedOut("it takes more memory than questions may have; narrow the time or add a filter")
    if isinstance(error, OSError) or (isinstance(error, duckdb.Error) and as_unavailable(error) is not None):
        return StoreUnavailable(str(error).partition("\n")[0])
    if isinstance(error, CollectorError):
        return StoreUnavailable(str(error)) if not isinstance(error, QueryTimedOut | StoreUnavailable) else error
    if isinstance(error, ValueError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")  # our fault, and it will be again


def _follow(generations: Generations, opened: Future[None]) -> None:
    """In a thread of its own: DuckDB's threads begin where it is opened, with the priority that they have there."""
    with suppress(OSError):  # some sandboxes allow no other priority
        os.nice(NICENESS)  # of this thread, on Linux
    try:
        generations.open()
    except Exception as error:
        opened.set_exception(error)
        return
    opened.set_result(None)
    generations.follow()


def main() -> None:
    """See the module. Ends when stdin does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the collector's, who then ends stdin
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = (MEMORY_LIMIT_MIB << 20) + _BEYOND_MEMORY_LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    frames, out = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints does not end up among the frames
    lock = threading.Lock()

    def say(frame: Any) -> None:
        try:
            write_frame(out, lock, frame)
        except OSError:
            os._exit(1)

    generations = Generations(
        Path(sys.argv[1]),
        ZoneInfo(sys.argv[2]),
        lambda state: say((0, state, None)),
        memory_limit_mib=MEMORY_LIMIT_MIB,
    )
    desk = Desk(generations, say)
    opened = Future[None]()
    threading.Thread(target=_follow, args=(generations, opened), name="generations", daemon=True).start()
    opened.result()
    while (frame := read_frame(frames)) is not None:
        if len(frame) == 1:
            desk.interrupt(frame[0])
        elif frame[0] is None:
            desk.let_go(frame[1])
        else:
            desk.take(*frame)
    os._exit(0)  # nothing here is to be kept; threads may still be at work


if __name__ == "__main__":
    main()
