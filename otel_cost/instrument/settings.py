"""What the environment, or the arguments of `instrument()`, ask of the instrumentation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import NamedTuple

from otel_cost.environment import is_true, warn_once
from otel_cost.instrument import content
from otel_cost.normalise import vocabulary

HOSTS_VARIABLE = "OTEL_COST_HOSTS"
"""Hosts of model servers that are not known: `llm.internal:8000=vllm,gateway.example=openai`."""
INCLUDE_USAGE_VARIABLE = "OTEL_COST_INCLUDE_USAGE"
"""`true`: OpenAI-compatible chat streams that do not ask for their usage are made to."""

_KNOWN = frozenset(
    (
        *(spelling for spelling, name in vocabulary.PROVIDERS.items() if name is not None),
        *vocabulary.HOST_PROVIDERS.values(),
        *vocabulary.HOST_PORT_PROVIDERS.values(),
        *(name for _, name in vocabulary.HOST_SUFFIX_PROVIDERS),
    )
)
NEAR = 0.8
"""How alike (difflib) names are that may be a slip of the other. Lower: own names are doubted. Higher: slips pass."""


class Settings(NamedTuple):
    """Read once, when the instrumentation is switched on."""

    hosts: Mapping[str, str] = MappingProxyType({})  # host or host:port -> provider
    includes_usage: bool = False
    has_content: bool = False
    max_characters: int = content.DEFAULT_MAX_CHARACTERS
    redact: content.Redact | None = None


def read_settings(hosts: Mapping[str, str] | None = None, redact: content.Redact | None = None) -> Settings:
    """The environment's settings under those given. Never raises: what cannot be read is logged and left out."""
    return Settings(
        hosts={**_hosts(os.environ.get(HOSTS_VARIABLE, "")), **(hosts or {})},
        includes_usage=is_true(INCLUDE_USAGE_VARIABLE),
        has_content=content.mode().on_spans,
        max_characters=content.max_characters(),
        redact=redact,
    )


def _hosts(text: str) -> dict[str, str]:
    found = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        host, _, provider = (part.strip().lower() for part in entry.partition("="))
        if not (host and provider):
            warn_once(f"otel-cost: {HOSTS_VARIABLE}: {entry!r} is not host=provider; it is left out")
            continue
        found[host] = provider
        near = [] if provider in _KNOWN else get_close_matches(provider, sorted(_KNOWN), 1, NEAR)
        if near:  # a provider of the user's own is as good
            warn_once(f"otel-cost: {HOSTS_VARIABLE}: no provider {provider!r} is known; did you mean {near[0]!r}?")
    return found
