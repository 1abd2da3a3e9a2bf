"""An app that knows nothing of otel-cost: a pydantic-ai agent, instrumented by its own switch."""

from pydantic_ai import Agent

Agent.instrument_all()
print(Agent("openai-chat:gpt-4o", name="writer").run_sync("summarise").output[:40])
