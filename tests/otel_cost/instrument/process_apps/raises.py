"""Dies of an error."""

from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import ask

ask(OpenAI())
raise ValueError("of the app")
