"""boto3: an app sees the same with and without us, whole answers, bodies that it reads, and event streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_cost.instrument import botocore_hook
from tests.otel_cost.instrument.recording import Recorder
from tests.otel_cost.instrument.scripted_server import Script, ScriptedServer, serving
from tests.support.aws_frames import frame

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MESSAGES: Any = [{"role": "user", "content": [{"text": "hi"}]}]
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
    "metrics": {"latencyMs": 1},
}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setattr(botocore_hook, "begin", recorder.begin)
    botocore_hook.instrument()
    yield recorder
    botocore_hook.uninstrument()


@pytest.fixture(scope="module")
def session() -> Any:
    return boto3.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")


def _client(session: Any, server: ScriptedServer, attempts: int = 1) -> Any:
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=20)
    return session.client("bedrock-runtime", endpoint_url=server.url, config=config)


def _frames(words: int) -> tuple[bytes, ...]:
    said = (frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": str(n)}}) for n in range(words))
    end = frame("messageStop", {"stopReason": "end_turn"})
    return (frame("messageStart", {"role": "assistant"}), *said, end, frame("metadata", {"usage": ANSWER["usage"]}))


def _events(words: int, **options: Any) -> Script:
    return Script(_frames(words), content_type="application/vnd.amazon.eventstream", **options)


def _told(pieces: Callable[[], Iterator[object]]) -> list[object]:
    """What an app gets, and the error that ends it."""
    told: list[object] = []
    try:
        told.extend(pieces())
    except (BotoCoreError, ClientError, Exception) as error:
        told.append((type(error).__name__, str(error)))
    return told


def _same(recorder: Recorder, run: Callable[[], list[object]]) -> list[object]:
    """What the app is told, the same with and without us."""
    botocore_hook.uninstrument()
    try:
        bare = run()
    finally:
        botocore_hook.instrument()
    recorder.exchanges.clear()
    assert run() == bare
    return bare


@MANY
@given(
    words=st.integers(0, 6),
    ending=st.sampled_from(("whole", "whole", "cut")),
    stop_after=st.none() | st.integers(1, 4),
)
def test_an_event_stream_gives_the_app_the_same_events(
    recorder: Recorder, session: Any, words: int, ending: Any, stop_after: int | None
) -> None:
    script = _events(words, ending=ending)

    def run() -> list[object]:
        stream = client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
        told = _told(lambda: islice(iter(stream), stop_after))
        stream.close()
        return told

    with serving(script) as server:
        client = _client(session, server)
        told = _same(recorder, run)
    seen = recorder.only
    assert script.body.startswith(seen.seen)
    if told and isinstance(told[-1], tuple):
        assert (seen.outcome, seen.seen) == ("failed", script.body)
    elif stop_after is None:
        assert (seen.outcome, seen.seen) == ("ended", script.body)
    else:
        assert seen.outcome in ("ended", "closed")
        assert len(seen.seen) >= sum(map(len, _frames(words)[: len(told)]))


def test_no_event_is_read_before_the_app_asks_for_it(recorder: Recorder, session: Any) -> None:
    with serving(_events(3, is_gated=True)) as server:
        stream = _client(session, server).converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
        for number, _ in enumerate(stream, 1):
            assert recorder.only.seen == b"".join(_frames(3)[:number])
            server.more()
    assert recorder.only.outcome == "ended"


WAYS: dict[str, Callable[[Any], Iterator[object]]] = {
    "read": lambda body: iter([body.read()]),
    "read(4)": lambda body: iter(lambda: body.read(4), b""),
    "iter_chunks": lambda body: body.iter_chunks(5),
    "iter_lines": lambda body: body.iter_lines(),
    "iterated": lambda body: iter(body),
    "with": lambda body: iter([body.__enter__().read()]),
}


@MANY
@given(
    way=st.sampled_from(sorted(WAYS)),
    chunks=st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5).map(tuple),
    framing=st.sampled_from(("length", "chunked")),
    ending=st.sampled_from(("whole", "whole", "cut")),
)
def test_a_body_that_the_app_reads_gives_it_the_same_bytes(
    recorder: Recorder, session: Any, way: str, chunks: tuple[bytes, ...], framing: Any, ending: Any
) -> None:
    script = Script(chunks, framing, ending=ending, content_type="application/json")

    def run() -> list[object]:
        body = client.invoke_model(modelId=MODEL, body=b"{}", contentType="application/json")["body"]
        return _told(lambda: WAYS[way](body))

    with serving(script) as server:
        client = _client(session, server)
        told = _same(recorder, run)
    seen = recorder.only
    assert seen.request.body == b"{}"
    if ending == "whole":
        assert (seen.outcome, seen.seen) == ("ended", script.body)
    if isinstance(told[-1], tuple):
        assert seen.outcome in ("failed", "ended")  # botocore itself compares lengths, above us
        assert script.body.startswith(seen.seen)


def test_a_whole_answer_is_passed_on_whole(recorder: Recorder, session: Any) -> None:
    with serving(Script((json.dumps(ANSWER).encode(),), "length", content_type="application/json")) as server:
        answer = _client(session, server).converse(modelId=MODEL, messages=MESSAGES)
    assert answer["usage"] == ANSWER["usage"]
    seen = recorder.only
    assert (seen.status, seen.outcome, json.loads(seen.seen)) == (200, "whole", ANSWER)
    assert seen.request.url == f"{server.url}/model/{MODEL.replace(':', '%3A')}/converse"
    assert json.loads(seen.request.body or b"") == {"messages": MESSAGES}
    assert seen.request.headers["content-type"] == "application/json"


def test_each_attempt_of_botocore_is_an_exchange(recorder: Recorder, session: Any) -> None:
    throttled = Script((b'{"message": "slow down"}',), "length", status=503, content_type="application/json")
    answered = Script((json.dumps(ANSWER).encode(),), "length", content_type="application/json")
    with serving(throttled, answered) as server:
        _client(session, server, attempts=2).converse(modelId=MODEL, messages=MESSAGES)
    assert [(each.status, each.outcome) for each in recorder.exchanges] == [(503, "whole"), (200, "whole")]


def test_an_error_answers_the_call_of_a_stream_with_its_body(recorder: Recorder, session: Any) -> None:
    refused = Script((b'{"message": "no"}',), "length", status=400, content_type="application/json")
    with serving(refused) as server, pytest.raises(ClientError):
        _client(session, server).converse_stream(modelId=MODEL, messages=MESSAGES)
    assert (recorder.only.status, recorder.only.seen, recorder.only.outcome) == (400, b'{"message": "no"}', "ended")


def test_a_connection_that_cannot_be_made_fails_the_exchange_with_the_apps_own_error(
    recorder: Recorder, session: Any
) -> None:
    with serving(Script((b"",))) as server:
        pass
    with pytest.raises(BotoCoreError) as raised:
        _client(session, server).converse(modelId=MODEL, messages=MESSAGES)
    assert (recorder.only.outcome, recorder.only.error) == ("failed", raised.value)


def test_switching_on_twice_hooks_once_and_switching_off_restores(recorder: Recorder) -> None:
    hooked = URLLib3Session.send
    botocore_hook.instrument()
    assert URLLib3Session.send is hooked
    botocore_hook.uninstrument()
    assert URLLib3Session.send is hooked.__wrapped__
