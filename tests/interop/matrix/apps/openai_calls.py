"""An app that knows nothing of otel-cost: the openai SDK, both of its APIs."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI
from opentelemetry import trace

tracer = trace.get_tracer("app")
client = OpenAI()
aclient = AsyncOpenAI()
STREAM: Any = {"stream": True, "stream_options": {"include_usage": True}}
TOOLS: Any = [{"type": "function", "function": {"name": "get_current_weather", "parameters": {"type": "object"}}}]
WORDS_READ = 8


def said(text: str) -> Any:
    """The messages of a conversation that starts."""
    return [{"role": "user", "content": text}]


def chat() -> None:
    """One call of each API."""
    client.chat.completions.create(model="gpt-4o", messages=said("summarise"))
    client.responses.create(model="gpt-4.1", input="weather in Berlin")


async def achat() -> None:
    """As `chat`."""
    await aclient.chat.completions.create(model="gpt-4o", messages=said("summarise"))
    await aclient.responses.create(model="gpt-4.1", input="weather in Berlin")


def stream() -> None:
    """One stream of each API, read to the end."""
    list(client.chat.completions.create(model="gpt-4o-mini", messages=said("weather"), **STREAM))
    list(client.responses.create(model="gpt-4o", input="continue", stream=True))


async def astream() -> None:
    """As `stream`."""
    chunks = await aclient.chat.completions.create(model="gpt-4o-mini", messages=said("weather"), **STREAM)
    _ = [chunk async for chunk in chunks]
    events = await aclient.responses.create(model="gpt-4o", input="continue", stream=True)
    _ = [event async for event in events]


def stream_without_usage() -> None:
    """A stream that never says its tokens, because the app does not ask."""
    list(client.chat.completions.create(model="gpt-3.5-turbo", messages=said("Say this is a test"), stream=True))


async def astream_without_usage() -> None:
    """As `stream_without_usage`."""
    chunks = await aclient.chat.completions.create(
        model="gpt-3.5-turbo", messages=said("Say this is a test"), stream=True
    )
    _ = [chunk async for chunk in chunks]


def tool_loop() -> None:
    """One question of the user: a model asks for two tools, each asks a model, and the answer is put together."""
    with tracer.start_as_current_span("answer"):
        first = client.chat.completions.create(model="gpt-4o-mini", messages=said("weather in two cities"), tools=TOOLS)
        for _ in first.choices[0].message.tool_calls or ():
            client.chat.completions.create(model="o3-mini", messages=said("look it up"))
        client.chat.completions.create(model="gpt-4o-mini", messages=said("the results"), tools=TOOLS)


async def atool_loop() -> None:
    """As `tool_loop`, with both tools at once."""
    with tracer.start_as_current_span("answer"):
        first = await aclient.chat.completions.create(
            model="gpt-4o-mini", messages=said("weather in two cities"), tools=TOOLS
        )
        lookups = [
            aclient.chat.completions.create(model="o3-mini", messages=said("look it up"))
            for _ in first.choices[0].message.tool_calls or ()
        ]
        await asyncio.gather(*lookups)
        await aclient.chat.completions.create(model="gpt-4o-mini", messages=said("the results"), tools=TOOLS)


def error() -> None:
    """The key is wrong."""
    try:
        client.chat.completions.create(model="gpt-3.5-turbo", messages=said("hello"))
    except openai.AuthenticationError:
        return
    raise AssertionError("the call did not fail")


async def aerror() -> None:
    """As `error`."""
    try:
        await aclient.chat.completions.create(model="gpt-3.5-turbo", messages=said("hello"))
    except openai.AuthenticationError:
        return
    raise AssertionError("the call did not fail")


def retry() -> None:
    """The SDK tries again by itself, twice."""
    client.chat.completions.create(model="gpt-5-nano", messages=said("hello"))


async def aretry() -> None:
    """As `retry`."""
    await aclient.chat.completions.create(model="gpt-5-nano", messages=said("hello"))


def abandoned() -> None:
    """The app has read enough and leaves."""
    with client.chat.completions.create(model="gpt-5-nano", messages=said("Hello!"), **STREAM) as chunks:
        for number, _ in enumerate(chunks, start=1):
            if number > WORDS_READ:
                break


async def aabandoned() -> None:
    """As `abandoned`."""
    async with await aclient.chat.completions.create(model="gpt-5-nano", messages=said("Hello!"), **STREAM) as chunks:
        number = 0
        async for _ in chunks:
            number += 1
            if number > WORDS_READ:
                break


SYNC = {
    "chat": chat,
    "stream": stream,
    "stream_without_usage": stream_without_usage,
    "tool_loop": tool_loop,
    "error": error,
    "retry": retry,
    "abandoned": abandoned,
}
ASYNC = {
    "chat": achat,
    "stream": astream,
    "stream_without_usage": astream_without_usage,
    "tool_loop": atool_loop,
    "error": aerror,
    "retry": aretry,
    "abandoned": aabandoned,
}
