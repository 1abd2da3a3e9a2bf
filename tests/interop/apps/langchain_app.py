"""An app that knows nothing of otel-cost: a LangChain chat model."""

from langchain_openai import ChatOpenAI

print(ChatOpenAI(model="gpt-4o", max_retries=0).invoke("summarise").usage_metadata)
print(sum(1 for _ in ChatOpenAI(model="gpt-4o-mini", stream_usage=True, max_retries=0).stream("weather")), "chunks")
