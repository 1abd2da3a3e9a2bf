"""An app that knows nothing of otel-cost: the google-genai SDK, which runs tools by itself."""

from __future__ import annotations

import asyncio

from google import genai
from google.genai import errors, types
from opentelemetry import trace

tracer = trace.get_tracer("app")
client = genai.Client()
AGAIN = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=3, initial_delay=0.01, max_delay=0.02))


def chat() -> None:
    """One call."""
    client.models.generate_content(model="gemini-2.5-flash", contents="think")


async def achat() -> None:
    """As `chat`."""
    await client.aio.models.generate_content(model="gemini-2.5-flash", contents="think")


def stream() -> None:
    """A stream, read to the end."""
    list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="count"))


async def astream() -> None:
    """As `stream`."""
    chunks = await client.aio.models.generate_content_stream(model="gemini-2.5-flash", contents="count")
    _ = [chunk async for chunk in chunks]


def get_country() -> str:
    """A tool that asks a model twice."""
    for _ in range(2):
        reply = client.models.generate_content(model="gemini-2.5-flash-lite", contents="where am I?")
    return str(reply.text)


async def aget_country() -> str:
    """As `get_country`, both at once."""
    models = client.aio.models
    asked = [models.generate_content(model="gemini-2.5-flash-lite", contents="where am I?") for _ in range(2)]
    return str((await asyncio.gather(*asked))[0].text)


aget_country.__name__ = "get_country"  # the name by which the model asks for it


def tool_loop() -> None:
    """One question of the user: the SDK calls the model, runs the tool, and calls the model again."""
    with tracer.start_as_current_span("answer"):
        chat = client.chats.create(model="gemini-2.0-flash", config=types.GenerateContentConfig(tools=[get_country]))
        chat.send_message("What is the capital of my country?")


async def atool_loop() -> None:
    """As `tool_loop`."""
    with tracer.start_as_current_span("answer"):
        config = types.GenerateContentConfig(tools=[aget_country])
        await client.aio.chats.create(model="gemini-2.0-flash", config=config).send_message("What is the capital?")


def error() -> None:
    """The key is wrong."""
    try:
        client.models.generate_content(model="gemini-2.5-pro", contents="hello")
    except errors.ClientError:
        return
    raise AssertionError("the call did not fail")


async def aerror() -> None:
    """As `error`."""
    try:
        await client.aio.models.generate_content(model="gemini-2.5-pro", contents="hello")
    except errors.ClientError:
        return
    raise AssertionError("the call did not fail")


def retry() -> None:
    """The SDK tries again, twice."""
    client.models.generate_content(
        model="gemini-2.0-flash-lite", contents="hello", config=types.GenerateContentConfig(http_options=AGAIN)
    )


async def aretry() -> None:
    """As `retry`."""
    await client.aio.models.generate_content(
        model="gemini-2.0-flash-lite", contents="hello", config=types.GenerateContentConfig(http_options=AGAIN)
    )


def abandoned() -> None:
    """The app has read enough and drops the stream."""
    for _ in client.models.generate_content_stream(model="gemini-2.5-pro", contents="count"):
        break


async def aabandoned() -> None:
    """As `abandoned`."""
    async for _ in await client.aio.models.generate_content_stream(model="gemini-2.5-pro", contents="count"):
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
