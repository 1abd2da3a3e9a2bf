"""LiteLLM's entries as rates: divided prices made whole again, fees by size, tiers, places."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from collector.catalogue.build.from_litellm import prices, provider_and_name, uplifts, whole_hour
from collector.catalogue.build.litellm_keys import sized_name


@pytest.mark.parametrize(
    ("per_second", "per_hour"),
    [
        ("0.0000611", "0.22"),  # ElevenLabs Scribe
        ("0.00020833", "0.75"),  # Deepgram Base
        ("0.0001", "0.36"),  # Whisper: exact as it is
        ("0.00002778", "0.1"),  # xAI transcription
        ("0.001333333333333", "4.8"),  # xAI voice
        ("0.00003083", "0.111"),  # Groq whisper-large-v3
        ("0.0000085", "0.0306"),  # Cloudflare: exact as it is
    ],
)
def test_a_price_divided_by_3600_and_rounded_is_the_hours_price_again(per_second: str, per_hour: str) -> None:
    assert round(whole_hour(Decimal(per_second)) * 3600, 12) == Decimal(per_hour)


def test_search_fees_are_by_context_size_only_where_they_differ() -> None:
    def fees(low: str, medium: str, high: str) -> dict[str, Decimal]:
        sizes = {f"search_context_size_{size}": usd for size, usd in (("low", low), ("medium", medium), ("high", high))}
        return prices("openai", {"mode": "chat", "search_context_cost_per_query": sizes})["standard"][-1]

    assert fees("0.01", "0.01", "0.01") == {"web_searches": Decimal("0.01")}
    assert fees("0.005", "0.008", "0.012") == {
        "web_searches": Decimal("0.008"),
        "web_searches_low": Decimal("0.005"),
        "web_searches_medium": Decimal("0.008"),
        "web_searches_high": Decimal("0.012"),
    }


def test_tiers_are_strict_but_for_xai() -> None:
    entry: dict[str, Any] = {"input_cost_per_token": "1", "input_cost_per_token_above_200k_tokens": "2"}
    assert sorted(prices("google", entry)["standard"]) == [-1, 200_000]
    assert sorted(prices("x-ai", entry)["standard"]) == [-1, 199_999]
    ranges = [
        {"range": [0, "32000"], "input_cost_per_token": "1"},
        {"range": ["32000", "1"], "input_cost_per_token": "2"},
    ]
    assert sorted(prices("dashscope", {"tiered_pricing": ranges})["standard"]) == [-1, 32_000]


def test_places_and_sizes_are_read_from_keys_and_names() -> None:
    assert uplifts({"regional_endpoint_uplift_multiplier": "1.1", "provider_specific_entry": {"us": "1.1"}}) == {
        "*": 1_100_000, "us": 1_100_000,
    }  # fmt: skip
    sized = sized_name("low/1024-x-1536/gpt-image-1")
    assert sized is not None
    assert (sized.model, sized.qualifier) == ("gpt-image-1", "1024x1536_low")
    assert sized_name("gpt-image-1") is None
    bedrock = {"litellm_provider": "bedrock"}
    assert provider_and_name("bedrock/us-gov-west-1/m", bedrock) == ("aws", "us-gov-west-1/m")
    assert provider_and_name("bedrock/*/1-month-commitment/m", bedrock) is None
