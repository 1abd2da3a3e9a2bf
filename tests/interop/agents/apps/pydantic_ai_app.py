"""An app that knows nothing of otel-cost: an agent named by its variable, one by an argument; the second is a tool."""

from pydantic_ai import Agent

helper = Agent("openai-chat:gpt-4o", name="looker-up")
support = Agent("openai-chat:gpt-4o")
support.run_sync("hi")
helper.run_sync("hi")
