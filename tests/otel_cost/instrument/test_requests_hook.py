"""requests: an app sees the same with and without us, and we see what it saw."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.util import Retry

from otel_cost.instrument import requests_hook
from tests.otel_cost.instrument.recording import Recorder
from tests.otel_cost.instrument.scripted_server import Framing, Script, serving

PATH = "/v1/chat/completions"
ASK = {"model": "gpt-4o-mini", "stream": True}
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Way = Callable[[requests.Response], Iterator[object]]


def _readinto(response: requests.Response) -> Iterator[object]:
    buffer = bytearray(9)
    while count := response.raw.readinto(buffer):
        yield bytes(buffer[:count])


WAYS: dict[str, Way] = {
    "content": lambda response: iter([response.content]),
    "text": lambda response: iter([response.text]),
    "iter_content(None)": lambda response: response.iter_content(None),
    "iter_content(1)": lambda response: response.iter_content(1),
    "iter_content(7)": lambda response: response.iter_content(7),
    "iter_lines": lambda response: response.iter_lines(),
    "raw.read(5)": lambda response: iter(lambda: response.raw.read(5), b""),
    "raw.read(5, True)": lambda response: iter(lambda: response.raw.read(5, decode_content=True), b""),
    "raw.read": lambda response: iter([response.raw.read()]),
    "raw.data": lambda response: iter([response.raw.data]),
    "raw.read1": lambda response: iter(lambda: response.raw.read1(8), b""),
    "raw.stream(6)": lambda response: response.raw.stream(6),
    "raw.stream(6, True)": lambda response: response.raw.stream(6, decode_content=True),
    "raw.readinto": _readinto,
    "raw iterated": lambda response: iter(response.raw),
}


def _transcript(way: Way, url: str, *, stop_after: int | None = None) -> list[tuple[str, object]]:
    """What an app can tell of one call: everything it got, in order, and how it ended."""
    told: list[tuple[str, object]] = []
    try:
        with requests.post(url + PATH, json=ASK, stream=True, timeout=20) as response:
            told.append(("status", response.status_code))
            told.append(("kind", isinstance(response.raw, HTTPResponse) and type(response.raw).__name__))
            told.extend(("got", piece) for piece in islice(way(response), stop_after))
            told.append(("closed", response.raw.closed))
    except (requests.RequestException, Exception) as error:
        told.append((type(error).__name__, re.sub("0x[0-9a-f]+", "", str(error))))
    return told


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setattr(requests_hook, "begin", recorder.begin)
    requests_hook.instrument()
    yield recorder
    requests_hook.uninstrument()


def _without_us(run: Callable[[], list[tuple[str, object]]]) -> list[tuple[str, object]]:
    requests_hook.uninstrument()
    try:
        return run()
    finally:
        requests_hook.instrument()


CHUNKS = st.lists(st.binary(min_size=1, max_size=40) | st.just(b"data: {}\n\n"), min_size=1, max_size=8).map(tuple)


@MANY
@given(
    chunks=CHUNKS,
    framing=st.sampled_from(("length", "chunked", "until_close")),
    is_gzip=st.booleans(),
    ending=st.sampled_from(("whole", "whole", "cut")),
    way=st.sampled_from(sorted(WAYS)),
    stop_after=st.none() | st.integers(0, 4),
)
def test_the_app_gets_the_same_pieces_and_errors_and_we_see_what_it_got(
    recorder: Recorder,
    chunks: tuple[bytes, ...],
    framing: Framing,
    is_gzip: bool,
    ending: Any,
    way: str,
    stop_after: int | None,
) -> None:
    recorder.exchanges.clear()
    script = Script(chunks, framing, is_gzip, ending)
    with serving(script) as server:
        bare = _without_us(lambda: _transcript(WAYS[way], server.url, stop_after=stop_after))
        assert _transcript(WAYS[way], server.url, stop_after=stop_after) == bare
    seen = recorder.only
    assert seen.outcome in ("ended", "closed", "failed")
    assert seen.status == 200
    assert script.body.startswith(seen.seen)
    if bare[-1][0] == "closed" and stop_after is None and ending == "whole":
        assert (seen.outcome, seen.seen) == ("ended", script.body)
    if bare[-1][0] != "closed":
        assert seen.outcome == "failed"


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("way", ["iter_content(None)", "iter_content(7)", "iter_lines", "raw.read1"])
def test_nothing_is_read_before_the_app_asks_for_it(recorder: Recorder, way: str, is_gzip: bool) -> None:
    """The server sends a chunk only when the app has got the one before: reading ahead would hang."""
    chunks = tuple(b"ab%03d\n" % number for number in range(6))
    with serving(Script(chunks, is_gzip=is_gzip, is_gated=True)) as server:
        got = b""
        with requests.post(server.url + PATH, json=ASK, stream=True, timeout=20) as response:
            pieces = WAYS[way](response) if way != "raw.read1" else iter(lambda: response.raw.read1(8, True), b"")
            for piece in pieces:
                assert isinstance(piece, bytes)
                got += piece
                seen = recorder.only.seen.replace(b"\n", b"")
                assert seen == got.replace(b"\n", b"")  # all that the app has, and nothing that it has not
                server.more()
    assert recorder.only.outcome == "ended"


def test_a_whole_response_is_passed_on_whole(recorder: Recorder) -> None:
    script = Script((b'{"id": ', b'"a"}'), "length", is_gzip=True, content_type="application/json")
    with serving(script) as server:
        assert requests.post(server.url + PATH, json={"model": "m"}, timeout=20).json() == {"id": "a"}
        assert server.bodies == [b'{"model": "m"}']
    seen = recorder.only
    assert (seen.outcome, seen.body or b"".join(seen.pieces)) == ("whole", script.body)
    assert seen.request.method == "POST"
    assert seen.request.url == server.url + PATH
    assert seen.request.body == b'{"model": "m"}'
    assert seen.request.headers["content-type"] == "application/json"
    assert not seen.is_inside


def test_a_connection_that_cannot_be_made_fails_the_exchange_with_the_apps_own_error(recorder: Recorder) -> None:
    with serving(Script((b"",))) as server:
        pass
    with pytest.raises(requests.ConnectionError) as raised:
        requests.post(server.url + PATH, json=ASK, timeout=20)
    assert (recorder.only.outcome, recorder.only.error) == ("failed", raised.value)


@pytest.mark.parametrize("status", [307, 302])
def test_redirects_are_inside_one_exchange(recorder: Recorder, status: int) -> None:
    moved = Script((b"",), "length", status=status, location="/v1/elsewhere")
    with serving(moved, Script((b"{}",), "length")) as server:
        response = requests.post(server.url + PATH, json=ASK, timeout=20)
    assert [each.status_code for each in response.history] == [status]
    assert (recorder.only.status, recorder.only.outcome) == (200, "whole")


def test_attempts_of_urllib3_are_inside_one_exchange(recorder: Recorder) -> None:
    retrying = HTTPAdapter(max_retries=Retry(2, status_forcelist=[503], allowed_methods=None, backoff_factor=0))
    with serving(Script((b"",), "length", status=503), Script((b"{}",), "length")) as server, requests.Session() as own:
        own.mount("http://", retrying)
        assert own.post(server.url + PATH, json=ASK, timeout=20).json() == {}
        assert len(server.bodies) == 2
    assert (recorder.only.status, recorder.only.outcome) == (200, "whole")


def test_a_stream_that_the_app_drops_is_abandoned(recorder: Recorder) -> None:
    with serving(Script((b"a", b"b"), is_gated=True)) as server:
        response = requests.post(server.url + PATH, json=ASK, stream=True, timeout=20)
        assert next(response.iter_content(None)) == b"a"
        assert not recorder.only.outcome
        del response
    assert (recorder.only.outcome, recorder.only.seen) == ("closed", b"a")


def test_an_error_that_the_app_raises_for_a_status_has_status_and_body(recorder: Recorder) -> None:
    def check(response: requests.Response, **_: Any) -> None:
        assert response.content
        response.raise_for_status()

    refused = Script((b'{"error": {}}',), "length", status=429)
    with serving(refused) as server, pytest.raises(requests.HTTPError):
        requests.post(server.url + PATH, json=ASK, hooks={"response": check}, timeout=20)
    assert (recorder.only.status, recorder.only.seen, recorder.only.outcome) == (429, b'{"error": {}}', "failed")


def test_another_body_is_sent_where_the_exchange_asks_for_it(recorder: Recorder) -> None:
    recorder.replacement_body = b'{"stream_options": {}}'
    with serving(Script((b"{}",), "length")) as server:
        requests.post(server.url + PATH, json=ASK, timeout=20)
        assert server.bodies == [b'{"stream_options": {}}']


def test_switching_on_twice_hooks_once_and_switching_off_restores(recorder: Recorder) -> None:
    hooked = requests.Session.send
    requests_hook.instrument()
    assert requests.Session.send is hooked
    requests_hook.uninstrument()
    requests_hook.uninstrument()
    assert requests.Session.send is hooked.__wrapped__  # type: ignore[attr-defined]


def test_a_wrapper_that_another_tool_put_over_ours_stays_and_comes_to_be_inside(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = requests.Session.send
    others: list[bool] = []

    def over(self: requests.Session, request: Any, **options: Any) -> requests.Response:
        others.append(any(exchange.is_inside for exchange in recorder.exchanges))
        return ours(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", over)
    requests_hook.uninstrument()
    with serving(Script((b"{}",), "length")) as server:
        requests.post(server.url + PATH, json=ASK, timeout=20)
        assert requests.Session.send is over
        requests_hook.instrument()
        requests.post(server.url + PATH, json=ASK, timeout=20)
    assert others == [False, True]
    assert recorder.only.outcome == "whole"
    requests_hook.uninstrument()
    assert requests.Session.send is over
