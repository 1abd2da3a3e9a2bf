"""Its call fails in a way that SDKs repeat, but nobody repeats it before it ends."""

from openai import InternalServerError, OpenAI

from tests.otel_cost.instrument.process_apps.calls import said

try:
    OpenAI(max_retries=0).responses.create(model="gpt-4.1-mini", input="Say hello")
except InternalServerError:
    said("")
