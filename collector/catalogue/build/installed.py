"""What installed packages carry: genai-prices' own data, in the form in which it is published, and LiteLLM's file.

Neither package is needed to price or to update; where one is installed, its data needs no network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LITELLM_FILE = "model_prices_and_context_window_backup.json"


def genai_prices() -> list[dict[str, Any]] | None:
    """The installed genai-prices' providers as its `data.json` has them; None if it is not installed."""
    if find_spec("genai_prices") is None:
        return None
    from genai_prices.data import providers

    return [_raw(provider) for provider in providers]


def litellm_file() -> Path | None:
    """Where an installed LiteLLM keeps its price file; the package is never imported. None if there is none."""
    found = find_spec("litellm")
    folders = (found.submodule_search_locations or ()) if found else ()
    return next((path for folder in folders if (path := Path(folder) / LITELLM_FILE).is_file()), None)


def _raw(value: Any) -> Any:
    """A dataclass as the JSON that it was read from: no empty fields, dates and prices as text, `or_` as `or`."""
    if isinstance(value, list):
        return [_raw(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _raw(item) for key, item in value.items()}
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if dataclasses.is_dataclass(value) or type(value).__name__ == "ModelPrice":
        fields = vars(value).items()
        return {key.removesuffix("_"): _raw(item) for key, item in fields if item is not None and key[0] != "_"}
    return value
