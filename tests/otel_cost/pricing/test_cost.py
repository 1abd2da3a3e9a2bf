"""Invoices written by hand, edges of tiers and dates, statuses: exact to the pico-dollar."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otel_cost.call import Call, CallKind, Flag
from otel_cost.pricing import Cost, RateCard, Status, default_card, price, price_call, receipt_lines
from otel_cost.pricing.money import pico_usd
from tests.otel_cost.pricing.cards import always, make_card, model

NOW = "2026-11-22"


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def cost_of(
    provider: str, name: str, usage: dict[str, int], at: str | int = NOW, card: RateCard | None = None, **context: str
) -> Cost:
    return price(
        provider=provider,
        request_model=name,
        response_model=None,
        at_ns=at if isinstance(at, int) else ns(at),
        usage=usage,
        context=context,
        card=card or default_card(),
    )


@pytest.mark.parametrize(
    ("provider", "name", "usage", "usd"),
    [
        # 1,000 x 2.50 + 50 x 10.00 per million
        ("openai", "gpt-4o", {"input_tokens": 1_000, "output_tokens": 50}, "0.003"),
        # 400 x 2.50 + 600 x 1.25 + 50 x 10.00
        ("openai", "gpt-4o", {"input_tokens": 1_000, "cache_read_tokens": 600, "output_tokens": 50}, "0.00225"),
        # 200 x 3.00 + 600 x 0.30 + 150 x 3.75 + 50 x 6.00 + 50 x 15.00
        (
            "anthropic",
            "claude-sonnet-4-5",
            {
                "input_tokens": 1_000,
                "cache_read_tokens": 600,
                "cache_write_tokens": 200,
                "cache_write_1h_tokens": 50,
                "output_tokens": 50,
            },
            "0.0023925",
        ),
        # 700 x 0.30 text + 300 x 1.00 audio + 100 x 2.50 (40 of them reasoning)
        (
            "gcp.gemini",
            "gemini-2.5-flash",
            {
                "input_tokens": 1_000,
                "input_audio_tokens": 300,
                "output_tokens": 100,
                "output_reasoning_tokens": 40,
            },
            "0.00076",
        ),
        # 1,000 x 0.02, no output price needed
        ("openai", "text-embedding-3-small", {"input_tokens": 1_000}, "0.00002"),
        # 12.5 s at 0.111 per hour, rounded once: 0.00038541666..
        ("groq", "whisper-large-v3", {"audio_seconds": 12_500_000}, "0.000385416667"),
        # 3 s are billed as 10
        ("groq", "whisper-large-v3", {"audio_seconds": 3_000_000}, "0.000308333333"),
        # 5 searches at 10 per thousand and 10 tokens
        ("openai", "gpt-4o", {"input_tokens": 10, "web_searches": 5}, "0.050025"),
        # 1,100 x 1.00 and one request at 12 per thousand, which a span need not count
        ("perplexity", "sonar", {"input_tokens": 1_000, "output_tokens": 100}, "0.0131"),
        ("perplexity", "sonar", {"input_tokens": 1_000, "output_tokens": 100, "requests": 3}, "0.0371"),
    ],
)
def test_invoices(provider: str, name: str, usage: dict[str, int], usd: str) -> None:
    found = cost_of(provider, name, usage)
    assert found.status is Status.PRICED
    assert found.total_pico_usd == pico_usd(usd)
    assert found.total_pico_usd == sum(line.cost_pico_usd for line in found.lines)


@pytest.mark.parametrize(
    ("total_input", "usd"),
    [(199_999, "0.599997"), (200_000, "0.6"), (200_001, "1.200006")],
)
def test_a_size_tier_takes_every_token_once_the_whole_input_is_above_it(total_input: int, usd: str) -> None:
    """claude-sonnet-4-5: 3 up to 200,000 input tokens, 6 for all of them above (strictly)."""
    found = cost_of("anthropic", "claude-sonnet-4-5", {"input_tokens": total_input})
    assert found.total_pico_usd == pico_usd(usd)


def test_cached_tokens_count_for_the_size_tier_and_output_changes_with_it() -> None:
    usage = {"input_tokens": 200_001, "cache_read_tokens": 200_000, "output_tokens": 10}
    # 1 x 6 + 200,000 x 0.60 + 10 x 22.50
    assert cost_of("anthropic", "claude-sonnet-4-5", usage).total_pico_usd == pico_usd("0.120231")


@pytest.mark.parametrize(("total_input", "rate"), [(199_999, 2_000_000), (200_000, 4_000_000), (200_001, 4_000_000)])
def test_an_inclusive_threshold_starts_at_its_number(total_input: int, rate: int) -> None:
    """x.ai bills the higher price from 200,000 tokens on, not above them."""
    found = cost_of("x_ai", "grok-4.5", {"input_tokens": total_input})
    assert found.lines[0].rate_pico_usd == rate


def test_a_price_change_holds_from_its_first_nanosecond() -> None:
    change = ns("2025-06-10")
    rates = [cost_of("openai", "o3", {"input_tokens": 1}, change + delta).total_pico_usd for delta in (-1, 0, 1)]
    assert rates == [10_000_000, 2_000_000, 2_000_000]


def test_litellm_pr_31917_the_price_is_that_of_the_day_of_the_call(tmp_path: Path) -> None:
    """litellm PR#31917: $2/$10 until 2026-08-31, $3/$15 from 2026-09-01; by the span's time, without any edit."""
    change = ns("2026-09-01")
    later = ["standard", change, None, None, [[-1, {"input_tokens": 3_000_000, "output_tokens": 15_000_000}]]]
    before = ["standard", None, change, None, [[-1, {"input_tokens": 2_000_000, "output_tokens": 10_000_000}]]]
    card = make_card(tmp_path, {"anthropic": [model("claude-intro", later, before)]})
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    totals = [cost_of("anthropic", "claude-intro", usage, change + d, card).total_pico_usd for d in (-1, 0)]
    assert totals == [pico_usd("12"), pico_usd("18")]


