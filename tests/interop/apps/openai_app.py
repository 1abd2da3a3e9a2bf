"""An app that knows nothing of otel-cost: the openai SDK, five ways to call a model."""

from openai import OpenAI

client = OpenAI(max_retries=0)
chat = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "summarise"}])
print(chat.usage)
stream = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "weather"}],
    stream=True,
    stream_options={"include_usage": True},
)
print(sum(1 for _ in stream), "chunks")
print(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float").usage)
print(client.responses.create(model="gpt-4o", input="continue").usage)
silent = client.chat.completions.create(
    model="gpt-5-nano", messages=[{"role": "user", "content": "hello"}], stream=True
)
print(sum(1 for _ in silent), "chunks without usage")
