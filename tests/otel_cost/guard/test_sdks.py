"""What real SDKs do with a refusal: it comes out as it is, nothing was sent, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import anthropic
import boto3
import botocore.config
import cohere
import groq
import httpx
import mistralai.client
import ollama
import openai
import pytest
import requests
from google import genai

import otel_cost
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from tests.otel_cost.guard.budget_server import Budget
from tests.otel_cost.guard.guarding import guarded_app
from tests.otel_cost.instrument.observing import MESSAGES, MODEL, answer

pytestmark = pytest.mark.filterwarnings("ignore")
BODY = {"model": MODEL, "messages": MESSAGES}
PROVIDERS = {
    "anthropic": "anthropic",
    "google-genai": "gcp.gemini",
    "cohere": "cohere",
    "ollama": "ollama",
    "boto3": "aws.bedrock",
    "mistralai": "mistral_ai",
    "groq": "groq",
}
"""By the first word of a case; others are taken for OpenAI."""
Call = Callable[[str], object]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """SDKs' clients are not closed here: their sockets end with the test, not in another one."""
    yield
    gc.collect()


def _openai(url: str) -> object:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k").chat.completions.create(**BODY)  # type: ignore[call-overload]


def _openai_stream(url: str) -> object:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="k").responses.create(model=MODEL, input="Hello", stream=True)


def _openai_async(url: str) -> object:
    async def call() -> object:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            return await client.chat.completions.create(**BODY)  # type: ignore[call-overload]

    return asyncio.run(call())


def _anthropic(url: str) -> object:
    client = anthropic.Anthropic(base_url=url, api_key="k")
    return client.messages.create(model="claude-sonnet-4-5", max_tokens=10, messages=MESSAGES)


def _anthropic_async_stream(url: str) -> object:
    async def call() -> object:
        client = anthropic.AsyncAnthropic(base_url=url, api_key="k")
        async with client.messages.stream(model="claude-sonnet-4-5", max_tokens=10, messages=MESSAGES) as stream:
            return await stream.get_final_message()

    return asyncio.run(call())


def _groq(url: str) -> object:
    return groq.Groq(base_url=url, api_key="k").chat.completions.create(**BODY)  # type: ignore[call-overload]


def _groq_async(url: str) -> object:
    async def call() -> object:
        return await groq.AsyncGroq(base_url=url, api_key="k").chat.completions.create(**BODY)  # type: ignore[call-overload]

    return asyncio.run(call())


def _genai(url: str) -> object:
    options = genai.types.HttpOptions(base_url=url, retry_options=genai.types.HttpRetryOptions(attempts=3))
    client = genai.Client(api_key="k", http_options=options)
    return client.models.generate_content(model="gemini-2.5-flash", contents="Hello")


def _mistral(url: str) -> object:
    retries = mistralai.client.utils.RetryConfig(
        "backoff", mistralai.client.utils.BackoffStrategy(10, 20, 1.5, 2000), True
    )
    client = mistralai.client.Mistral(api_key="k", server_url=url, retry_config=retries)
    return client.chat.complete(model="mistral-small-latest", messages=MESSAGES)


def _cohere(url: str) -> object:
    return cohere.ClientV2(api_key="k", base_url=url).chat(model="command-a-03-2025", messages=MESSAGES)


def _ollama(url: str) -> object:
    return ollama.Client(host=url).chat(model="llama3.2", messages=MESSAGES)


def _bedrock(mode: str) -> Call:
    def call(url: str) -> object:
        config = botocore.config.Config(retries={"mode": mode, "total_max_attempts": 3})
        client: Any = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="k",
            aws_secret_access_key="s",
            config=config,
        )
        messages = [{"role": "user", "content": [{"text": "Hello"}]}]
        return client.converse(modelId="anthropic.claude-3-haiku-20240307-v1:0", messages=messages)

    return call


def _requests(url: str) -> object:
    return requests.post(f"{url}/v1/chat/completions", json=BODY, timeout=20)


def _httpx(url: str) -> object:
    return httpx.post(f"{url}/v1/chat/completions", json=BODY)


def _aiohttp(url: str) -> object:
    async def call() -> object:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=BODY) as said:
            return await said.read()

    return asyncio.run(call())


CALLS: dict[str, Call] = {
    "openai": _openai,
    "openai responses stream": _openai_stream,
    "openai async": _openai_async,
    "anthropic": _anthropic,
    "anthropic async stream": _anthropic_async_stream,
    "groq": _groq,
    "groq async": _groq_async,
    "google-genai": _genai,
    "mistralai": _mistral,
    "cohere": _cohere,
    "ollama": _ollama,
    "boto3 legacy": _bedrock("legacy"),
    "boto3 standard": _bedrock("standard"),
    "boto3 adaptive": _bedrock("adaptive"),
    "requests": _requests,
    "httpx": _httpx,
    "aiohttp": _aiohttp,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_refusal_comes_out_of_the_sdk_as_it_is_and_nothing_is_sent_or_repeated(name: str) -> None:
    budget = Budget(limit_usd="0", answer=lambda _: {"decision": "block", "refusal": budget.refusal("block")})
    with guarded_app(budget, answer(), provider=PROVIDERS.get(name.split()[0], "openai")) as app:
        with pytest.raises(otel_cost.BudgetExceeded) as raised:
            CALLS[name](app.server.url)
        assert app.server.bodies == []
        assert WIRE_SCOPE not in [span.instrumentation_scope.name for span in app.spans() if span.instrumentation_scope]
    assert len(budget.claims()) == 1
    assert (raised.value.rule, raised.value.unit, raised.value.limit) == ("cap", "USD", "0")
    assert raised.value.resets_at is not None
    assert raised.value.__cause__ is None


def test_an_approval_that_is_needed_has_its_ticket() -> None:
    refusal = {"decision": "approval", "refusal": {"rule": "cap", "unit": "USD", "ticket": "T-1"}}
    with guarded_app(Budget(answer=lambda _: refusal), answer()) as app:
        with pytest.raises(otel_cost.ApprovalRequired, match="T-1") as raised:
            _groq(app.server.url)
        assert isinstance(raised.value, otel_cost.BudgetError)
    assert raised.value.ticket == "T-1"


def test_a_refusal_is_found_in_the_error_of_a_framework() -> None:
    refusal = otel_cost.BudgetExceeded("no")
    error = RuntimeError("the agent failed")
    error.__context__ = refusal
    assert otel_cost.BudgetError.within(error) is refusal
    assert otel_cost.BudgetError.within(RuntimeError("else")) is None