def test_peak_hours_are_those_of_working_days_in_utc() -> None:
    """DeepSeek doubles 01-04 and 06-10 UTC, Monday to Friday."""

    def rate(at: str) -> int:
        return cost_of("deepseek", "deepseek-v4-pro", {"input_tokens": 1}, at).lines[0].rate_pico_usd

    friday, saturday = "2026-11-20", "2026-11-21"
    times = ("00:59:59", "01:00:00", "03:59:59", "04:00:00", "06:00:00", "10:00:00")
    dear = [rate(f"{friday}T{time}") == 1_320_000 for time in times]
    assert dear == [False, True, True, False, True, False]
    assert rate(f"{saturday}T02:00:00") == 660_000


@pytest.mark.parametrize(
    ("context", "rate", "flags"),
    [
        ({}, 1_250_000, Flag.NONE),
        ({"service_tier": "default"}, 1_250_000, Flag.NONE),
        ({"service_tier": "PRIORITY"}, 2_500_000, Flag.NONE),
        ({"service_tier": "flex"}, 625_000, Flag.NONE),
        ({"processing": "batch"}, 625_000, Flag.NONE),
        ({"processing": "batch", "service_tier": "priority"}, 625_000, Flag.NONE),
        ({"service_tier": "scale"}, 1_250_000, Flag.VARIANT_NOT_PRICED),
        ({"data_residency": "eu"}, 1_250_000, Flag.VARIANT_NOT_PRICED),
    ],
)
def test_the_tier_served_chooses_the_price_and_an_unknown_one_is_flagged(
    context: dict[str, str], rate: int, flags: Flag
) -> None:
    found = cost_of("openai", "gpt-5", {"input_tokens": 1}, NOW, None, **context)
    assert (found.lines[0].rate_pico_usd, found.flags) == (rate, flags)


