"""Calls from many asyncio tasks at once, by the SDK and by aiohttp."""

import asyncio

import aiohttp
from openai import AsyncOpenAI

from tests.otel_cost.instrument.process_apps.calls import MESSAGES, MODEL, URL, ask_async, said


async def post(session: aiohttp.ClientSession) -> None:
    async with session.post(URL, json={"model": MODEL, "messages": MESSAGES}) as response:
        said((await response.json())["id"])


async def main() -> None:
    async with AsyncOpenAI() as client, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(ask_async(client))
            group.create_task(post(session))


asyncio.run(main())
