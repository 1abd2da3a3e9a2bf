"""The calls that the apps make, by SDK and by HTTP library; each prints the id of its response."""

from __future__ import annotations

import os
from typing import Any

MESSAGES: Any = [{"role": "user", "content": "hi"}]
MODEL = "gpt-4o"
MODEL_THAT_STREAMS = "gpt-3.5-turbo"
URL = os.environ["OPENAI_BASE_URL"] + "/chat/completions"


def ask(client: Any) -> None:
    """By the OpenAI SDK."""
    said(client.chat.completions.create(model=MODEL, messages=MESSAGES).id)


async def ask_async(client: Any) -> None:
    """By the SDK's async client."""
    said((await client.chat.completions.create(model=MODEL, messages=MESSAGES)).id)


def said(response_id: str) -> None:
    """One write per line: lines of several processes do not mix."""
    os.write(1, f"{response_id}\n".encode())
