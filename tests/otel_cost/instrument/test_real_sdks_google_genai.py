"""Google's SDK replays every recorded Gemini and Vertex AI exchange that it can speak, by each of its HTTP libraries:
the span says exactly what the exchange's `expected` says, once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import httpx2
import pytest
from google import genai
from google.genai.errors import APIError

from tests.support.sdk_replay import Replay, assert_told, load, recorded, replayed

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
"""The SDK's own way of using aiohttp."""
ENUMS_AS_NUMBERS = "vertex/token_counts_enum_ints"
"""What only generated clients ask for; this SDK cannot read it."""
WHOLE = [name for name in recorded("gemini/", "vertex/", path_end=":generateContent") if name != ENUMS_AS_NUMBERS]
STREAMS = recorded("gemini/", "vertex/", path_end=":streamGenerateContent")
EMBEDDINGS = recorded("gemini/", path_end=":batchEmbedContents")
INTERACTIONS = recorded("gemini/", path_end="/interactions")


def client_of(replay: Replay, **http_options: Any) -> genai.Client:
    """A client of the recorded host, by an API key (Vertex AI: its express mode)."""
    is_vertex = "aiplatform" in replay.url
    host = replay.url.partition("://")[2].partition("/")[0]
    return genai.Client(vertexai=is_vertex, api_key="k", http_options={"base_url": f"http://{host}", **http_options})


def model_of(replay: Replay) -> str:
    return replay.url.rpartition("/models/")[2].partition(":")[0]


@pytest.mark.parametrize("name", WHOLE)
def test_generate_content(name: str) -> None:
    with replayed(load(name)) as replay:
        with client_of(replay) as client, suppress(APIError):
            client.models.generate_content(model=model_of(replay), contents="Hello")
        assert len(replay.requests) == 1
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", STREAMS)
def test_generate_content_stream(name: str) -> None:
    with replayed(load(name)) as replay:
        with client_of(replay) as client:
            assert list(client.models.generate_content_stream(model=model_of(replay), contents="Hello"))
        assert len(replay.requests) == 1
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", WHOLE)
def test_generate_content_async(name: str) -> None:
    async def main(replay: Replay) -> None:
        async with client_of(replay).aio as client:
            with suppress(APIError):
                await client.models.generate_content(model=model_of(replay), contents="Hello")

    with replayed(load(name)) as replay:
        asyncio.run(main(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", STREAMS)
def test_generate_content_stream_async(name: str) -> None:
    async def main(replay: Replay) -> None:
        async with client_of(replay).aio as client:
            stream = await client.models.generate_content_stream(model=model_of(replay), contents="Hello")
            assert [event async for event in stream]

    with replayed(load(name)) as replay:
        asyncio.run(main(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_sync_by_each_http_library(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", library)
    with replayed(load("gemini/stream_tool_use_tokens")) as replay, client_of(replay) as client:
        assert list(client.models.generate_content_stream(model=model_of(replay), contents="Hello"))
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_async_by_each_http_library(library: Any) -> None:
    """Without a client of its own the SDK takes aiohttp, as in the tests above."""

    async def main(replay: Replay) -> None:
        async with library.AsyncClient() as own, client_of(replay, httpx_async_client=own).aio as client:
            stream = await client.models.generate_content_stream(model=model_of(replay), contents="Hello")
            assert [event async for event in stream]

    with replayed(load("gemini/stream_tool_use_tokens")) as replay:
        asyncio.run(main(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embed_content(name: str) -> None:
    with replayed(load(name)) as replay:
        with client_of(replay) as client:
            client.models.embed_content(model=model_of(replay), contents=["Hello", "there"])
        assert ":batchEmbedContents" in replay.requests[0][1]
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", INTERACTIONS)
def test_interactions(name: str) -> None:
    with replayed(load(name)) as replay, client_of(replay) as client:
        answer: Any = client.interactions.create(**replay.body)
        if replay.body["stream"]:
            assert list(answer)
    assert_told(replay.only_span(), replay.exchange["expected"])


def test_counting_tokens_makes_no_span() -> None:
    with replayed(load("gemini/count_tokens_not_billed")) as replay, client_of(replay) as client:
        assert client.models.count_tokens(model=model_of(replay), contents="Hello").total_tokens == 12
    assert replay.spans() == ()


def test_creating_a_cache_makes_no_span() -> None:
    with replayed(load("gemini/cached_content_create")) as replay, client_of(replay) as client:
        assert client.caches.create(model="models/gemini-2.5-flash").name
    assert replay.spans() == ()
