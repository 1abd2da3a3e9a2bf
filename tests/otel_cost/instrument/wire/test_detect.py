"""Which requests are model calls, and who is behind them: known hosts, configured hosts, gateways, local runtimes."""

from __future__ import annotations

import json

import pytest

from otel_cost.instrument.wire import Asked, Head, Request, asked, read_body
from otel_cost.instrument.wire.detect import MODULES

CHAT = {"model": "some-model", "messages": [{"role": "user", "content": "hi"}]}


def request(url: str, body: object = CHAT, method: str = "POST", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, url, named, None if body is None else json.dumps(body).encode())


def chat_with(model: str, url: str) -> Asked:
    found = asked(request(url, {**CHAT, "model": model}))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://example.com",
        "https://example.com/v1/users/1?next=/v1/chat/completions",
        "https://example.com/chat/completions/export",
        "https://api.openai.com/v1/unknown",
        "https://example.com/models/x:delete",
        "not a url",
        "",
    ],
)
def test_other_requests_are_no_model_calls(url: str) -> None:
    assert asked(request(url)) is None


@pytest.mark.parametrize("body", [None, {"messages": []}, {"text": "hi"}])
def test_on_an_unknown_host_a_path_alone_is_no_model_call(body: object) -> None:
    """Apps have their own `/completions`, `/embeddings` and `/messages`."""
    for path in ("v1/completions", "v1/embeddings", "api/messages", "responses", "chat/completions"):
        assert asked(request(f"https://intern.example.com/{path}", body)) is None


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai"),
        ("https://eu.api.openai.com/v1/chat/completions", "openai"),
        ("https://api.openai.com:443/v1/chat/completions", "openai"),
        ("https://api.openai.com/v1/chat/completions?beta=true", "openai"),
        ("https://api.mistral.ai/v1/chat/completions#stream", "mistral_ai"),
        ("https://API.GROQ.COM/openai/v1/chat/completions", "groq"),
        ("https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1", "azure.ai.openai"),
        ("https://x.services.ai.azure.com/models/chat/completions", "azure.ai.inference"),
        ("https://x.services.ai.azure.com/openai/v1/chat/completions", "azure.ai.openai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "gcp.gemini"),
        ("https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions", "aws.bedrock"),
        ("https://api.deepinfra.com/v1/openai/chat/completions", "deepinfra"),
        ("https://api.avian.io/v1/chat/completions", "avian"),
        ("https://ark.cn-beijing.volces.com/api/v3/chat/completions", "volcengine"),
        ("https://1.2.gcp.databricks.com/serving-endpoints/chat/completions", "databricks"),
        ("https://api.z.ai/api/paas/v4/chat/completions", "zai"),
    ],
)
def test_known_hosts(url: str, provider: str) -> None:
    found = asked(request(url))
    assert found is not None
    assert (found.provider, found.is_provider_guessed) == (provider, False)


def test_hosts_that_the_user_names() -> None:
    """By host or by host and port, in any spelling of the provider; they need no shape."""
    hosts = {"llm.example.com": "azure_openai", "10.0.0.1:9000": "vllm"}
    for url, provider in (
        ("https://llm.example.com/any/v1/chat/completions", "azure.ai.openai"),
        ("http://10.0.0.1:9000/v1/chat/completions", "vllm"),
    ):
        found = asked(request(url, {}), hosts)
        assert found is not None
        assert (found.provider, found.is_provider_guessed) == (provider, False)


@pytest.mark.parametrize(
    ("model", "url", "provider"),
    [
        # gateways: the provider in the path or in the host
        ("gpt-4o", "https://gateway.example.com/v1/account/openai/chat/completions", "openai"),
        ("llama-3.3-70b", "http://localhost:8787/groq/openai/v1/chat/completions", "groq"),
        ("some-model", "https://api.novita.ai/v3/chat/completions", "novita"),
        # the usual ports of local runtimes
        ("llama3", "http://localhost:11434/v1/chat/completions", "ollama"),
        ("qwen3", "http://127.0.0.1:1234/v1/chat/completions", "lmstudio"),
        ("qwen3", "http://localhost:8000/v1/chat/completions", "vllm"),
        # the lab whose model nobody else can run; open weights on one's own network are run there
        ("gpt-4o", "http://localhost:4000/chat/completions", "openai"),
        ("anthropic/claude-sonnet-4-5", "http://litellm:4000/v1/chat/completions", "anthropic"),
        ("openai/gpt-oss-20b", "http://10.1.2.3:9999/v1/chat/completions", "vllm"),
        ("deepseek-r1", "http://gpu.internal/v1/chat/completions", "vllm"),
        ("deepseek-chat", "https://llm.example.com/v1/chat/completions", "deepseek"),
        ("deepseek-ai/DeepSeek-R1", "https://llm.example.com/v1/chat/completions", "openai"),
    ],
)
def test_who_is_likely_behind_an_unknown_host(model: str, url: str, provider: str) -> None:
    found = chat_with(model, url)
    assert (found.provider, found.is_provider_guessed) == (provider, True)


@pytest.mark.parametrize(
    ("answer", "provider"),
    [
        ({"id": "chatcmpl-412", "system_fingerprint": "fp_ollama"}, "ollama"),
        ({"id": "chatcmpl-412"}, "ollama"),
        ({"id": f"chatcmpl-{'0af1' * 8}"}, "vllm"),
        ({"id": "gen-1780944464-aVi4x8Mw2aEBGnCL6z99"}, "openrouter"),
        ({"id": "anything"}, "openai"),
    ],
)
def test_the_answer_says_who_it_was(answer: dict[str, str], provider: str) -> None:
    """Where only the shape of the request was known."""
    found = chat_with("some-model", "https://llm.example.com/v1/chat/completions")
    assert read_body(found, Head(200, {}), json.dumps(answer).encode()).provider == provider


def test_no_route_is_out_of_reach() -> None:
    """The index looks at the last two words of a path."""
    for routes in MODULES:
        for route in routes:
            *_, before, last = ("", *route.path.split("/"))
            assert "{" not in last.rpartition(":")[2] or "{" not in before, route.path
