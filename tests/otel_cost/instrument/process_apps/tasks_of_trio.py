"""Calls from many tasks of trio at once."""

import trio
from openai import AsyncOpenAI

from tests.otel_cost.instrument.process_apps.calls import ask_async


async def main() -> None:
    async with AsyncOpenAI() as client, trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(ask_async, client)


trio.run(main)
