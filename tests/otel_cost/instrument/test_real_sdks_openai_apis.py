"""OpenAI's SDK replays every recorded response, picture, transcript, speech and moderation, whoever answered: the
call's span says exactly what `expected` says. Sync, async, streamed, raw and streaming raw responses.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from otel_cost import attributes as k
from otel_cost.instrument import billing
from tests.support.sdk_replay import Replay, arguments, assert_told, load, recorded, replayed

RESPONSES = recorded(path_end="/responses")
IMAGES = recorded(path_end="/images/generations")
FILES = {"/images/edits": recorded(path_end="/images/edits"), "/audio/transcriptions": recorded("openai/transcription")}
FAILURES = (openai.APIError, ValueError)
SOUND = ("ruby.wav", b"RIFF0000WAVE", "audio/wav")
PICTURE = ("logo.png", b"\x89PNG", "image/png")


@pytest.fixture(autouse=True)
def _nothing_was_counted_before() -> Iterator[None]:
    billing.forget()
    yield
    billing.forget()


def client_of(replay: Replay, path_end: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=replay.base_url(path_end), api_key="k", max_retries=0)


def async_client_of(replay: Replay, path_end: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=replay.base_url(path_end), api_key="k", max_retries=0)


def call_span(replay: Replay) -> ReadableSpan:
    """The span of the call: the only one, or the one that says in how many parts it is billed."""
    spans = replay.spans()
    return next((span for span in spans if "otel_cost.parts" in (span.attributes or {})), None) or replay.only_span()


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_sync(name: str) -> None:
    with replayed(load(name)) as replay:
        with client_of(replay, "/responses") as client, suppress(*FAILURES):
            answer = client.responses.create(**arguments(client.responses.create, replay.body))
            if replay.body.get("stream"):
                assert list(answer)
        assert_told(call_span(replay), replay.exchange["expected"])


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_async(name: str) -> None:
    async def call(replay: Replay) -> None:
        async with async_client_of(replay, "/responses") as client:
            with suppress(*FAILURES):
                answer = await client.responses.create(**arguments(client.responses.create, replay.body))
                if replay.body.get("stream"):
                    assert [event async for event in answer]

    with replayed(load(name)) as replay:
        asyncio.run(call(replay))
        assert_told(call_span(replay), replay.exchange["expected"])


@pytest.mark.parametrize("name", ["openai/responses_web_search", "openai/responses_stream_reasoning"])
@pytest.mark.parametrize("way", ["raw", "streaming", "lines"])
def test_responses_that_are_taken_raw(name: str, way: str) -> None:
    with replayed(load(name)) as replay, client_of(replay, "/responses") as client:
        sent = arguments(client.responses.create, replay.body)
        if way == "raw":
            parsed = client.responses.with_raw_response.create(**sent).parse()
            assert not replay.body.get("stream") or list(parsed)
        else:
            with client.responses.with_streaming_response.create(**sent) as response:
                assert list(response.iter_bytes() if way == "streaming" else response.iter_lines())
        assert_told(call_span(replay), replay.exchange["expected"])


def test_a_stream_that_is_closed_early_is_estimated() -> None:
    with replayed(load("openai/responses_stream_reasoning")) as replay, client_of(replay, "/responses") as client:
        stream = client.responses.create(model="gpt-5-nano", input="Count from 1 to 3", stream=True)
        next(event for event in stream if event.type == "response.output_text.delta")
        stream.close()
        said = call_span(replay).attributes or {}
    assert said[k.OTEL_COST_STREAM] == "abandoned"
    assert k.GEN_AI_USAGE_INPUT_TOKENS not in said
    assert said[k.OTEL_COST_ESTIMATED_INPUT] > 0  # type: ignore[operator]
    assert said[k.OTEL_COST_ESTIMATED_OUTPUT] > 0  # type: ignore[operator]


@pytest.mark.parametrize("name", IMAGES)
def test_pictures(name: str) -> None:
    with replayed(load(name)) as replay, client_of(replay, "/images/generations") as client:
        with suppress(*FAILURES):
            client.images.generate(**arguments(client.images.generate, replay.body))
        assert_told(call_span(replay), replay.exchange["expected"])


@pytest.mark.parametrize("name", FILES["/images/edits"])
def test_edits_of_pictures_are_multipart(name: str) -> None:
    with replayed(load(name)) as replay, client_of(replay, "/images/edits") as client:
        wanted = {key: value for key, value in replay.body.items() if key != "images"}
        with suppress(*FAILURES):
            client.images.edit(image=PICTURE, **wanted)
        assert_told(call_span(replay), replay.exchange["expected"])


@pytest.mark.parametrize("name", FILES["/audio/transcriptions"])
def test_transcripts_are_multipart(name: str) -> None:
    with replayed(load(name)) as replay, client_of(replay, "/audio/transcriptions") as client:
        expected = replay.exchange["expected"]
        answer = client.audio.transcriptions.create(
            file=SOUND, model=expected["request_model"], stream=expected["stream"], response_format="json"
        )
        assert not expected["stream"] or list(answer)
        assert_told(call_span(replay), expected)


def test_speech_is_counted_by_its_characters() -> None:
    with replayed(load("openai/speech_tts_no_usage")) as replay, client_of(replay, "/audio/speech") as client:
        assert client.audio.speech.create(**replay.body).read()
        span = call_span(replay)
        assert_told(span, replay.exchange["expected"])
        assert (span.attributes or {})[k.OTEL_COST_USAGE_PREFIX + "input_characters"] == 64


def test_a_moderation() -> None:
    with replayed(load("openai/moderation_no_usage")) as replay, client_of(replay, "/moderations") as client:
        client.moderations.create(**replay.body)
        assert_told(call_span(replay), replay.exchange["expected"])


def told(span: ReadableSpan) -> tuple[Any, Any, Any]:
    said = span.attributes or {}
    return said.get(k.GEN_AI_RESPONSE_ID), said.get(k.GEN_AI_USAGE_INPUT_TOKENS), said.get(k.GEN_AI_USAGE_OUTPUT_TOKENS)


def changed(exchange: Any, **body: Any) -> Any:
    """An exchange whose answer says something else."""
    exchange = copy.deepcopy(exchange)
    exchange["response"]["body"] |= body
    return exchange


BACKGROUND = "openai/responses_get_retrieve"


def in_background(replay: Replay, call: Callable[[], Any], **body: Any) -> None:
    """Make a call that is answered by the recorded response with other words in it."""
    replay.exchange = changed(load(BACKGROUND), **body)
    call()


def plain_client() -> openai.OpenAI:
    return openai.OpenAI(base_url="http://api.openai.com/v1", api_key="k", max_retries=0)


def test_a_background_response_that_is_polled_counts_once() -> None:
    done = load(BACKGROUND)["response"]["body"]
    waiting: dict[str, Any] = {"background": True, "usage": None, "output": [], "completed_at": None}
    with replayed(load(BACKGROUND)) as replay, plain_client() as client:

        def poll() -> Any:
            return client.responses.retrieve(done["id"])

        def create() -> Any:
            return client.responses.create(model="gpt-5.6-sol", input="Hi", background=True)

        in_background(replay, create, status="queued", **waiting)
        in_background(replay, poll, status="in_progress", **waiting)
        for _ in range(3):
            in_background(replay, poll, status="completed", background=True)
        assert len(replay.requests) == 5
        spans = [told(span) for span in replay.spans()]
    assert sorted(spans, key=str) == [(done["id"], 14, 12), (done["id"], None, None)]


def test_polls_of_a_response_that_its_create_reported_count_nothing() -> None:
    done = load(BACKGROUND)["response"]["body"]
    with replayed(load(BACKGROUND)) as replay, plain_client() as client:
        in_background(replay, lambda: client.responses.create(model="m", input="Hi"), background=False)
        in_background(replay, lambda: client.responses.retrieve(done["id"]), background=False)
        assert [told(span) for span in replay.spans()] == [(done["id"], 14, 12)]


def batch_file() -> Any:
    """A file of results as the SDK downloads it: two responses and an embedding."""
    body = load(BACKGROUND)["response"]["body"]
    embedding = {"object": "list", "data": [], "model": "text-embedding-3-small", "usage": {"prompt_tokens": 6}}
    bodies = [body | {"id": "resp_a"}, body | {"id": "resp_b"}, embedding]
    lines = [
        json.dumps({"id": f"batch_req_{n}", "custom_id": str(n), "response": {"status_code": 200, "body": each}})
        for n, each in enumerate(bodies)
    ]
    return {
        "request": {
            "method": "GET",
            "url": "https://api.openai.com/v1/files/file-1/content",
            "headers": {},
            "body": None,
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "application/octet-stream"},
            "body": "\n".join(lines) + "\n",
        },
    }


def test_the_results_of_a_batch_are_a_span_each_however_often_they_are_downloaded() -> None:
    with replayed(batch_file()) as replay, plain_client() as client:
        assert client.files.content("file-1").text.count("\n") == 3
        with client.files.with_streaming_response.content("file-1") as response:
            assert b"".join(response.iter_bytes(100)).count(b"\n") == 3
        spans = replay.spans()
    assert sorted(map(told, spans), key=str) == [("resp_a", 14, 12), ("resp_b", 14, 12), (None, 6, None)]


@pytest.mark.filterwarnings("ignore:The Assistants API is deprecated")
def test_a_run_of_an_assistant_that_is_polled_counts_once() -> None:
    name = "openai/assistants_run_poll"
    run = load(name)["response"]["body"]
    with replayed(load(name)) as replay, plain_client() as client:
        for _ in range(3):
            client.beta.threads.runs.retrieve(run["id"], thread_id=run["thread_id"])
        (span,) = replay.spans()
    assert told(span) == (run["id"], 381, 89)


def test_a_response_that_is_retried_is_one_call() -> None:
    """The first attempt is refused; the SDK sends the request again."""
    refused, done = load("openai/error_500_server_error"), load("openai/responses_cache_read_4o")
    answers = iter([refused["response"], done["response"]])
    with replayed(done) as replay:
        replay.exchange = _Scripted(done, answers)
        base_url = "http://api.openai.com/v1"
        with openai.OpenAI(base_url=base_url, api_key="k", max_retries=1) as client:
            client.responses.create(**arguments(client.responses.create, done["request"]["body"]))
        assert len(replay.requests) == 2
        assert_told(replay.only_span(), done["expected"])


class _Scripted(dict[str, Any]):
    """An exchange whose answer is another one for every request."""

    def __init__(self, exchange: Any, answers: Iterator[Any]) -> None:
        super().__init__(exchange)
        self._answers = answers

    def __getitem__(self, key: str) -> Any:
        if key == "response":
            self["answer"] = next(self._answers)
            return self["answer"]
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self["answer"] if key == "response" else super().get(key, default)


def test_azure_openai() -> None:
    exchange = load("azure/responses_gpt56")
    with replayed(exchange) as replay:
        host = replay.base_url("/openai/v1/responses")
        with openai.AzureOpenAI(
            base_url=f"{host}/openai/v1", api_key="k", api_version="preview", max_retries=0
        ) as client:
            client.responses.create(**arguments(client.responses.create, replay.body))
        assert_told(call_span(replay), exchange["expected"])
