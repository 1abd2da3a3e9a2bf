"""An app that knows nothing of otel-cost: two agents at once, tracing switched off, and one call outside."""

import asyncio

import openai
from agents import Agent, Runner, set_default_openai_api, set_tracing_disabled

set_default_openai_api("chat_completions")
set_tracing_disabled(True)


async def main() -> None:
    agents = [Agent(name=name, model="gpt-4o") for name in ("triage", "billing")]
    await asyncio.gather(*(Runner.run(agent, "hi") for agent in agents))
    await openai.AsyncOpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])


asyncio.run(main())
