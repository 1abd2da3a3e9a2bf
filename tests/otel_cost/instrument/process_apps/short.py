"""Ends right after its call."""

from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import ask

ask(OpenAI())
