"""An app that knows nothing of otel-cost: the anthropic SDK with prompt caching and a stream."""

from anthropic import Anthropic

client = Anthropic(max_retries=0)


def ask(model: str, content: str) -> None:
    """One message; the replay answers by model, in the order recorded."""
    reply = client.messages.create(model=model, max_tokens=100, messages=[{"role": "user", "content": content}])
    print(reply.usage)


ask("claude-haiku-4-5-20251001", "write the cache")
ask("claude-haiku-4-5-20251001", "read the cache")
ask("claude-sonnet-4-20250514", "keep it for an hour")
with client.messages.stream(
    model="claude-sonnet-4-6", max_tokens=200, messages=[{"role": "user", "content": "weather"}]
) as stream:
    print(stream.get_final_message().usage)
