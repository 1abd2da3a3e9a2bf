"""What the models of these apps answer: one word. Constructed by the providers' documented shapes."""

from __future__ import annotations

import json

from examples.replay import Exchange

_JSON = (("content-type", "application/json"),)
_EVENTS = (("content-type", "text/event-stream"),)
_USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
_ID = "chatcmpl-agents00000000"
_HEAD = {"id": _ID, "created": 1, "model": "gpt-4o-2024-08-06"}


def _chat() -> Exchange:
    choice = {"index": 0, "message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    chunk = json.dumps(body).encode()
    return Exchange("chat", "POST", "/v1/chat/completions", "gpt-4o", False, 200, _JSON, (chunk,), False, _ID)


def _chat_stream() -> Exchange:
    head = {**_HEAD, "object": "chat.completion.chunk"}
    events = [
        {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "done"}, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": _USAGE},
    ]
    chunks = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    chunks.append(b"data: [DONE]\n\n")
    return Exchange("stream", "POST", "/v1/chat/completions", "gpt-4o", True, 200, _EVENTS, tuple(chunks), True, _ID)


def _gemini() -> Exchange:
    body = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "done"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12},
        "modelVersion": "gemini-2.5-flash",
        "responseId": _ID,
    }
    path, chunk = "/v1beta/models/gemini-2.5-flash:generateContent", json.dumps(body).encode()
    return Exchange("gemini", "POST", path, "gemini-2.5-flash", False, 200, _JSON, (chunk,), False, _ID)


ANSWERS = (_chat(), _chat_stream(), _gemini())
