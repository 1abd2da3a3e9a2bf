"""Real SDKs replay every recorded chat, completion and embedding of every provider that they can speak to: the call's
span says exactly what `expected` says. OpenAI's SDK, sync and async; AzureOpenAI, Groq's and Mistral's for their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import groq
import openai
import pytest
from mistralai.client import Mistral
from mistralai.client import errors as mistral_errors

from tests.support.sdk_replay import Replay, arguments, assert_told, load, recorded, replayed

RESOURCES: dict[str, Callable[[Any], Any]] = {
    "/chat/completions": lambda client: client.chat.completions,
    "/completions": lambda client: client.completions,
    "/embeddings": lambda client: client.embeddings,
}
"""What the SDK adds to a base URL -> its resource."""
CHATS, COMPLETIONS, EMBEDDINGS = (
    [name for name in recorded(path_end=end) if end != "/completions" or name not in recorded(path_end="/chat" + end)]
    for end in RESOURCES
)
NAMES = [*CHATS, *COMPLETIONS, *(name for name in EMBEDDINGS if "native" not in name)]
FAILURES = (openai.APIError, ValueError)
"""What the SDK raises for a recorded error, and for a vector whose recording was shortened."""
AZURE = [name for name in recorded("azure/") if "/deployments/" in load(name)["request"]["url"]]


def path_end(replay: Replay) -> str:
    return next(end for end in RESOURCES if replay.url.partition("?")[0].endswith(end))


def read(answer: Any, replay: Replay) -> None:
    """Take a stream to its end, as an app does."""
    if replay.body.get("stream") is True:
        for _ in answer:
            pass


async def read_async(answer: Any, replay: Replay) -> None:
    if replay.body.get("stream") is True:
        async for _ in answer:
            pass


def assert_one_call(replay: Replay) -> None:
    assert len(replay.requests) == 1
    assert replay.requests[0][1] == replay.url
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", NAMES)
def test_openai_sync(name: str) -> None:
    """Every provider through `OpenAI(base_url=...)`."""
    with replayed(load(name)) as replay:
        end = path_end(replay)
        with openai.OpenAI(
            base_url=replay.base_url(end), api_key="k", max_retries=0, default_query=replay.query()
        ) as client:
            create = RESOURCES[end](client).create
            with suppress(*FAILURES):
                read(create(**arguments(create, replay.body)), replay)
    assert_one_call(replay)


@pytest.mark.parametrize("name", NAMES)
def test_openai_async(name: str) -> None:
    """The same with `AsyncOpenAI`."""

    async def call(replay: Replay) -> None:
        end = path_end(replay)
        async with openai.AsyncOpenAI(
            base_url=replay.base_url(end), api_key="k", max_retries=0, default_query=replay.query()
        ) as client:
            create = RESOURCES[end](client).create
            with suppress(*FAILURES):
                await read_async(await create(**arguments(create, replay.body)), replay)

    with replayed(load(name)) as replay:
        asyncio.run(call(replay))
    assert_one_call(replay)


@pytest.mark.parametrize("name", AZURE)
def test_azure(name: str) -> None:
    """`AzureOpenAI` makes the URL of a deployment by itself."""
    with replayed(load(name)) as replay:
        endpoint, _, rest = replay.url.partition("/openai/deployments/")
        with openai.AzureOpenAI(
            azure_endpoint=endpoint,
            azure_deployment=rest.partition("/")[0],
            api_version=replay.query().get("api-version", "2024-02-01"),
            api_key="k",
            max_retries=0,
        ) as client:
            create = client.chat.completions.create
            said = {"model": rest.partition("/")[0], **replay.body}
            with suppress(*FAILURES):
                read(create(**arguments(create, said)), replay)
    assert_told(replay.only_span(), replay.exchange["expected"])


@pytest.mark.parametrize("name", [name for name in CHATS if name.startswith("groq/")])
def test_groq(name: str) -> None:
    """Groq's own SDK."""
    with replayed(load(name)) as replay:
        base = replay.base_url("/openai/v1/chat/completions")
        with groq.Groq(base_url=base, api_key="k", max_retries=0) as client:
            create = client.chat.completions.create
            with suppress(groq.APIError):
                read(create(**arguments(create, replay.body)), replay)
    assert_one_call(replay)


@pytest.mark.parametrize("name", [name for name in CHATS if name.startswith("mistral/")])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_mistral(name: str, is_async: bool) -> None:
    """Mistral's own SDK."""

    async def call(url: str, said: dict[str, Any], is_stream: bool) -> None:
        async with Mistral(api_key="k", server_url=url) as client:
            if is_stream:
                async for _ in await client.chat.stream_async(**said):
                    pass
            else:
                await client.chat.complete_async(**said)

    with replayed(load(name)) as replay, suppress(mistral_errors.SDKError, mistral_errors.HTTPValidationError):
        is_stream, url = replay.body.get("stream") is True, replay.base_url("/v1/chat/completions")
        said = {
            key: value for key, value in replay.body.items() if key in ("model", "messages", "tools", "tool_choice")
        }
        if is_async:
            asyncio.run(call(url, said, is_stream))
        else:
            with Mistral(api_key="k", server_url=url) as client:
                for _ in client.chat.stream(**said) if is_stream else [client.chat.complete(**said)]:
                    pass
    assert_one_call(replay)