def test_a_batch_price_also_holds_before_the_day_on_which_the_catalogue_checked_it() -> None:
    assert cost_of("openai", "gpt-5", {"input_tokens": 1}, "2026-01-01", processing="batch").total_pico_usd == 625_000


def test_a_variant_is_not_taken_back_beyond_the_standard_price_that_it_belongs_to() -> None:
    found = cost_of("openai", "o3", {"input_tokens": 1}, "2025-05-01", processing="batch")
    assert (found.total_pico_usd, found.flags) == (10_000_000, Flag.VARIANT_NOT_PRICED)


def test_a_used_class_without_a_rate_makes_the_total_partial() -> None:
    found = cost_of("openai", "gpt-4o", {"input_tokens": 10, "code_executions": 2})
    assert (found.status, found.total_pico_usd) == (Status.PARTIAL, 25_000_000)
    assert found.reason == "no rate for code_executions"


def test_nothing_but_classes_without_a_rate_is_unpriced_not_zero() -> None:
    found = cost_of("openai", "gpt-4o", {"code_executions": 2})
    assert (found.status, found.total_pico_usd) == (Status.UNPRICED, None)


@pytest.mark.parametrize(
    ("provider", "name", "reason"),
    [
        ("openai", "gpt-99", "unknown model 'gpt-99' of openai"),
        ("nobody", "gpt-4o", "unknown provider 'nobody'"),
        ("ollama", "llama3", "provider ollama has no price list; it runs where you run it"),
        ("openai", "", "no model name"),
        ("cerebras", "qwen-3-coder-480b", "cerebras lists qwen-3-coder-480b without a price"),
    ],
)
def test_unknown_is_unpriced_with_the_reason(provider: str, name: str, reason: str) -> None:
    found = cost_of(provider, name, {"input_tokens": 10})
    assert (found.status, found.total_pico_usd, found.reason) == (Status.UNPRICED, None, reason)


def test_litellm_38815_a_price_of_zero_is_a_price() -> None:
    """litellm#38815: a price of 0.0 was treated as missing."""
    found = cost_of("openrouter", "meta-llama/llama-3.3-70b-instruct:free", {"input_tokens": 10, "output_tokens": 5})
    assert (found.status, found.total_pico_usd) == (Status.FREE, 0)


def test_an_absurd_count_is_no_usage_and_the_rest_is_a_lower_bound() -> None:
    found = cost_of("openai", "gpt-4o", {"input_tokens": 2**41, "output_tokens": 10})
    assert (found.status, found.total_pico_usd) == (Status.PARTIAL, 100_000_000)
    assert found.flags == Flag.TOO_LARGE


def test_a_total_that_cannot_be_stored_is_unpriced(tmp_path: Path) -> None:
    card = make_card(tmp_path, {"openai": [model("gold", always(input_tokens=10**12))]})
    kept = cost_of("openai", "gold", {"input_tokens": 999_999}, card=card)
    lost = cost_of("openai", "gold", {"input_tokens": 1_000_000}, card=card)
    assert kept.total_pico_usd == 999_999 * 10**12
    assert (lost.status, lost.total_pico_usd) == (Status.UNPRICED, None)


def test_writes_without_a_ttl_are_short_ones_and_flagged_only_where_an_hour_costs_more() -> None:
    usage = {"input_tokens": 100, "cache_write_tokens": 100}
    assert cost_of("anthropic", "claude-sonnet-4-5", usage).flags == Flag.TTL_ASSUMED
    assert cost_of("anthropic", "claude-sonnet-4-5", usage | {"cache_write_1h_tokens": 0}).flags == Flag.NONE
    assert not cost_of("openai", "gpt-4o", usage).flags & Flag.TTL_ASSUMED


def test_a_class_billed_at_its_parents_rate_is_flagged_but_reasoning_is_the_rule() -> None:
    assert cost_of("openai", "gpt-4", {"input_tokens": 9, "cache_read_tokens": 9}).flags == Flag.RATE_FALLBACK
    assert cost_of("openai", "gpt-4", {"output_tokens": 9, "output_reasoning_tokens": 9}).flags == Flag.NONE


