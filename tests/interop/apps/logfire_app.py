"""An app that knows nothing of otel-cost: logfire over the openai SDK."""

import logfire
from openai import OpenAI

logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_openai()
client = OpenAI(max_retries=0)
print(client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "summarise"}]).usage)
stream = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "weather"}],
    stream=True,
    stream_options={"include_usage": True},
)
print(sum(1 for _ in stream), "chunks")
