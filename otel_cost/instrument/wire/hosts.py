"""Who is behind a host: by the table of `otel_cost.normalise.vocabulary`, else by what host, path and model hint at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from otel_cost.instrument.wire.types import Asked, Reading, maker
from otel_cost.instrument.wire.values import NOTHING
from otel_cost.normalise import transforms
from otel_cost.normalise.vocabulary import (
    ANTHROPIC,
    AZURE_INFERENCE,
    AZURE_OPENAI,
    BEDROCK,
    COHERE,
    GEMINI,
    HOST_PORT_PROVIDERS,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENROUTER,
    PERPLEXITY,
    PROVIDERS,
    VLLM,
    XAI,
)
from otel_cost.pricing.providers import MODEL_SHAPES, OWN_PREFIXES, PROVIDER_ALIASES

_LOCAL = re.compile(
    r"(?:localhost|127\.[0-9.]+|10\.[0-9.]+|192\.168\.[0-9.]+|172\.(?:1[6-9]|2[0-9]|3[01])\.[0-9.]+|0\.0\.0\.0"
    r"|\[[0-9a-f:]+\]|[^.]+|.*\.(?:local|internal|lan|localhost|svc|docker\.internal))\Z"
)
"""Hosts of the user's own network."""

_NAMES = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "google": GEMINI,
    "x-ai": XAI,
    "aws": BEDROCK,
    "azure": AZURE_OPENAI,
    "mistral": MISTRAL,
    "cohere": COHERE,
    "perplexity": PERPLEXITY,
}
"""Ids of the rate card whose name in the conventions is another word."""

_OPEN_WEIGHTS = re.compile(r"gpt-oss|gemma|open-mi[sx]tral|mixtral|ministral|mistral-(?:7b|nemo|small)|c4ai-")
_CLOSED = frozenset({"openai", "anthropic", "google", "x-ai", "cohere", "perplexity", "voyageai", "aws"})
"""Labs whose models (but for `_OPEN_WEIGHTS`) nobody can run himself: a local host that serves them is a gateway."""

_SHAPES = tuple((re.compile(pattern), owner) for pattern, owner in MODEL_SHAPES)


def provider_of(authority: str, path: str, hosts: Mapping[str, str]) -> str | None:
    """The provider of a lower-case `host[:port]` that the user or our table names; None where neither does."""
    if hosts:
        found = hosts.get(authority) or hosts.get(_host(authority))
        if found:
            return convention_name(found)
    provider = _tabled(authority)
    if provider == AZURE_INFERENCE and "/openai/" in path:
        return AZURE_OPENAI  # one resource of Azure AI Foundry serves both APIs
    if provider == AZURE_OPENAI and "/models/" in path:
        return AZURE_INFERENCE
    return provider


_tabled = lru_cache(maxsize=256)(transforms.host)


def _host(authority: str) -> str:
    host, _, port = authority.rpartition(":")
    return host if host and port.isdigit() else authority


@lru_cache(maxsize=256)
def guessed(authority: str, before: str, model: str | None) -> str:
    """The likely provider of an OpenAI-compatible host that no table knows. `before`: the URL up to the API's path.

    In this order: a provider's name in the path (gateways; "openai" last, as it is also the name of the shape), in
    the host, the usual port of a local runtime, the lab whose model it is. Else, on the user's own network a runtime
    like vLLM, elsewhere "openai", as the conventions say of compatible servers.
    """
    host, _, port = authority.rpartition(":")
    host = host if host and port.isdigit() else authority
    path = before.partition("://")[2].partition("/")[2]
    words = path.lower().split("/")
    for word in (*sorted(words, key=OPENAI.__eq__), *_labels(host)):
        if word in PROVIDER_ALIASES or PROVIDERS.get(word):
            return convention_name(word)
    is_local = _LOCAL.match(host) is not None
    if is_local and port in HOST_PORT_PROVIDERS:
        return HOST_PORT_PROVIDERS[port]
    return _lab(model or "", is_local) or (VLLM if is_local else OPENAI)


def _labels(host: str) -> tuple[str, ...]:
    labels = host.split(".")
    return () if len(labels) < 2 or _LOCAL.match(host) else (labels[-2], *labels[:-2])


def convention_name(word: str) -> str:
    """A provider's name as `gen_ai.provider.name` has it, of any spelling that is known."""
    return PROVIDERS.get(word) or _NAMES.get(PROVIDER_ALIASES.get(word, word)) or PROVIDER_ALIASES.get(word, word)


def _lab(model: str, is_local: bool) -> str | None:
    prefix, _, rest = model.partition("/")
    if rest and prefix in PROVIDER_ALIASES and prefix in OWN_PREFIXES.get(PROVIDER_ALIASES[prefix], ()):
        owner: str | None = PROVIDER_ALIASES[prefix]
        bare = rest
    else:
        owner, bare = next((owner for shape, owner in _SHAPES if shape.match(model)), None), model
    is_copy = is_local or bool(rest)  # `org/name` is how weights are published
    if owner is None or (is_copy and (owner not in _CLOSED or _OPEN_WEIGHTS.match(bare))):
        return None
    return convention_name(owner)


_ANSWERS = re.compile(
    r"(chatcmpl-[0-9]{1,5}\Z)|((?:chat|chatcmpl|cmpl|embd)-[0-9a-f]{32}\Z)"
    r"|(gen-(?:[a-z]+-)?[0-9]{10}-)|(chatcmpl-[A-Za-z0-9]{29}\Z)"
).match
_UNSURE = (OPENAI, VLLM)  # what is guessed of hosts that say nothing
_MAKERS = ("", OLLAMA, VLLM, OPENROUTER, OPENAI)
"""Forms of response ids, and by the number of each who makes such ids. Sources: recorded answers of each."""


def settled(asked: Asked, reading: Reading) -> Reading:
    """The reading with a better provider, where the request left it to guess and the answer says more."""
    if not asked.is_provider_guessed:
        return reading
    if reading.extra.get("system_fingerprint") == "fp_ollama":
        return _of(OLLAMA, reading)
    provider, response_id = reading.provider, reading.response_id
    form = _ANSWERS(response_id) if response_id and provider in _UNSURE else None
    if form is not None and _MAKERS[form.lastindex or 0] != provider:
        return _of(_MAKERS[form.lastindex or 0], reading)
    return reading


def _of(provider: str, reading: Reading) -> Reading:
    """`reading._replace(provider=provider)`, which takes ten times as long."""
    return _reading((reading.operation, provider, *reading[2:]))


_reading = maker(Reading)


def provider_of_url(url: str) -> str | None:
    """The provider that a URL's host is known to be."""
    rest = url.partition("://")[2]
    authority, _, path = rest.partition("/")
    return provider_of(authority.rpartition("@")[2].lower(), "/" + path, NOTHING)
