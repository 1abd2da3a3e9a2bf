"""The published files of the catalogues, as the builder takes them: only what it reads, prices as exact text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from collector.catalogue.build import from_genai_prices, from_litellm

SAMPLE_ENTRY = "sample_spec"
"""LiteLLM's file begins with an entry that explains its keys."""


def read_genai_prices(raw: bytes) -> list[dict[str, Any]]:
    """The providers of a `data.json`.

    Raises:
        ValueError, KeyError, TypeError: it is no such file.
    """
    return from_genai_prices.usable_keys(json.loads(raw, parse_float=_exact))


def read_litellm(raw: bytes) -> dict[str, dict[str, Any]]:
    """The entries of a `model_prices_and_context_window.json` that the builder takes, by name.

    Raises:
        ValueError, AttributeError, TypeError: it is no such file.
    """
    entries: dict[str, Any] = json.loads(raw, parse_float=_exact)
    return {
        key: {name: _text(value) for name, value in from_litellm.usable_keys(entry).items()}
        for key, entry in sorted(entries.items())
        if key != SAMPLE_ENTRY and from_litellm.provider_and_name(key, entry) is not None
    }


def _exact(text: str) -> str:
    return format(Decimal(text), "f")


def _text(value: Any) -> Any:
    return value if isinstance(value, (str, int, dict, list)) else str(value)