def call(**more: Any) -> Call:
    values: dict[str, Any] = {"provider": "openai", "request_model": "gpt-4o", "usage": {"input_tokens": 1_000}}
    return Call(**({"kind": CallKind.LEAF, "dialect": "test"} | values | more))


@pytest.mark.parametrize(
    ("found", "status", "total"),
    [
        (call(), Status.PRICED, 2_500_000_000),
        (call(kind=CallKind.AGGREGATE), Status.PRICED, 2_500_000_000),
        (call(flags=Flag.CACHE_HIT), Status.FREE, 0),
        (call(usage={}, failed=True), Status.FREE, 0),
        (call(failed=True), Status.PRICED, 2_500_000_000),
        (call(usage={}), Status.UNPRICED, None),
        (call(reported_cost_pico_usd=7, reported_by_provider=True), Status.REPORTED, 7),
        (call(reported_cost_pico_usd=7), Status.PRICED, 2_500_000_000),
        (call(reported_cost_pico_usd=7, usage={}), Status.REPORTED, 7),
        (call(reported_cost_pico_usd=-7, usage={}), Status.UNPRICED, None),
        (call(flags=Flag.ESTIMATED), Status.ESTIMATED, 2_500_000_000),
        (call(flags=Flag.NEGATIVE), Status.PARTIAL, 2_500_000_000),
    ],
)
def test_what_a_span_says_decides_the_status(found: Call, status: Status, total: int | None) -> None:
    cost = price_call(found, start_time_ns=ns(NOW))
    assert cost is not None
    assert (cost.status, cost.total_pico_usd) == (status, total)


@pytest.mark.parametrize(
    "found",
    [
        call(kind=CallKind.IGNORE),
        call(kind=CallKind.AGGREGATE, usage={}),
        call(usage={}, request_model=None),
    ],
)
def test_what_is_no_billable_call_has_no_cost(found: Call) -> None:
    assert price_call(found, start_time_ns=ns(NOW)) is None


def test_a_stored_row_and_usage_give_the_receipt_again() -> None:
    usage = {"input_tokens": 900, "cache_read_tokens": 300, "output_tokens": 10, "web_searches": 1}
    found = cost_of("openai", "gpt-4o", usage)
    assert found.rate_row is not None
    assert receipt_lines(default_card(), found.rate_row, usage) == found.lines
    short = cost_of("groq", "whisper-large-v3", {"audio_seconds": 1})
    assert short.rate_row is not None
    assert receipt_lines(default_card(), short.rate_row, {"audio_seconds": 1}) == short.lines


def test_the_first_price_is_used_before_it_was_known_and_flagged(tmp_path: Path) -> None:
    card = make_card(tmp_path, {"openai": [model("new", always(input_tokens=5), first_price_ns=ns("2026-01-01"))]})
    early, late = (cost_of("openai", "new", {"input_tokens": 1}, at, card) for at in ("2025-12-31", "2026-01-01"))
    assert (early.total_pico_usd, early.flags) == (5, Flag.BEFORE_FIRST_PRICE)
    assert (late.total_pico_usd, late.flags) == (5, Flag.NONE)


def test_reasoning_with_a_price_of_its_own_is_billed_at_it(tmp_path: Path) -> None:
    """The usual, short way and the general way agree: 30 x 2 output, 20 x 7 reasoning."""
    rates = always(input_tokens=1, output_tokens=2, output_reasoning_tokens=7)
    card = make_card(tmp_path, {"openai": [model("thinker", rates)]})
    usage = {"output_tokens": 50, "output_reasoning_tokens": 20}
    short = price_call(call(request_model="thinker", usage=usage), start_time_ns=0, card=card)
    assert short == cost_of("openai", "thinker", usage, 0, card)
    assert short is not None
    assert short.total_pico_usd == 30 * 2 + 20 * 7
