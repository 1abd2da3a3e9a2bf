"""Figures from public bug reports of other cost trackers: what they should have said, and what they said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from otel_cost.pricing import default_card, price
from otel_cost.pricing.money import format_usd
from otel_cost.usage import split
from tests.otel_cost.pricing.cards import always, make_card, model

AT_NS = 1_788_000_000_000_000_000  # 2026-08-29


@pytest.mark.parametrize(
    ("rates", "usage", "usd", "seen"),
    [
        # multica-ai/multica PR#5838: cached and uncached input both at the full rate
        ((2, "0.3", 6), (12_929, 10_880, 29), "0.007536", "0.029296"),
        # earendil-works/pi PR#2148: cached tokens added to an input that contains them
        (("0.5", "0.05", 3), (20_212, 16_298, 931), "0.0055649", "0.0137"),
        # Agenta-AI/agenta PR#5965: the prompt's part
        (("0.3", "0.03", 1), (25_978, 24_540, 0), "0.0011676", "0.0077934"),
        # Agenta-AI/agenta#5711: the same counts and 13 tokens of output
        (("1.5", "0.15", 9), (25_978, 24_540, 13), "0.005955", "0.039084"),
    ],
)
def test_cached_tokens_are_part_of_the_input(
    tmp_path: Path, rates: tuple[object, ...], usage: tuple[int, int, int], usd: str, seen: str
) -> None:
    whole, read, out = (int(Decimal(str(rate)) * 1_000_000) for rate in rates)
    card = make_card(
        tmp_path, {"openai": [model("m", always(input_tokens=whole, cache_read_tokens=read, output_tokens=out))]}
    )
    counts = dict(zip(("input_tokens", "cache_read_tokens", "output_tokens"), usage, strict=True))
    cost = price(
        provider="openai", request_model="m", response_model=None, at_ns=AT_NS, usage=counts, context={}, card=card
    )
    assert cost.total_pico_usd is not None
    assert format_usd(cost.total_pico_usd) == usd != seen


@pytest.mark.parametrize(
    ("provider", "name", "usage", "usd"),
    [
        ("xai", "grok-4.5", (12_929, 10_880, 29), "0.007536"),
        ("gemini", "gemini-3-flash-preview", (20_212, 16_298, 931), "0.0055649"),
        ("gemini", "gemini-2.5-flash", (25_978, 24_540, 0), "0.0011676"),
        ("gemini", "gemini-3.5-flash", (25_978, 24_540, 13), "0.005955"),
    ],
)
def test_the_shipped_card_gives_the_same(provider: str, name: str, usage: tuple[int, int, int], usd: str) -> None:
    counts = dict(zip(("input_tokens", "cache_read_tokens", "output_tokens"), usage, strict=True))
    cost = price(
        provider=provider, request_model=name, response_model=None, at_ns=AT_NS, usage=counts, context={},
        card=default_card(),
    )  # fmt: skip
    assert cost.total_pico_usd is not None
    assert format_usd(cost.total_pico_usd) == usd


@pytest.mark.parametrize(
    ("usage", "uncached", "all_input"),
    [
        # browser-use/browser-use#5305: writes were left in the uncached part, 1,500
        ({"input_tokens": 2_000, "cache_read_tokens": 500, "cache_write_tokens": 300}, 1_200, 2_000),
        # Aider-AI/aider#5516: 17,111 uncached
        ({"input_tokens": 17_111, "cache_read_tokens": 17_102}, 9, 17_111),
        # agentic-os-org/ANOLISA PR#3081: 146,024 tokens in all
        ({"input_tokens": 74_302, "cache_read_tokens": 71_552, "output_tokens": 170}, 2_750, 74_302),
        # agentforce314/clawcodex PR#786: input counts misses only; 71.7 % of the cost was lost
        ({"input_tokens": 53, "cache_read_tokens": 2_560}, 53, 2_613),
    ],
)
def test_every_token_is_counted_once(usage: dict[str, int], uncached: int, all_input: int) -> None:
    parts, whole, _ = split(usage)
    assert (parts["input_tokens"], whole) == (uncached, all_input)
