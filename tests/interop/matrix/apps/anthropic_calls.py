"""An app that knows nothing of otel-cost: the anthropic SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from opentelemetry import trace

tracer = trace.get_tracer("app")
client = Anthropic()
aclient = AsyncAnthropic()
TOOLS: Any = [{"name": name, "input_schema": {"type": "object"}} for name in ("get_weather", "get_time")]
SONNET_4 = "claude-sonnet-4-20250514"
EVENTS_READ = 12


def asked(model: str, text: str, **more: Any) -> Any:
    """The arguments of a call."""
    return {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": text}], **more}


def tools_of(message: Any) -> list[Any]:
    """The tools that the model asks for."""
    return [block for block in message.content if block.type == "tool_use"]


def chat() -> None:
    """A prompt that is kept in the cache for an hour."""
    client.messages.create(**asked(SONNET_4, "keep it for an hour"))


async def achat() -> None:
    """As `chat`."""
    await aclient.messages.create(**asked(SONNET_4, "keep it for an hour"))


def stream() -> None:
    """Both ways to stream, read to the end."""
    list(client.messages.create(**asked("claude-sonnet-4-6", "weather", stream=True)))
    with client.messages.stream(**asked(SONNET_4, "read the cache")) as events:
        events.get_final_message()


async def astream() -> None:
    """As `stream`."""
    _ = [event async for event in await aclient.messages.create(**asked("claude-sonnet-4-6", "weather", stream=True))]
    async with aclient.messages.stream(**asked(SONNET_4, "read the cache")) as events:
        await events.get_final_message()


def tool_loop() -> None:
    """One question of the user: a model asks for two tools, each asks a model, and the answer is put together."""
    with tracer.start_as_current_span("answer"):
        first = client.messages.create(**asked("claude-sonnet-4-6", "weather and time", tools=TOOLS))
        for _ in tools_of(first):
            client.messages.create(**asked("claude-haiku-4-5-20251001", "look it up"))
        client.messages.create(**asked("claude-3-opus-20240229", "the results"))


async def atool_loop() -> None:
    """As `tool_loop`, with both tools at once."""
    with tracer.start_as_current_span("answer"):
        first = await aclient.messages.create(**asked("claude-sonnet-4-6", "weather and time", tools=TOOLS))
        lookups = [aclient.messages.create(**asked("claude-haiku-4-5-20251001", "look it up")) for _ in tools_of(first)]
        await asyncio.gather(*lookups)
        await aclient.messages.create(**asked("claude-3-opus-20240229", "the results"))


def error() -> None:
    """The request is wrong."""
    try:
        client.messages.create(**asked("claude-opus-4-1", "hello"))
    except anthropic.BadRequestError:
        return
    raise AssertionError("the call did not fail")


async def aerror() -> None:
    """As `error`."""
    try:
        await aclient.messages.create(**asked("claude-opus-4-1", "hello"))
    except anthropic.BadRequestError:
        return
    raise AssertionError("the call did not fail")


def retry() -> None:
    """The SDK tries again by itself, twice."""
    client.messages.create(**asked("claude-sonnet-4-5", "hello"))


async def aretry() -> None:
    """As `retry`."""
    await aclient.messages.create(**asked("claude-sonnet-4-5", "hello"))


def abandoned() -> None:
    """The app has read enough and leaves."""
    with client.messages.stream(**asked("claude-sonnet-4-0", "How do I cross the street?")) as events:
        text = 0
        for event in events:
            text += event.type == "thinking"
            if text == EVENTS_READ:
                break


async def aabandoned() -> None:
    """As `abandoned`."""
    async with aclient.messages.stream(**asked("claude-sonnet-4-0", "How do I cross the street?")) as events:
        text = 0
        async for event in events:
            text += event.type == "thinking"
            if text == EVENTS_READ:
                break


SYNC = {
    "chat": chat,
    "stream": stream,
    "tool_loop": tool_loop,
    "error": error,
    "retry": retry,
    "abandoned": abandoned,
}
ASYNC = {
    "chat": achat,
    "stream": astream,
    "tool_loop": atool_loop,
    "error": aerror,
    "retry": aretry,
    "abandoned": aabandoned,
}
