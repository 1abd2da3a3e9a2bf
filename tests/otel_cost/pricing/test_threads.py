"""Wrong figures that users of other tools reported, each with the right one; named after their threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_cost.pricing import price
from otel_cost.pricing.money import pico_usd
from tests.otel_cost.pricing.cards import always, make_card, model

# thread, rates in pico-USD per token (input, cached, output), usage, right amount in USD, the amount seen there
THREADS = [
    ("multica PR#5838", (2_000_000, 300_000, 6_000_000), (12_929, 10_880, 29), "0.007536", "0.029296"),
    ("earendil pi PR#2148", (500_000, 50_000, 3_000_000), (20_212, 16_298, 931), "0.0055649", "0.0137"),
    ("agenta PR#5965", (300_000, 30_000, 0), (25_978, 24_540, 0), "0.0011676", "0.007793"),
    ("agenta#5711", (1_500_000, 150_000, 117_000_000), (25_978, 24_540, 1), "0.005955", "0.039084"),
]


@pytest.mark.parametrize(("thread", "rates", "counts", "right", "wrong"), THREADS, ids=[row[0] for row in THREADS])
def test_cached_tokens_are_part_of_the_input(
    tmp_path: Path, thread: str, rates: tuple[int, int, int], counts: tuple[int, int, int], right: str, wrong: str
) -> None:
    card = make_card(
        tmp_path,
        {"openai": [model("m", always(input_tokens=rates[0], cache_read_tokens=rates[1], output_tokens=rates[2]))]},
    )
    usage = {"input_tokens": counts[0], "cache_read_tokens": counts[1], "output_tokens": counts[2]}
    found = price(
        provider="openai", request_model="m", response_model=None, at_ns=0, usage=usage, context={}, card=card
    )
    assert found.total_pico_usd == pico_usd(right)
    assert found.total_pico_usd != pico_usd(wrong)


def test_latitude_pr_4051_cached_and_reasoning_are_subsets(tmp_path: Path) -> None:
    """latitude PR#4051: 34,603 tokens were billed as more, because cached and reasoning tokens were added again."""
    card = make_card(tmp_path, {"openai": [model("m", always(input_tokens=1, cache_read_tokens=1, output_tokens=1))]})
    usage = {
        "input_tokens": 30_000,
        "cache_read_tokens": 20_000,
        "output_tokens": 4_603,
        "output_reasoning_tokens": 3_000,
    }
    found = price(
        provider="openai", request_model="m", response_model=None, at_ns=0, usage=usage, context={}, card=card
    )
    assert found.total_pico_usd == 34_603


def test_anolisa_pr_3081_every_token_is_in_one_line(tmp_path: Path) -> None:
    """ANOLISA PR#3081: 74,302 prompt (71,552 cached) + 170 output are 74,472 tokens, not 146,024."""
    card = make_card(tmp_path, {"openai": [model("m", always(input_tokens=9, output_tokens=9))]})
    usage = {"input_tokens": 74_302, "cache_read_tokens": 71_552, "output_tokens": 170}
    found = price(
        provider="openai", request_model="m", response_model=None, at_ns=0, usage=usage, context={}, card=card
    )
    assert sum(line.quantity for line in found.lines) == 74_472


def test_clawcodex_pr_786_input_that_counts_only_misses(tmp_path: Path) -> None:
    """clawcodex PR#786: 53 misses beside 2,560 cached tokens; both classes are priced, nothing is missing."""
    card = make_card(
        tmp_path, {"openai": [model("m", always(input_tokens=100, cache_read_tokens=10, output_tokens=1))]}
    )
    usage = {"input_tokens": 53, "cache_read_tokens": 2_560}
    found = price(
        provider="openai", request_model="m", response_model=None, at_ns=0, usage=usage, context={}, card=card
    )
    assert [(line.unit, line.quantity) for line in found.lines] == [("input_tokens", 53), ("cache_read_tokens", 2_560)]
    assert found.total_pico_usd == 53 * 100 + 2_560 * 10
