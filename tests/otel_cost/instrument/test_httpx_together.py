"""httpx and httpx2 with other tools, transports and clients of the app's own, and many streams at once."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
import trio
import wrapt
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_cost.instrument import httpx_hook, observe
from tests.otel_cost.instrument.httpx_transcripts import ASK, PATH, asking
from tests.otel_cost.instrument.recording import Recorder
from tests.otel_cost.instrument.scripted_server import Script, serving

LIBRARIES = [httpx, httpx2]
ANSWER = Script((b"{}",), "length")
URL = "http://model.example"


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setattr(observe, "begin", recorder.begin)
    monkeypatch.setattr(observe, "begin_async", recorder.begin_async)
    httpx_hook.instrument()
    yield recorder
    httpx_hook.uninstrument()


@pytest.mark.parametrize("module", LIBRARIES)
def test_switching_on_twice_hooks_once_and_switching_off_restores(module: Any) -> None:
    bare = (module.Client.send, module.AsyncClient.send)
    httpx_hook.instrument()
    hooked = (module.Client.send, module.AsyncClient.send)
    httpx_hook.instrument()
    assert (module.Client.send, module.AsyncClient.send) == hooked
    assert inspect.signature(module.Client.send) == inspect.signature(bare[0])
    assert [inspect.iscoroutinefunction(each) for each in hooked] == [False, True]
    httpx_hook.uninstrument()
    httpx_hook.uninstrument()
    assert (module.Client.send, module.AsyncClient.send) == bare


@pytest.mark.parametrize("module", LIBRARIES)
def test_clients_that_are_older_than_the_hook_are_observed_and_those_that_outlive_it_are_not(
    recorder: Recorder, module: Any
) -> None:
    httpx_hook.uninstrument()
    with serving(ANSWER) as server, module.Client() as client:
        httpx_hook.instrument()
        client.post(server.url)
        assert recorder.only.outcome == "whole"
        httpx_hook.uninstrument()
        client.post(server.url)
        httpx_hook.instrument()
    assert len(recorder.exchanges) == 1


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("module", LIBRARIES)
def test_tools_that_wrap_send_before_or_after_us_get_what_they_got(
    recorder: Recorder, module: Any, is_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        told.append((instance, args, kwargs))
        return wrapped(*args, **kwargs)

    if is_before:
        httpx_hook.uninstrument()
    monkeypatch.setattr(module.Client, "send", wrapt.FunctionWrapper(vars(module.Client)["send"], wrapper))
    theirs = vars(module.Client)["send"]
    httpx_hook.instrument()
    with serving(ANSWER) as server, module.Client() as client:
        request = asking(module, server.url)
        client.send(request, stream=False)
        assert told == [(client, (request,), {"stream": False})]
        assert recorder.only.outcome == "whole"
        httpx_hook.uninstrument()
        client.send(request, stream=False)
    assert len(told) == 2
    assert len(recorder.exchanges) == 1
    assert vars(module.Client)["send"] is theirs


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_client_that_overrides_send_is_observed_once(recorder: Recorder, module: Any) -> None:
    class Client(module.Client):  # type: ignore[misc]
        def send(self, *args: Any, **kwargs: Any) -> Any:
            return super().send(*args, **kwargs)

    with serving(ANSWER) as server, Client() as client:
        client.post(server.url)
    assert recorder.only.outcome == "whole"


@pytest.mark.parametrize("module", LIBRARIES)
def test_wrong_arguments_raise_what_they_raise_without_us(recorder: Recorder, module: Any) -> None:
    client: Any = module.Client()
    for arguments in ((), (None,), ("text", 1)):
        with pytest.raises(Exception) as hooked:
            client.send(*arguments)
        httpx_hook.uninstrument()
        with pytest.raises(Exception) as bare:
            client.send(*arguments)
        httpx_hook.instrument()
        assert (type(hooked.value), str(hooked.value)) == (type(bare.value), str(bare.value))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("module", LIBRARIES)
def test_responses_that_were_read_before_we_see_them_are_whole(recorder: Recorder, module: Any, stream: bool) -> None:
    """A transport may have the body at once, and a hook may read it."""
    ready = module.MockTransport(lambda request: module.Response(200, json={"id": "a"}))
    with module.Client(transport=ready) as client:
        response = client.send(asking(module, URL), stream=stream)
        assert response.read() == b"".join(response.iter_bytes())
    hooks = {"response": [lambda response: response.read()]}
    with serving(Script((b'{"id"', b':"a"}'))) as server, module.Client(event_hooks=hooks) as client:
        client.send(asking(module, server.url), stream=stream).close()
    assert [each.outcome for each in recorder.exchanges] == ["whole", "whole"]
    assert [each.seen for each in recorder.exchanges] == [response.content, b'{"id":"a"}']


@pytest.mark.parametrize("module", LIBRARIES)
def test_what_runs_inside_send_sees_an_unread_response_and_the_apps_own_request(
    recorder: Recorder, module: Any
) -> None:
    """Event hooks and authentication run within our span; what they raise is the app's."""
    seen: list[Any] = []

    def refuse(response: Any) -> None:
        seen.append((response.is_closed, recorder.only.is_inside))
        response.read()
        response.raise_for_status()

    def sign(request: Any) -> Any:
        seen.append(request)
        request.headers["x-signed"] = "é"
        return request

    client = module.Client(auth=sign, event_hooks={"response": [refuse]})
    with serving(Script((b"no",), "length", status=403)) as server, client:
        request = asking(module, server.url)
        with pytest.raises(module.HTTPStatusError) as raised:
            client.send(request)
    assert seen == [request, (False, True)]
    assert raised.value.response.content == b"no"
    assert (recorder.only.outcome, recorder.only.error) == ("failed", raised.value)


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_response_is_pickled_and_told_of_as_without_us(recorder: Recorder, module: Any) -> None:
    with serving(Script((b"a", b"b"))) as server, module.Client() as client:
        response = client.send(asking(module, server.url), stream=True)
        assert isinstance(response.stream, module.SyncByteStream)
        assert not isinstance(response.stream, module.AsyncByteStream)
        response.read()
    again = pickle.loads(pickle.dumps(response))
    assert (again.content, again.status_code, again.headers) == (b"ab", 200, response.headers)
    assert not any("exchange" in name or "cost" in name for name in vars(response))


