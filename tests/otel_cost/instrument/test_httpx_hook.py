"""httpx and httpx2: an app sees the same with and without us, and we see what it saw."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import islice
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_cost.instrument import httpx_hook, observe
from tests.otel_cost.instrument.httpx_transcripts import (
    ASYNC_WAYS,
    PATH,
    WAYS,
    Transcript,
    asking,
    atranscript,
    errors,
    transcript,
)
from tests.otel_cost.instrument.recording import Recorder
from tests.otel_cost.instrument.scripted_server import Framing, Script, serving

LIBRARIES = [httpx, httpx2]
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Run = Callable[..., Any]
RUNS: dict[str, Run] = {
    "asyncio": lambda function, *args: asyncio.run(function(*args)),
    "trio": trio.run,
}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setattr(observe, "begin", recorder.begin)
    monkeypatch.setattr(observe, "begin_async", recorder.begin_async)
    httpx_hook.instrument()
    yield recorder
    httpx_hook.uninstrument()


def _without_us(run: Callable[[], Transcript]) -> Transcript:
    httpx_hook.uninstrument()
    try:
        return run()
    finally:
        httpx_hook.instrument()


def _call(kind: str, module: Any, url: str, way: str, *, stream: bool, stop_after: int | None) -> Transcript:
    options: dict[str, Any] = {"stream": stream, "stop_after": stop_after}
    if kind == "sync":
        with module.Client(timeout=20) as client:
            return transcript(client, asking(module, url), way, **options)

    async def call() -> Transcript:
        async with module.AsyncClient(timeout=20) as client:
            return await atranscript(client, asking(module, url), way, **options)

    found: Transcript = RUNS[kind](call)
    return found


CHUNKS = st.lists(st.binary(min_size=1, max_size=40) | st.just(b"data: {}\n\n"), min_size=1, max_size=8).map(tuple)


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio's, of those that httpx leaves open
@MANY
@given(
    module=st.sampled_from(LIBRARIES),
    kind=st.sampled_from(("sync", "asyncio", "trio")),
    chunks=CHUNKS,
    framing=st.sampled_from(("length", "chunked", "until_close")),
    is_gzip=st.booleans(),
    ending=st.sampled_from(("whole", "whole", "cut")),
    way=st.sampled_from(sorted(WAYS)),
    stream=st.sampled_from((True, True, False)),
    stop_after=st.none() | st.integers(0, 4),
    status=st.sampled_from((200, 200, 429)),
    is_moved=st.booleans(),
)
def test_the_app_gets_the_same_pieces_and_errors_and_we_see_what_it_got(
    recorder: Recorder,
    module: ModuleType,
    kind: str,
    chunks: tuple[bytes, ...],
    framing: Framing,
    is_gzip: bool,
    ending: Any,
    way: str,
    stream: bool,
    stop_after: int | None,
    status: int,
    is_moved: bool,
) -> None:
    recorder.exchanges.clear()
    stream = stream or way in ("stream", "twice")  # httpx spins for ever over the stream of some bodies that were read
    script = Script(chunks, framing, is_gzip, ending, status=status)
    moved = [Script((b"moved",), "length", status=307, location="/v1/elsewhere")] if is_moved else []
    with serving(*moved, script) as server:
        call = partial(_call, kind, module, server.url, way, stream=stream, stop_after=stop_after)
        bare = _without_us(call)
    with serving(*moved, script) as server:
        assert _call(kind, module, server.url, way, stream=stream, stop_after=stop_after) == bare
    seen = recorder.only
    assert not seen.is_inside
    assert seen.outcome in ("whole", "ended", "closed", "failed")
    assert script.body.startswith(seen.seen)
    assert seen.request.body == server.bodies[-1]
    is_raised = any(what == "raised" for what, _ in bare)
    if not is_raised and stop_after is None and way not in ("unread", "twice"):  # a dropped iterator ends it
        assert (seen.outcome, seen.seen) == ("ended" if stream else "whole", script.body)


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("way", ["iter_raw", "iter_bytes", "iter_lines", "stream"])
@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("module", LIBRARIES)
def test_nothing_is_read_before_the_app_asks_for_it(
    recorder: Recorder, module: Any, kind: str, way: str, is_gzip: bool
) -> None:
    """The server sends a chunk only when the app has got the one before: reading ahead would hang."""
    chunks = tuple(b"ab%03d\n" % number for number in range(6))
    with serving(Script(chunks, is_gzip=is_gzip, is_gated=True)) as server:
        got: list[bytes] = []

        def take(piece: Any) -> None:
            got.append(piece.encode() + b"\n" if isinstance(piece, str) else piece)
            seen = recorder.only
            decoded = is_gzip and way in ("iter_raw", "stream")
            assert (b"".join(seen.pieces) if decoded else seen.seen) == b"".join(got)  # that, and no more
            server.more()

        def read() -> None:
            with module.Client(timeout=20) as client:
                response = client.send(asking(module, server.url), stream=True)
                for piece in WAYS[way](response):
                    take(piece)

        async def aread() -> None:
            async with module.AsyncClient(timeout=20) as client:
                response = await client.send(asking(module, server.url), stream=True)
                async for piece in ASYNC_WAYS[way](response):
                    take(piece)

        read() if kind == "sync" else RUNS[kind](aread)
        assert len(got) == len(chunks)
    assert recorder.only.outcome == "ended"
    assert recorder.only.seen == b"".join(chunks)


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_whole_response_is_passed_on_whole(recorder: Recorder, module: Any) -> None:
    script = Script((b'{"id": ', b'"a"}'), "length", is_gzip=True, content_type="application/json")
    with serving(script) as server:
        answer = module.post(server.url + PATH, json={"model": "m"}, headers={"Authorization": "Bearer sk", "X-B": "c"})
    assert answer.json() == {"id": "a"}
    seen = recorder.only
    assert (seen.status, seen.outcome, seen.pieces) == (200, "whole", [b'{"id": "a"}'])
    assert (seen.request.method, seen.request.url, seen.library) == ("POST", server.url + PATH, module.__name__)
    assert seen.request.body == server.bodies[0]
    assert seen.request.headers["x-b"] == "c"
    assert "authorization" not in seen.request.headers
    assert seen.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
@pytest.mark.parametrize("module", LIBRARIES)
def test_a_connection_that_cannot_be_made_fails_the_exchange_with_the_apps_own_error(
    recorder: Recorder, module: Any, kind: str
) -> None:
    with serving(Script((b"",))) as server:
        pass
    call = partial(_call, kind, module, server.url, "read", stream=False, stop_after=None)
    bare = _without_us(call)
    assert bare[0][0] == "raised"
    assert call() == bare
    assert recorder.only.outcome == "failed"
    assert type(recorder.only.error) is module.ConnectError
    assert not recorder.only.is_inside


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_server_that_falls_silent_times_out_with_the_apps_own_error(recorder: Recorder, module: Any) -> None:
    with serving(Script((b"a", b"b"), is_gated=True)) as server, module.Client(timeout=0.05) as client:
        response = client.send(asking(module, server.url), stream=True)
        pieces = response.iter_raw()
        assert next(pieces) == b"a"
        with pytest.raises(module.ReadTimeout) as raised:
            next(pieces)
        assert raised.value.request is response.request
    assert (recorder.only.outcome, recorder.only.error) == ("failed", raised.value)


@pytest.mark.parametrize("is_keyword", [False, True])
@pytest.mark.parametrize("module", LIBRARIES)
def test_another_body_is_sent_where_the_exchange_asks_for_it_and_the_app_keeps_its_request(
    recorder: Recorder, module: Any, is_keyword: bool
) -> None:
    recorder.replacement_body = b'{"stream_options": {"include_usage": true}}'
    moved = Script((b"",), "length", status=307, location=PATH)
    with serving(moved, Script((b"{}",), "length")) as server, module.Client(follow_redirects=True) as client:
        request = asking(module, server.url, headers=[("X-One", "1"), ("Content-Type", "application/json; a=b")])
        before = (list(request.headers.raw), request.content)
        response = client.send(request=request) if is_keyword else client.send(request)
        assert server.bodies == [recorder.replacement_body] * 2
    assert (list(request.headers.raw), request.content) == before
    assert response.history[0].request is request
    with pytest.raises(module.ConnectError) as raised, module.Client() as client:
        client.send(request)
    assert raised.value.request is request


@pytest.mark.parametrize("module", LIBRARIES)
def test_bodies_that_are_streams_are_not_read(recorder: Recorder, module: Any) -> None:
    with serving(Script((b"{}",), "length")) as server:
        sent = iter([b'{"model"', b': "m"}'])
        module.post(server.url + PATH, content=sent, headers={"content-length": "14"})
        assert server.bodies == [b'{"model": "m"}']
        module.post(server.url + PATH, data={"model": "whisper-1"}, files={"file": ("a.wav", io.BytesIO(b"RIFF"))})
    assert [each.request.body for each in recorder.exchanges] == [None, None]
    assert [each.request.form for each in recorder.exchanges] == [None, {"model": "whisper-1"}]


class _Broken(BaseException):
    """What no library expects."""


def _log_of(module: Any, chunks: list[bytes], error: BaseException | None, stop_after: int | None) -> Transcript:
    """Order of events between a transport of the app's own and the app; chunks exactly as the transport has them."""
    log: Transcript = []

    class Stream(module.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in chunks:
                    log.append(("sends", chunk))
                    yield chunk
                if error is not None:
                    try:
                        raise KeyError("behind it")
                    except KeyError as cause:
                        raise error from cause
                log.append(("sent", None))
            finally:
                log.append(("leaves", None))

        def close(self) -> None:
            log.append(("closes", None))

    class Transport(module.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            log.append(("asked", request.content))
            return module.Response(200, stream=Stream(), extensions={"http_version": b"HTTP/9"})

    hooks = {"response": [lambda response: log.append(("hook", response.http_version))]}
    with module.Client(transport=Transport(), event_hooks=hooks) as client:
        response = client.send(asking(module, "http://model.example"), stream=True)
        try:
            for chunk in islice(response.iter_raw(), stop_after):
                log.append(("got", chunk))
        except BaseException as raised:
            log.append(("raised", errors(raised)))
            log.append(("same", raised is error))
        response.close()
        log.append(("elapsed", response.elapsed.total_seconds() > 0))
    return log


@MANY
@given(
    module=st.sampled_from(LIBRARIES),
    chunks=st.lists(st.binary(max_size=20), max_size=6),
    error=st.sampled_from([None, None, _Broken, KeyboardInterrupt, ValueError, OSError, httpx.ReadError, MemoryError]),
    stop_after=st.none() | st.integers(0, 5),
)
def test_chunks_events_and_errors_come_in_the_same_order_from_any_transport(
    recorder: Recorder,
    module: ModuleType,
    chunks: list[bytes],
    error: Callable[[str], BaseException] | None,
    stop_after: int | None,
) -> None:
    recorder.exchanges.clear()

    def call() -> Transcript:
        return _log_of(module, chunks, None if error is None else error("broken"), stop_after)

    bare = _without_us(call)
    assert call() == bare
    seen = recorder.only
    assert seen.pieces == [chunk for what, chunk in bare if what == "sends"]
    outcome = {"raised": "failed", "sent": "ended"}
    assert seen.outcome == next((outcome[what] for what, _ in bare if what in outcome), "closed")


async def _alog_of(module: Any, chunks: list[bytes], error: BaseException | None, stop_after: int | None) -> Transcript:
    """The same of an asynchronous transport; an app that stops closes its iterator before it goes on."""
    log: Transcript = []

    class Stream(module.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                for chunk in chunks:
                    log.append(("sends", chunk))
                    yield chunk
                if error is not None:
                    raise error from KeyError("behind it")
                log.append(("sent", None))
            finally:
                log.append(("leaves", None))

        async def aclose(self) -> None:
            log.append(("closes", None))

    class Transport(module.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            log.append(("asked", request.content))
            return module.Response(200, stream=Stream())

    async with module.AsyncClient(transport=Transport()) as client:
        response = await client.send(asking(module, "http://model.example"), stream=True)
        pieces = response.aiter_raw()
        try:
            for _ in range(100 if stop_after is None else stop_after):
                log.append(("got", await anext(pieces)))
        except BaseException as raised:
            log.append(("raised", errors(raised)))
            log.append(("same", raised is error))
        await pieces.aclose()
        log.append(("goes on", None))
        await response.aclose()
        log.append(("elapsed", response.elapsed.total_seconds() > 0))
    return log


@MANY
@given(
    module=st.sampled_from(LIBRARIES),
    chunks=st.lists(st.binary(max_size=20), max_size=6),
    error=st.sampled_from([None, None, _Broken, ValueError, OSError, httpx.ReadError, asyncio.CancelledError]),
    stop_after=st.none() | st.integers(0, 5),
)
def test_chunks_events_and_errors_come_in_the_same_order_from_any_asynchronous_transport(
    recorder: Recorder,
    module: ModuleType,
    chunks: list[bytes],
    error: Callable[[str], BaseException] | None,
    stop_after: int | None,
) -> None:
    recorder.exchanges.clear()

    def call() -> Transcript:
        found: Transcript = asyncio.run(
            _alog_of(module, chunks, None if error is None else error("broken"), stop_after)
        )
        return found

    bare = _without_us(call)
    assert call() == bare
    seen = recorder.only
    assert seen.pieces == [chunk for what, chunk in bare if what == "sends"]
    assert seen.outcome == ("ended" if ("sent", None) in bare else "failed" if ("same", True) in bare else "closed")
