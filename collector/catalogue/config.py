"""How a collector keeps its prices current."""

from __future__ import annotations

from dataclasses import dataclass

GENAI_PRICES_URL = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
)
"""Where genai-prices publishes its data, https://github.com/pydantic/genai-prices."""
LITELLM_URL = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
"""LiteLLM's price file, https://github.com/BerriAI/litellm."""

LEAST_INTERVAL_SECONDS = 600.0
"""More often only burdens the hosts: the catalogues change a few times a day at most."""
MOST_INTERVAL_SECONDS = 90 * 86_400.0
DEFAULT_INTERVAL_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class RefreshConfig:
    """Where prices come from and how often to look; None: that catalogue is not refreshed.

    A source is a URL (http, https) or the path of a file, which may be written by anything that has a network.
    """

    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    genai_prices: str | None = GENAI_PRICES_URL
    litellm: str | None = LITELLM_URL
