"""Exits with a code of its own."""

import sys

from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import ask

ask(OpenAI())
sys.exit(3)
