"""aiohttp: an app sees the same with and without us, and we see what it saw."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_cost.instrument import aiohttp_hook, observe
from tests.otel_cost.instrument.aiohttp_transcripts import ASK, PATH, PATIENCE, SAME_PIECES, WAYS, joined, transcript
from tests.otel_cost.instrument.recording import Recorder
from tests.otel_cost.instrument.scripted_server import Framing, Script, serving

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setattr(observe, "begin", recorder.begin)
    monkeypatch.setattr(observe, "begin_async", recorder.begin_async)
    aiohttp_hook.instrument()
    yield recorder
    aiohttp_hook.uninstrument()


CHUNKS = st.lists(st.binary(min_size=1, max_size=40) | st.just(b"data: {}\n\n"), min_size=1, max_size=8).map(tuple)


@MANY
@given(
    chunks=CHUNKS,
    framing=st.sampled_from(("length", "chunked", "until_close")),
    is_gzip=st.booleans(),
    ending=st.sampled_from(("whole", "whole", "cut")),
    way=st.sampled_from(sorted(WAYS)),
    stop_after=st.none() | st.integers(0, 4),
    decompresses=st.booleans(),
)
def test_the_app_gets_the_same_pieces_and_errors_and_we_see_what_it_got(
    recorder: Recorder,
    chunks: tuple[bytes, ...],
    framing: Framing,
    is_gzip: bool,
    ending: Any,
    way: str,
    stop_after: int | None,
    decompresses: bool,
) -> None:
    recorder.exchanges.clear()
    script = Script(chunks, framing, is_gzip, ending)

    async def run() -> tuple[list[tuple[str, object]], ...]:
        aiohttp_hook.uninstrument()
        try:
            bare = await transcript(WAYS[way], server.url, stop_after=stop_after, auto_decompress=decompresses)
        finally:
            aiohttp_hook.instrument()
        return bare, await transcript(WAYS[way], server.url, stop_after=stop_after, auto_decompress=decompresses)

    with serving(script) as server:
        bare, hooked = asyncio.run(run())
    if way in SAME_PIECES:
        assert hooked == bare
    elif stop_after is None and ending == "whole":
        assert joined(hooked) == joined(bare)
    else:
        assert [what for what in hooked if what[0] != "got"] == [what for what in bare if what[0] != "got"]
    seen = recorder.only
    assert seen.outcome in ("ended", "closed", "failed")
    assert seen.status == 200
    assert script.body.startswith(seen.seen)
    if hooked[-1][0] == "closed" and stop_after is None and ending == "whole":
        assert (seen.outcome, seen.seen) == ("ended", script.body)
    if hooked[-1][0] != "closed":
        assert seen.outcome == "failed"


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("way", ["iter_any", "iter_chunked(7)", "iter_chunks", "lines", "readany", "read(6)"])
def test_nothing_is_read_before_the_app_asks_for_it(recorder: Recorder, way: str, is_gzip: bool) -> None:
    """The server sends a chunk only when the app has got the one before: each piece is one chunk, and seen as one."""
    chunks = tuple(b"ab%02d\n" % number for number in range(6))

    async def run() -> None:
        got = []
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.post(server.url + PATH, json=ASK) as response,
        ):
            async for piece in WAYS[way](response):
                data = piece[0] if isinstance(piece, tuple) else piece
                if data:
                    got.append(data)
                    assert recorder.only.pieces == got
                    server.more()
        assert tuple(got) == chunks

    with serving(Script(chunks, is_gzip=is_gzip, is_gated=True)) as server:
        asyncio.run(run())
    assert recorder.only.outcome == "ended"


def test_json_is_written_once_by_the_sessions_own_function(recorder: Recorder) -> None:
    written: list[object] = []

    def dumps(value: object) -> str:
        written.append(value)
        return '{"model": "mine"}'

    async def run() -> Any:
        async with (
            aiohttp.ClientSession(json_serialize=dumps, headers={"X-One": "1"}) as session,
            session.post(server.url + PATH, json=ASK, params={"api-version": "2"}, headers={"x-two": "2"}) as response,
        ):
            return await response.json()

    script = Script((b'{"id": "a"}',), "length", content_type="application/json")
    with serving(script) as server:
        assert asyncio.run(run()) == {"id": "a"}
        assert server.bodies == [b'{"model": "mine"}']
    seen = recorder.only
    assert written == [ASK]
    assert (seen.request.method, seen.request.url) == ("POST", f"{server.url}{PATH}?api-version=2")
    assert (seen.request.body, seen.outcome, seen.seen) == (b'{"model": "mine"}', "ended", script.body)
    assert (seen.request.headers["x-one"], seen.request.headers["x-two"]) == ("1", "2")


def test_what_cannot_be_written_raises_aiohttps_own_error(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            await session.post("http://127.0.0.1:1/", json=object())

    with pytest.raises(TypeError, match="not JSON serializable"):
        asyncio.run(run())
    assert recorder.only.outcome == "failed"


def test_text_fields_of_a_form_are_seen_and_its_files_are_not_read(recorder: Recorder) -> None:
    async def run() -> None:
        form = aiohttp.FormData({"model": "whisper-1"})
        form.add_field("file", b"RIFF", filename="a.wav", content_type="audio/wav")
        async with aiohttp.ClientSession() as session, session.post(server.url + PATH, data=form) as response:
            assert await response.json() == {}

    with serving(Script((b"{}",), "length", content_type="application/json")) as server:
        asyncio.run(run())
        assert b"RIFF" in server.bodies[0] or not server.bodies[0]
    assert (recorder.only.request.form, recorder.only.request.body) == ({"model": "whisper-1"}, None)


def test_a_cancelled_read_fails_the_exchange_only_when_the_app_gives_up(recorder: Recorder) -> None:
    async def run() -> None:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.post(server.url + PATH, json=ASK) as response,
        ):
            assert await response.content.readany() == b"a"
            for _ in range(2):
                reading = asyncio.ensure_future(response.content.readany())
                await asyncio.sleep(0)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            server.more()
            assert await response.content.readany() == b"b"
            assert not recorder.only.outcome
            reading = asyncio.ensure_future(response.content.readany())
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])

    with serving(Script((b"a", b"b", b"c"), is_gated=True)) as server:
        asyncio.run(run())
    assert (recorder.only.outcome, recorder.only.seen) == ("failed", b"ab")
    assert isinstance(recorder.only.error, asyncio.CancelledError)


def test_a_timeout_reaches_the_app_and_fails_the_exchange(recorder: Recorder) -> None:
    async def run() -> None:
        timeout = aiohttp.ClientTimeout(total=0.2)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(server.url + PATH, json=ASK) as response,
        ):
            async for _ in response.content.iter_any():
                pass

    with serving(Script((b"a", b"b"), is_gated=True)) as server, pytest.raises(asyncio.TimeoutError):
        asyncio.run(run())
    assert (recorder.only.outcome, recorder.only.seen) == ("failed", b"a")
    assert isinstance(recorder.only.error, asyncio.TimeoutError)


def test_a_lost_connection_fails_the_exchange_with_the_error_that_the_app_gets(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(timeout=PATIENCE) as session, session.post(server.url + PATH) as response:
            assert await response.content.readany() == b"a"
            server.more()
            await response.content.readany()

    with (
        serving(Script((b"a", b"", b"c"), ending="reset", is_gated=True)) as server,
        pytest.raises(aiohttp.ClientError) as raised,
    ):
        asyncio.run(run())
    assert (recorder.only.outcome, recorder.only.error) == ("failed", raised.value)


def test_a_connection_that_cannot_be_made_fails_the_exchange(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            await session.post(server.url + PATH, json=ASK)

    with serving(Script((b"",))) as server:
        pass
    with pytest.raises(aiohttp.ClientConnectorError) as raised:
        asyncio.run(run())
    assert (recorder.only.outcome, recorder.only.error) == ("failed", raised.value)


def test_a_session_that_raises_for_the_status_has_told_the_status(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await session.post(server.url + PATH, json=ASK)

    with serving(Script((b"{}",), "length", status=429)) as server, pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(run())
    assert (recorder.only.status, recorder.only.outcome) == (429, "failed")


def test_a_body_that_a_check_of_the_status_has_read_is_seen(recorder: Recorder) -> None:
    async def check(response: ClientResponse) -> None:
        assert await response.read() == b"{}"

    async def run() -> bytes:
        async with aiohttp.ClientSession() as session:
            response = await session.post(server.url + PATH, json=ASK, raise_for_status=check)
            return await response.read()

    with serving(Script((b"{}",), "length", status=429)) as server:
        assert asyncio.run(run()) == b"{}"
    assert (recorder.only.status, recorder.only.outcome, recorder.only.seen) == (429, "ended", b"{}")


def test_an_empty_answer_ends_at_once_and_one_that_is_never_read_is_abandoned(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            async with session.post(server.url + PATH, json=ASK):
                pass
            async with session.post(server.url + PATH, json=ASK):
                pass

    with serving(Script((b"",), "length", status=204), Script((b"a", b"b"), is_gated=True)) as server:
        asyncio.run(run())
    assert [each.outcome for each in recorder.exchanges] == ["ended", "closed"]


def test_a_response_that_the_app_drops_is_abandoned(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            response = await session.post(server.url + PATH, json=ASK)
            assert await response.content.readany() == b"a"
            response.release()
            del response

    with serving(Script((b"a", b"b"), is_gated=True)) as server:
        asyncio.run(run())
    gc.collect()
    assert (recorder.only.outcome, recorder.only.seen) == ("closed", b"a")


def test_redirects_are_inside_one_exchange(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session, session.post(server.url + PATH, json=ASK) as response:
            assert await response.read() == b"{}"
            assert [each.status for each in response.history] == [307]

    moved = Script((b"",), "length", status=307, location="/v1/elsewhere")
    with serving(moved, Script((b"{}",), "length")) as server:
        asyncio.run(run())
        assert len(set(server.bodies)) == 1
    assert (recorder.only.status, recorder.only.outcome) == (200, "ended")


def test_another_body_is_sent_where_the_exchange_asks_for_it(recorder: Recorder) -> None:
    recorder.replacement_body = b'{"stream_options": {}}'

    async def run() -> None:
        async with aiohttp.ClientSession() as session, session.post(server.url + PATH, json=ASK) as response:
            await response.read()

    with serving(Script((b"{}",), "length")) as server:
        asyncio.run(run())
        assert server.bodies == [b'{"stream_options": {}}']


def test_a_thousand_streams_at_once_are_each_seen_as_their_own(recorder: Recorder) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        name = head.split(b"/number/")[1].split(b" ")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"first ", b"then ", name):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def call(session: aiohttp.ClientSession, url: str, number: int) -> bytes:
        async with session.post(f"{url}/number/{number}") as response:
            return b"".join([piece async for piece in response.content.iter_any()])

    async def run() -> list[bytes]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        connector = aiohttp.TCPConnector(limit=1000)
        async with server, aiohttp.ClientSession(connector=connector) as session:
            return await asyncio.gather(*(call(session, url, number) for number in range(1000)))

    got = asyncio.run(run())
    assert got == [b"first then %d" % number for number in range(1000)]
    seen = {each.request.url.rpartition("/")[2]: each.seen for each in recorder.exchanges}
    assert seen == {str(number): got[number] for number in range(1000)}
    assert {each.outcome for each in recorder.exchanges} == {"ended"}


def test_what_an_app_puts_back_is_counted_once(recorder: Recorder) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session, session.post(server.url + PATH, json=ASK) as response:
            first = await response.content.readexactly(3)
            with pytest.warns(DeprecationWarning, match="unread_data"):
                response.content.unread_data(first)
            assert await response.content.read() == b"abcdef"

    with serving(Script((b"abcdef",), "length")) as server:
        asyncio.run(run())
    assert (recorder.only.seen, recorder.only.outcome) == (b"abcdef", "ended")


def test_switching_on_twice_hooks_once_and_switching_off_restores(recorder: Recorder) -> None:
    hooked = aiohttp.ClientSession._request
    aiohttp_hook.instrument()
    assert aiohttp.ClientSession._request is hooked
    aiohttp_hook.uninstrument()
    aiohttp_hook.uninstrument()
    assert aiohttp.ClientSession._request is hooked.__wrapped__  # type: ignore[attr-defined]
