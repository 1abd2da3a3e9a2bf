"""What the environment, or the arguments of `instrument()`, ask of the instrumentation."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from otel_cost.instrument import content

HOSTS_VARIABLE = "OTEL_COST_HOSTS"
"""Hosts of model servers that are not known: `llm.internal:8000=vllm,gateway.example=openai`."""
INCLUDE_USAGE_VARIABLE = "OTEL_COST_INCLUDE_USAGE"
"""`true`: OpenAI-compatible chat streams that do not ask for their usage are made to."""

_logger = logging.getLogger("otel_cost")


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
        includes_usage=os.environ.get(INCLUDE_USAGE_VARIABLE, "").strip().lower() == "true",
        has_content=content.mode().on_spans,
        max_characters=content.max_characters(),
        redact=redact,
    )


def _hosts(text: str) -> dict[str, str]:
    found = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        host, _, provider = (part.strip().lower() for part in entry.partition("="))
        if host and provider:
            found[host] = provider
        else:
            _logger.warning("otel-cost: %s: %r is not host=provider", HOSTS_VARIABLE, entry)
    return found
