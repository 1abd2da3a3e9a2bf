"""The apps of the benchmark: each makes model calls, and reads streams to their end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import boto3
import httpx
import requests
from openai import AsyncOpenAI, OpenAI

MODEL = "gpt-4o"
MESSAGES: Any = [{"role": "system", "content": "Be brief. " * 40}, {"role": "user", "content": "Say something."}]
BEDROCK_MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
ASK: dict[str, Any] = {"model": MODEL, "messages": MESSAGES}
ASK_STREAM: dict[str, Any] = {**ASK, "stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True, slots=True)
class Client:
    """`call(n)` makes n calls one after the other; `stream()` reads one stream and returns how many events it had;
    `close()` gives its connections back."""

    call: Callable[[int], object]
    stream: Callable[[], int]
    close: Callable[[], object]


def _on_loop(
    loop: asyncio.AbstractEventLoop,
    call: Callable[[int], Awaitable[None]],
    stream: Callable[[], Awaitable[int]],
    close: Callable[[], Awaitable[None]],
) -> Client:
    """A client whose functions are coroutines."""
    run = loop.run_until_complete
    return Client(lambda count: run(call(count)), lambda: run(stream()), lambda: run(close()))


def openai_client(url: str) -> Client:
    """The SDK, over whichever httpx it uses."""
    client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def call(count: int) -> None:
        for _ in range(count):
            client.chat.completions.create(**ASK)

    return Client(call, lambda: sum(1 for _ in client.chat.completions.create(**ASK_STREAM)) + 1, client.close)


def openai_async_client(url: str, loop: asyncio.AbstractEventLoop) -> Client:
    """The SDK's async client."""
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    async def call(count: int) -> None:
        for _ in range(count):
            await client.chat.completions.create(**ASK)

    async def stream() -> int:
        return sum([1 async for _ in await client.chat.completions.create(**ASK_STREAM)]) + 1

    return _on_loop(loop, call, stream, client.close)


def httpx_client(url: str) -> Client:
    """httpx itself, reading lines."""
    client, path = httpx.Client(), f"{url}/v1/chat/completions"

    def call(count: int) -> None:
        for _ in range(count):
            client.post(path, json=ASK).json()

    def stream() -> int:
        with client.stream("POST", path, json=ASK_STREAM) as response:
            return sum(1 for line in response.iter_lines() if line)

    return Client(call, stream, client.close)


def requests_client(url: str) -> Client:
    """requests, reading lines."""
    session, path = requests.Session(), f"{url}/v1/chat/completions"

    def call(count: int) -> None:
        for _ in range(count):
            session.post(path, json=ASK, timeout=30).json()

    def stream() -> int:
        with session.post(path, json=ASK_STREAM, stream=True, timeout=30) as response:
            return sum(1 for line in response.iter_lines() if line)

    return Client(call, stream, session.close)


def aiohttp_client(url: str, loop: asyncio.AbstractEventLoop) -> Client:
    """aiohttp, reading lines."""
    path = f"{url}/v1/chat/completions"

    async def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    session = loop.run_until_complete(open_session())

    async def call(count: int) -> None:
        for _ in range(count):
            async with session.post(path, json=ASK) as response:
                await response.json()

    async def stream() -> int:
        async with session.post(path, json=ASK_STREAM) as response:
            return sum([1 async for line in response.content if line != b"\n"])

    return _on_loop(loop, call, stream, session.close)


def botocore_client(url: str) -> Client:
    """boto3's Bedrock client."""
    session = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")
    client = session.client("bedrock-runtime", endpoint_url=url)
    messages: Any = [{"role": "user", "content": [{"text": json.dumps(MESSAGES)}]}]

    def call(count: int) -> None:
        for _ in range(count):
            client.converse(modelId=BEDROCK_MODEL, messages=messages)

    def stream() -> int:
        return sum(1 for _ in client.converse_stream(modelId=BEDROCK_MODEL, messages=messages)["stream"])

    return Client(call, stream, client.close)
