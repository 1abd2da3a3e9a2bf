"""The SDKs of Cohere, Mistral and Ollama replay their recorded exchanges: the span says what `expected` says."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import cohere
import ollama
import pytest
from cohere.core.api_error import ApiError
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from tests.support.sdk_replay import Replay, assert_told, load, recorded, replayed

COHERE_V1 = recorded("cohere/", path_end="/v1/chat")
COHERE_V2 = recorded("cohere/", path_end="/v2/chat")
MISTRAL = recorded("mistral/", path_end="/chat/completions")
SAID: Any = [{"role": "user", "content": "Hello"}]
OLLAMA = recorded("ollama/", path_end="/api/chat")


def origin(replay: Replay) -> str:
    return "/".join(replay.url.split("/")[:3])


def sent(replay: Replay) -> dict[str, Any]:
    """The recorded body without what the SDK's method says itself."""
    return {key: value for key, value in replay.body.items() if key != "stream"}


def said_of(replay: Replay) -> dict[str, Any]:
    """What the SDK is called with: its documents and tools have types of their own, so only what names the call."""
    return {"model": replay.body["model"], "messages": SAID}


@pytest.mark.parametrize("name", COHERE_V1)
def test_cohere_v1(name: str) -> None:
    with replayed(load(name)) as replay, cohere.Client("k", base_url=origin(replay)) as client:
        if replay.body["stream"]:
            assert list(client.chat_stream(message="Hello"))
        else:
            assert client.chat(message="Hello").text
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", COHERE_V2)
def test_cohere_v2(name: str) -> None:
    with (
        replayed(load(name)) as replay,
        cohere.ClientV2("k", base_url=origin(replay)) as client,
        suppress(ApiError),
    ):
        if replay.body["stream"]:
            assert list(client.chat_stream(**said_of(replay)))
        else:
            client.chat(**said_of(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", COHERE_V2)
def test_cohere_v2_async(name: str) -> None:
    async def main(replay: Replay) -> None:
        async with cohere.AsyncClientV2("k", base_url=origin(replay)) as client:
            with suppress(ApiError):
                if replay.body["stream"]:
                    assert [event async for event in client.chat_stream(**said_of(replay))]
                else:
                    await client.chat(**said_of(replay))

    with replayed(load(name)) as replay:
        asyncio.run(main(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


def test_cohere_embed() -> None:
    with replayed(load("cohere/embed_v2")) as replay, cohere.ClientV2("k", base_url=origin(replay)) as client:
        assert client.embed(**replay.body).id
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", MISTRAL)
def test_mistral(name: str) -> None:
    """Streams are asked of a URL with a fragment, `.../chat/completions#stream`."""
    with (
        replayed(load(name)) as replay,
        Mistral(api_key="k", server_url=origin(replay)) as client,
        suppress(SDKError),
    ):
        if replay.body.get("stream"):
            with client.chat.stream(**sent(replay)) as events:
                assert list(events)
        else:
            client.chat.complete(**sent(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", MISTRAL)
def test_mistral_async(name: str) -> None:
    async def main(replay: Replay) -> None:
        async with Mistral(api_key="k", server_url=origin(replay)) as client:
            with suppress(SDKError):
                if replay.body.get("stream"):
                    async with await client.chat.stream_async(**sent(replay)) as events:
                        assert [event async for event in events]
                else:
                    await client.chat.complete_async(**sent(replay))

    with replayed(load(name)) as replay:
        asyncio.run(main(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


def test_mistral_transcription() -> None:
    with (
        replayed(load("mistral/transcription")) as replay,
        Mistral(api_key="k", server_url=origin(replay)) as client,
    ):
        file: Any = {"file_name": "a.wav", "content": b"\0\1"}
        assert client.audio.transcriptions.complete(model="voxtral-mini-latest", file=file).text
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", OLLAMA)
def test_ollama(name: str) -> None:
    with (
        replayed(load(name)) as replay,
        ollama.Client(host=origin(replay)) as client,
        suppress(ollama.ResponseError),
    ):
        answer: Any = client.chat(replay.body["model"], SAID, stream=replay.body["stream"])
        assert list(answer) if replay.body["stream"] else answer.message
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", OLLAMA)
def test_ollama_async(name: str) -> None:
    async def main(replay: Replay) -> None:
        async with ollama.AsyncClient(host=origin(replay)) as client:
            with suppress(ollama.ResponseError):
                answer: Any = await client.chat(replay.body["model"], SAID, stream=replay.body["stream"])
                if replay.body["stream"]:
                    assert [line async for line in answer]

    with replayed(load(name)) as replay:
        asyncio.run(main(replay))
    assert_told(replay.only_span(), replay.exchange["expected"])


def test_ollama_embeddings() -> None:
    with replayed(load("ollama/native_embeddings_no_usage")) as replay, ollama.Client(host=origin(replay)) as client:
        assert client.embeddings("llama3", "Hello").embedding
    assert_told(replay.only_span(), replay.exchange["expected"])
