"""An app that knows nothing of otel-cost: the google-genai SDK."""

from google import genai

client = genai.Client()
print(client.models.generate_content(model="gemini-2.5-flash", contents="think").usage_metadata)
for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents="stream"):
    last = chunk
print(last.usage_metadata)
