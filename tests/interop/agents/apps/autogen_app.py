"""An app that knows nothing of otel-cost: an AutoGen assistant."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

asyncio.run(AssistantAgent("helper", OpenAIChatCompletionClient(model="gpt-4o")).run(task="hi"))
