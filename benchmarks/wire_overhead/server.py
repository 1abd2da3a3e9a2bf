"""The model server of the benchmark: one prepared answer per path, as fast as a socket takes it."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
from binascii import crc32
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

EVENTS = 400
"""Of one stream. Fewer, and what a stream costs as a call hides what an event costs; more only takes longer."""
_USAGE = {"prompt_tokens": 1220, "completion_tokens": 100, "total_tokens": 1320}
_ID = "chatcmpl-AGsmkW8yTbPqx1NZf0rUd9hVc2LoE"
"""In OpenAI's form: with that of a local server the call would be its, and have no price."""
_CHAT = {
    "id": _ID,
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
}
_MESSAGE = {"role": "assistant", "content": "A sentence of some length, as models answer. " * 20}
_DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 1152, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_BEDROCK_USAGE = {"inputTokens": 1220, "outputTokens": 100, "totalTokens": 1320}


def _chat() -> bytes:
    choice = {"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}
    return json.dumps({**_CHAT, "choices": [choice], "usage": {**_USAGE, **_DETAILS}}).encode()


def _chat_events() -> Iterator[bytes]:
    def event(choices: list[Any], usage: object = None) -> bytes:
        chunk = {**_CHAT, "object": "chat.completion.chunk", "system_fingerprint": "fp_1", "service_tier": "default"}
        return b"data: " + json.dumps({**chunk, "choices": choices, "usage": usage}).encode() + b"\n\n"

    for _ in range(EVENTS - 3):
        yield event([{"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
    yield event([], {**_USAGE, **_DETAILS})
    yield b"data: [DONE]\n\n"


def _converse() -> bytes:
    output = {"message": {"role": "assistant", "content": [{"text": _MESSAGE["content"]}]}}
    return json.dumps(
        {"output": output, "stopReason": "end_turn", "usage": _BEDROCK_USAGE, "metrics": {"latencyMs": 9}}
    ).encode()


def _converse_events() -> Iterator[bytes]:
    yield _frame("messageStart", {"role": "assistant"})
    for _ in range(EVENTS - 3):
        yield _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": " word"}})
    yield _frame("messageStop", {"stopReason": "end_turn"})
    yield _frame("metadata", {"usage": _BEDROCK_USAGE, "metrics": {"latencyMs": 9}})


def _frame(event_type: str, payload: dict[str, Any]) -> bytes:
    """One message of `application/vnd.amazon.eventstream`."""
    named = {":message-type": "event", ":event-type": event_type, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in named.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + body
    return message + struct.pack("!I", crc32(message))


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _stream(content_type: bytes, events: Sequence[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % content_type
    return head + chunks + b"0\r\n\r\n"


async def _serve() -> None:
    chat, chat_stream = _whole(_chat()), _stream(b"text/event-stream", list(_chat_events()))
    converse = _whole(_converse())
    converse_stream = _stream(b"application/vnd.amazon.eventstream", list(_converse_events()))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                body = await reader.readexactly(length)
                if b"/chat/completions" in head:
                    writer.write(chat_stream if b'"stream":true' in body.replace(b" ", b"") else chat)
                else:
                    writer.write(converse_stream if b"converse-stream" in head else converse)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """Its URL, while it runs."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve())
