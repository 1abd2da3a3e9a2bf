"""An app that knows nothing of otel-cost: a Strands agent, which streams."""

from strands import Agent
from strands.models.openai import OpenAIModel

Agent(model=OpenAIModel(model_id="gpt-4o"), name="clerk", callback_handler=None)("hi")
