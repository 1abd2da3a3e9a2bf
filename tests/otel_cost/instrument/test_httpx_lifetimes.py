"""Streams of httpx and httpx2 that the app leaves in every way there is: seen as abandoned, and nothing hangs."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest
import trio
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from otel_cost.instrument import garbage, httpx_hook, observe, open_exchanges
from tests.otel_cost.instrument.httpx_transcripts import asking
from tests.otel_cost.instrument.recording import Recorder
from tests.otel_cost.instrument.scripted_server import Script, ScriptedServer, serving

LIBRARIES = [httpx, httpx2]
GATED = Script((b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"), is_gated=True)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setattr(observe, "begin", recorder.begin)
    monkeypatch.setattr(observe, "begin_async", recorder.begin_async)
    httpx_hook.instrument()
    yield recorder
    httpx_hook.uninstrument()


def _never_touched(response: Any) -> None:
    pass


def _not_started(response: Any) -> None:
    response.iter_lines()


def _one_line(response: Any) -> None:
    for _ in response.iter_lines():
        break


def _error_in_the_loop(response: Any) -> None:
    with suppress(ZeroDivisionError):
        for _ in response.iter_bytes():
            raise ZeroDivisionError


def _closed_within_the_loop(response: Any) -> None:
    with suppress(Exception):
        for _ in response.iter_raw():
            response.close()


def _in_a_cycle(response: Any) -> None:
    """As the streams of the model SDKs are: they hold a generator that holds them."""
    pieces = response.iter_raw()
    next(pieces)
    cycle: list[Any] = [pieces]
    cycle.append(cycle)


SYNC_WAYS = [_never_touched, _not_started, _one_line, _error_in_the_loop, _closed_within_the_loop, _in_a_cycle]


@pytest.mark.parametrize("way", SYNC_WAYS)
@pytest.mark.parametrize("module", LIBRARIES)
def test_a_stream_that_is_left_and_dropped_is_abandoned(
    recorder: Recorder, module: Any, way: Callable[[Any], None]
) -> None:
    with serving(GATED) as server, module.Client(timeout=20) as client:
        response = client.send(asking(module, server.url), stream=True)
        way(response)
        del response
        gc.collect()
        assert recorder.only.outcome == "closed"
    assert recorder.only.seen == (b"" if way in (_never_touched, _not_started) else b"data: 1\n\n")


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_stream_that_is_left_within_its_block_is_abandoned_when_the_block_ends(
    recorder: Recorder, module: Any
) -> None:
    with serving(GATED) as server, module.Client(timeout=20) as client:
        with client.stream("POST", server.url) as response:
            next(response.iter_raw())
        assert recorder.only.outcome == "closed"


async def _read_slowly(module: Any, server: ScriptedServer, got: list[bytes]) -> None:
    async with module.AsyncClient(timeout=20) as client:
        response = await client.send(asking(module, server.url), stream=True)
        async for chunk in response.aiter_raw():
            got += [chunk]


def _asyncio_timeout(module: Any, server: ScriptedServer, got: list[bytes]) -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(_read_slowly(module, server, got), 0.2))


def _asyncio_cancel(module: Any, server: ScriptedServer, got: list[bytes]) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(_read_slowly(module, server, got))
        while not got:
            await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task

    asyncio.run(cancel())


def _trio_timeout(module: Any, server: ScriptedServer, got: list[bytes]) -> None:
    async def time_out() -> None:
        with trio.move_on_after(0.2) as scope:
            await _read_slowly(module, server, got)
        assert scope.cancelled_caught

    trio.run(time_out)


@pytest.mark.parametrize("way", [_asyncio_timeout, _asyncio_cancel, _trio_timeout])
@pytest.mark.parametrize("module", LIBRARIES)
def test_a_read_that_is_cancelled_fails_with_the_cancellation(
    recorder: Recorder, module: Any, way: Callable[[Any, ScriptedServer, list[bytes]], None]
) -> None:
    got: list[bytes] = []
    with serving(GATED) as server:
        way(module, server, got)
    assert got == [b"data: 1\n\n"]
    assert (recorder.only.outcome, recorder.only.pieces) == ("failed", got)
    assert isinstance(recorder.only.error, asyncio.CancelledError | trio.Cancelled)
    assert not recorder.only.is_inside


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_request_that_is_cancelled_before_its_answer_fails(recorder: Recorder, module: Any) -> None:
    async def call(port: int) -> None:
        async with module.AsyncClient() as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.send(asking(module, f"http://127.0.0.1:{port}")), 0.1)

    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            await call(server.sockets[0].getsockname()[1])

    asyncio.run(main())
    assert (recorder.only.outcome, type(recorder.only.error)) == ("failed", asyncio.CancelledError)


@pytest.mark.parametrize("module", LIBRARIES)
def test_asynchronous_streams_that_are_dropped_are_abandoned(recorder: Recorder, module: Any) -> None:
    async def main(server: ScriptedServer) -> None:
        async with module.AsyncClient(timeout=20) as client:
            untouched = await client.send(asking(module, server.url), stream=True)
            del untouched
            gc.collect()
        server.gate.release(2)  # it serves one connection at a time
        async with module.AsyncClient(timeout=20) as client:
            started = await client.send(asking(module, server.url), stream=True)
            pieces = started.aiter_raw()
            await anext(pieces)
            del started, pieces
            gc.collect()
            await asyncio.sleep(0)  # the loop closes generators that were dropped
            await asyncio.sleep(0)

    with serving(GATED) as server:
        asyncio.run(main(server))
    assert [each.outcome for each in recorder.exchanges] == ["closed", "closed"]


class _Locking(SpanProcessor):
    """Collects garbage while it holds its lock, as any allocation in there might."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ended = threading.Semaphore(0)

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        with self._lock:
            gc.collect()

    def on_end(self, span: ReadableSpan) -> None:
        with self._lock:
            self.ended.release()


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_stream_that_is_collected_while_a_lock_is_held_does_not_stop_the_app(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span that ends within the collection would wait for a lock that its own thread holds."""
    provider, processor = TracerProvider(), _Locking()
    httpx_hook.instrument()
    gc.disable()
    try:
        with serving(GATED) as server, module.Client(timeout=20) as client:
            monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
            response = client.send(asking(module, server.url), stream=True)
            provider.add_span_processor(processor)
            _in_a_cycle(response)
            del response
            with provider.get_tracer("app").start_as_current_span("app"):
                pass
            assert processor.ended.acquire(timeout=20)
            assert processor.ended.acquire(timeout=20)
    finally:
        gc.enable()
        httpx_hook.uninstrument()
        provider.shutdown()


def test_collections_are_known_in_the_thread_that_collects_and_nowhere_else() -> None:
    seen: list[bool] = []

    class Dropped:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            other = threading.Thread(target=lambda: seen.append(garbage.is_collecting()))
            other.start()
            other.join()
            seen.append(garbage.is_collecting())

    garbage.watch()
    garbage.watch()
    try:
        assert not garbage.is_collecting()
        Dropped()
        gc.collect()
        assert not garbage.is_collecting()
    finally:
        garbage.unwatch()
    assert seen == [False, True]
    assert garbage._noted not in gc.callbacks


def test_collections_are_watched_only_while_a_stream_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each collection would cost a call of ours; a release within one leaves the watch, which would miss its end."""

    class Exchange:
        def closed(self) -> None:
            seen.append(garbage.is_collecting())

    class Dropped:
        def __init__(self, exchange: Exchange) -> None:
            self.cycle, self.exchange = self, exchange

        def __del__(self) -> None:
            open_exchanges.release(self.exchange)
            self.exchange.closed()

    seen: list[bool] = []
    monkeypatch.setattr(open_exchanges, "_open", {})
    garbage.unwatch()
    open_exchanges.hold(Dropped(Exchange()).exchange)
    assert garbage._noted in gc.callbacks
    gc.collect()
    assert seen == [True]
    other = Exchange()
    open_exchanges.hold(other)
    assert not garbage.is_collecting()
    open_exchanges.release(other)
    assert garbage._noted not in gc.callbacks


EXIT = """
import sys
import {library}
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from otel_cost.instrument import httpx_hook

httpx_hook.instrument()
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")))
trace.set_tracer_provider(provider)
client = {library}.Client()
body = {{"model": "gpt-4o-mini", "messages": [], "stream": True}}
response = client.send(client.build_request("POST", sys.argv[1], json=body), stream=True)
lines = response.iter_lines()
next(lines)
"""


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_stream_that_is_open_when_the_app_exits_is_exported(module: Any) -> None:
    with serving(GATED) as server:
        ran = subprocess.run(
            [sys.executable, "-c", EXIT.format(library=module.__name__), server.url + "/v1/chat/completions"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert ran.stdout == "chat gpt-4o-mini\n"
    assert ran.stderr == ""


@pytest.mark.parametrize("module", LIBRARIES)
def test_nothing_is_kept_of_streams_that_ended(recorder: Recorder, module: Any) -> None:
    gc.collect()
    before = set(open_exchanges._open)
    with serving(Script((b"a", b"b"))) as server, module.Client() as client:
        for _ in range(3):
            with client.stream("POST", server.url) as response:
                response.read()
            del response
    gc.collect()
    assert set(open_exchanges._open) <= before