def test_an_app_behind_asgi_is_observed(recorder: Recorder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def call() -> None:
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
        async with client, client.stream("POST", URL) as response:
            assert await response.aread() == b"ab"

    asyncio.run(call())
    assert (recorder.only.outcome, recorder.only.seen) == ("ended", b"ab")


def test_httpx2_under_the_name_of_httpx_is_observed_once() -> None:
    code = """
import httpx2; httpx2.alias_httpx(); import httpx
from otel_cost.instrument import httpx_hook, observe
from tests.otel_cost.instrument.recording import Recorder
recorder = Recorder(); observe.begin, observe.begin_async = recorder.begin, recorder.begin_async
httpx_hook.instrument()
from tests.otel_cost.instrument.scripted_server import Script, serving
with serving(Script((b"{}",), "length")) as server: httpx.post(server.url)
print(recorder.only.library, hasattr(httpx.Client.send.__wrapped__, "__wrapped__"))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "httpx2 False\n"


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("module", "instrumentor"), [(httpx, HTTPXClientInstrumentor), (httpx2, HTTPX2ClientInstrumentor)]
)
def test_spans_of_the_http_instrumentation_are_children_of_ours(
    module: Any, instrumentor: Any, is_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    steps = [httpx_hook.instrument, lambda: instrumentor().instrument(tracer_provider=provider)]
    for step in steps if is_first else reversed(steps):
        step()
    try:
        answer = Script(
            (b'{"usage": {"prompt_tokens": 1, "completion_tokens": 2}}',), "length", content_type="application/json"
        )
        with serving(answer) as server, module.Client() as client:
            client.post(server.url + PATH, json={**ASK, "stream": False})
            with client.stream("POST", server.url + PATH, json=ASK) as response:
                response.read()

        async def call(url: str) -> None:
            async with module.AsyncClient() as client:
                await client.post(url + PATH, json={**ASK, "stream": False})

        with serving(answer) as server:
            asyncio.run(call(server.url))
    finally:
        instrumentor().uninstrument()
        httpx_hook.uninstrument()
    by_scope: dict[str, list[Any]] = {}
    for span in spans.get_finished_spans():
        assert span.instrumentation_scope is not None
        by_scope.setdefault(span.instrumentation_scope.name, []).append(span)
    ours, http = by_scope["otel_cost.instrument"], by_scope["opentelemetry.instrumentation.httpx"]
    assert [span.parent for span in ours] == [None, None, None]
    assert [span.parent.span_id for span in http] == [span.context.span_id for span in ours]


STREAMS = 1000


@asynccontextmanager
async def _many_streams() -> AsyncIterator[int]:
    """A server whose streams come in three chunks each, which name their request."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        name = head.lower().partition(b"x-name: ")[2].partition(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        for number in range(3):
            writer.write(b"data: %b.%d\n\n" % (name, number))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, backlog=STREAMS) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("module", LIBRARIES)
def test_a_thousand_streams_at_once_are_kept_apart(recorder: Recorder, module: Any) -> None:
    async def one(client: Any, port: int, name: int) -> bytes:
        request = asking(module, f"http://127.0.0.1:{port}", headers={"x-name": str(name)})
        response = await client.send(request, stream=True)
        return b"".join([chunk async for chunk in response.aiter_bytes()])

    async def main() -> list[bytes]:
        limits = module.Limits(max_connections=STREAMS)
        async with _many_streams() as port, module.AsyncClient(limits=limits, timeout=60) as client:
            return await asyncio.gather(*(one(client, port, name) for name in range(STREAMS)))

    got = asyncio.run(main())
    assert got == [b"".join(b"data: %d.%d\n\n" % (name, number) for number in range(3)) for name in range(STREAMS)]
    seen = {each.request.headers["x-name"]: each for each in recorder.exchanges}
    assert len(recorder.exchanges) == len(seen) == STREAMS
    assert all(seen[str(name)].seen == got[name] for name in range(STREAMS))
    assert {each.outcome for each in recorder.exchanges} == {"ended"}


def test_concurrent_streams_under_trio_are_kept_apart(recorder: Recorder) -> None:
    async def one(url: str, got: list[bytes]) -> None:
        async with httpx2.AsyncClient(timeout=20) as client, client.stream("POST", url) as response:
            got.append(await response.aread())

    async def main(url: str) -> list[bytes]:
        got: list[bytes] = []
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one, url, got)
        return got

    with serving(Script((b"a", b"b", b"c"))) as server:
        assert trio.run(main, server.url) == [b"abc"] * 20
    assert [(each.outcome, each.seen) for each in recorder.exchanges] == [("ended", b"abc")] * 20
