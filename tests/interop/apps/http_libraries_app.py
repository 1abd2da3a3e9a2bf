"""Calls by SDKs and routers whose HTTP libraries lie on top of each other. Prints the spans of each, as JSON lines."""

import asyncio
import json
import os
import sys
from importlib import import_module
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_cost

OTHERS = {
    "aiohttp_client": "AioHttpClientInstrumentor",
    "httpx": "HTTPXClientInstrumentor",
    "requests": "RequestsInstrumentor",
    "urllib3": "URLLib3Instrumentor",
}
URL = os.environ["OPENAI_BASE_URL"]
ROOT = URL.removesuffix("/v1")
MODEL = "gpt-4o"
MESSAGES: Any = [{"role": "user", "content": "hi"}]
KEYS = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
NOVA = "us.amazon.nova-2-lite-v1:0"
CLAUDE = "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
BEDROCK_MESSAGES: Any = [{"role": "user", "content": [{"text": "hi"}]}]


def by_requests() -> None:
    import_module("requests").post(f"{URL}/chat/completions", json={"model": MODEL, "messages": MESSAGES}, timeout=30)


async def by_aiohttp() -> None:
    async with (
        import_module("aiohttp").ClientSession() as session,
        session.post(f"{URL}/chat/completions", json={"model": MODEL, "messages": MESSAGES}) as response,
    ):
        await response.json()


async def by_httpx_over_aiohttp() -> None:
    openai = import_module("openai")
    async with openai.AsyncOpenAI(http_client=openai.DefaultAioHttpClient()) as client:
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)


def by_litellm() -> None:
    import_module("litellm").completion(model=f"openai/{MODEL}", api_base=URL, messages=MESSAGES)


async def by_litellm_async() -> None:
    await import_module("litellm").acompletion(
        model=f"deepseek/{MODEL}", api_base=URL, api_key="none", messages=MESSAGES
    )


def by_boto3() -> None:
    client = import_module("boto3").client("bedrock-runtime", endpoint_url=ROOT, **KEYS)
    client.converse(modelId=NOVA, messages=BEDROCK_MESSAGES)


async def by_aiobotocore() -> None:
    session = import_module("aiobotocore.session").get_session()
    async with session.create_client("bedrock-runtime", endpoint_url=ROOT, **KEYS) as client:
        await client.converse(modelId=NOVA, messages=BEDROCK_MESSAGES)


async def by_aiobotocore_streamed() -> None:
    session = import_module("aiobotocore.session").get_session()
    async with session.create_client("bedrock-runtime", endpoint_url=ROOT, **KEYS) as client:
        answer = await client.converse_stream(modelId=CLAUDE, messages=BEDROCK_MESSAGES)
        assert [event async for event in answer["stream"]]


async def by_google_genai_async() -> None:
    genai = import_module("google.genai")
    client = genai.Client(api_key="none", http_options={"base_url": ROOT, "api_version": "v1beta"})
    await client.aio.models.generate_content(model="gemini-2.0-flash", contents="hi")


WAYS = (
    by_requests,
    by_aiohttp,
    by_httpx_over_aiohttp,
    by_litellm,
    by_litellm_async,
    by_boto3,
    by_aiobotocore,
    by_aiobotocore_streamed,
    by_google_genai_async,
)

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
if sys.argv[1] == "first":
    otel_cost.install()
for module, other in OTHERS.items():
    getattr(import_module(f"opentelemetry.instrumentation.{module}"), other)().instrument()
otel_cost.install()
for way in WAYS:
    done = way()
    if done is not None:
        asyncio.run(done)
    spans = [
        {
            "scope": span.instrumentation_scope and span.instrumentation_scope.name,
            "id": span.context and span.context.span_id,
            "parent": span.parent and span.parent.span_id,
            "attributes": dict(span.attributes or {}),
        }
        for span in exporter.get_finished_spans()
    ]
    print(json.dumps({"way": way.__name__, "spans": spans}))
    exporter.clear()
