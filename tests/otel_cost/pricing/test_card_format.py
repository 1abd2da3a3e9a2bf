"""What a card can say beside plain rates: multipliers, regions, kinds, fees, machine time, the time that counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otel_cost.call import Flag
from otel_cost.errors import RateCardError
from otel_cost.pricing import Cost, RateCard, Status, parse_receipt, price, receipt_lines, receipt_text
from otel_cost.pricing.card import DATA_DIRECTORY, load_card
from otel_cost.pricing.match import resolve
from tests.otel_cost.pricing.cards import model

AT_NS = 1_790_000_000 * 10**9
HOUR_NS = 3_600 * 10**9
TEXT = {"input_tokens": 2_500_000, "output_tokens": 10_000_000}


def card_of(*models: dict[str, Any], **provider: Any) -> RateCard:
    """A card that was never a file."""
    raw = {"provider": "openai", "models": list(models), **provider}
    return RateCard("0123456789ab", {"providers": ["openai"]}, {"openai": raw}.__getitem__)


def rows(rates: dict[str, int], *more: Any, variant: str = "standard") -> list[Any]:
    return [variant, None, None, None, [[-1, rates]], *more]


def cost_of(card: RateCard, usage: dict[str, int], name: str = "m", *, asked: str | None = None, at_ns: int = AT_NS,
            end_ns: int | None = None, **context: str) -> Cost:  # fmt: skip
    return price(
        provider="openai", request_model=asked or name, response_model=name, at_ns=at_ns, end_ns=end_ns, usage=usage,
        context=context, card=card,
    )  # fmt: skip


def test_a_multiplier_is_part_of_the_one_rounding_and_the_receipt_says_it() -> None:
    """3 x 5 pico-USD x 0.9 is 13.5, which is 14: half to even. Rounded before the multiplier it would be 13 or 15."""
    card = card_of(model("m", rows({"input_tokens": 5, "output_tokens": 5}, 900_000)))
    found = cost_of(card, {"input_tokens": 3})
    assert found.lines == (("input_tokens", 3, 5, 1, 14, 900_000),)
    text = receipt_text(found)
    assert text is not None
    assert text.endswith(";input_tokens=3*5*900000ppm")
    assert parse_receipt(text).lines == found.lines


@pytest.mark.parametrize("usage", [{"input_tokens": 1_000, "output_tokens": 7}, {"input_tokens": 9, "web_searches": 3}])
def test_a_discount_takes_from_every_line_by_the_short_way_and_the_long(usage: dict[str, int]) -> None:
    rates = TEXT | {"web_searches": 10_000_000_000_000}
    full, less = (card_of(model("m", rows(rates, ppm))) for ppm in (1_000_000, 850_000))
    dear, cheap = cost_of(full, usage), cost_of(less, usage)
    assert [line.cost_pico_usd for line in cheap.lines] == [line.cost_pico_usd * 85 // 100 for line in dear.lines]
    assert {line.multiplier_ppm for line in cheap.lines} == {850_000}
    assert [line.rate_pico_usd for line in cheap.lines] == [line.rate_pico_usd for line in dear.lines]


def test_a_multiplier_of_zero_is_a_price_of_zero() -> None:
    """A flat plan: the call itself costs nothing more."""
    found = cost_of(card_of(model("m", rows(TEXT, 0))), {"input_tokens": 10})
    assert (found.status, found.total_pico_usd) == (Status.FREE, 0)


def test_a_region_makes_the_model_dearer_once_and_not_its_tools() -> None:
    card = card_of(
        model(
            "m", rows(TEXT | {"web_searches": 10_000_000_000_000}, 900_000), uplifts={"eu": 1_100_000, "us": 1_000_000}
        )
    )
    usage = {"input_tokens": 10, "web_searches": 1}
    found = cost_of(card, usage, data_residency="EU", region="eu-west-1")
    assert [line.multiplier_ppm for line in found.lines] == [990_000, 900_000]
    assert found.flags == Flag.NONE
    assert found.rate_row == "openai|m|standard|||region=eu"
    assert receipt_lines(card, found.rate_row, usage) == found.lines
    for plain in ("", "global", "us"):
        assert [line.multiplier_ppm for line in cost_of(card, usage, inference_geo=plain).lines] == [900_000, 900_000]


def test_a_region_without_a_price_of_its_own_is_flagged_and_a_star_is_any_other() -> None:
    listed = card_of(model("m", rows(TEXT), uplifts={"eu": 1_100_000}))
    assert cost_of(listed, {"input_tokens": 1}, inference_geo="mars").flags == Flag.VARIANT_NOT_PRICED
    any_ = card_of(model("m", rows(TEXT), uplifts={"eu": 1_100_000, "*": 1_200_000}))
    found = cost_of(any_, {"input_tokens": 1}, location="us|;=central1")
    assert found.lines[0].multiplier_ppm == 1_200_000
    assert found.rate_row == "openai|m|standard|||region=*"  # what a span says never becomes part of a key
    unknown = card_of(model("m", rows(TEXT)))
    assert cost_of(unknown, {"input_tokens": 1}, region="us-east-1").flags == Flag.NONE  # merely where it ran


def test_a_row_of_the_region_goes_before_a_multiplier() -> None:
    own = rows({"input_tokens": 7, "output_tokens": 7}, variant="region=eu")
    card = card_of(model("m", rows(TEXT), own, uplifts={"eu": 1_100_000}))
    assert cost_of(card, {"input_tokens": 1}, region="eu-central-1").lines[0][2:] == (7, 1, 7, 1_000_000)


@pytest.mark.parametrize("region", ["eu", "eu-central-1", " EU "])
def test_a_variant_and_a_region_are_both_heeded(region: str) -> None:
    """A batch in a region costs what batches cost there, however the region is written; no flag."""
    listed = [
        rows({"input_tokens": n, "output_tokens": n}, variant=variant)
        for n, variant in enumerate(("standard", "batch", "region=eu", "batch,region=eu"), start=1)
    ]
    card = card_of(model("m", *listed))
    for processing, rate in (("batch", 4), ("", 3)):
        found = cost_of(card, {"input_tokens": 1}, processing=processing, region=region)
        assert (found.lines[0].rate_pico_usd, found.flags) == (rate, Flag.NONE)


@pytest.mark.parametrize(
    ("context", "rate", "flags"),
    [
        ({}, 40, Flag.NONE),
        ({"size": "auto", "quality": "standard"}, 40, Flag.NONE),
        ({"size": "1024X1536 ", "quality": "hd"}, 120, Flag.NONE),
        ({"size": "1024x1536", "quality": "draft"}, 60, Flag.NONE),
        ({"quality": "hd"}, 80, Flag.NONE),
        ({"size": "1x1"}, 40, Flag.VARIANT_NOT_PRICED),
    ],
)
def test_an_image_costs_by_size_and_quality_as_far_as_they_are_listed(
    context: dict[str, str], rate: int, flags: Flag
) -> None:
    rates = {
        "output_images": 40,
        "output_images_hd": 80,
        "output_images_1024x1536": 60,
        "output_images_1024x1536_hd": 120,
    }
    card = card_of(model("m", rows(rates)))
    found = cost_of(card, {"output_images": 2}, size=context.get("size", ""), quality=context.get("quality", ""))
    assert (found.lines[0].unit, found.lines[0].rate_pico_usd, found.flags) == ("output_images", rate, flags)


@pytest.mark.parametrize(("size", "rate"), [("low", 1_000), ("medium", 2_000), ("high", 3_000), ("", 2_000)])
def test_a_search_costs_by_the_size_of_its_context(size: str, rate: int) -> None:
    rates = {"web_searches_low": 1_000, "web_searches": 2_000, "web_searches_high": 3_000, "requests": 0}
    card = card_of(model("m", rows(rates)))
    assert cost_of(card, {"web_searches": 1}, search_context_size=size).lines[0].rate_pico_usd == rate


@pytest.mark.parametrize(("unit", "rate"), [("web_searches_low", 1_000), ("web_searches_high", 2_000)])
def test_searches_of_a_size_may_be_counted_by_themselves(unit: str, rate: int) -> None:
    card = card_of(model("m", rows({"web_searches_low": 1_000, "web_searches": 2_000})))
    assert cost_of(card, {unit: 5}).lines == ((unit, 5, rate, 1_000, 5 * rate // 1_000, 1_000_000),)


def test_a_router_adds_lines_that_no_discount_touches() -> None:
    rates = TEXT | {"router_input_tokens": 140_000, "router_fee": 55_000}
    found = cost_of(card_of(model("m", rows(rates, 500_000))), {"input_tokens": 1_000, "cache_read_tokens": 400})
    assert found.lines[-2:] == (
        ("router_input_tokens", 1_000, 140_000, 1, 140_000_000, 1_000_000),  # of all of the input
        ("router_fee", 1_390_000_000, 55_000, 1_000_000, 76_450_000, 1_000_000),  # 5.5 % of the lines before it
    )


def test_a_router_that_was_asked_adds_its_fee_to_the_model_that_served() -> None:
    router = model("router", fees={"router_input_tokens": 140_000})
    card = card_of(model("m", rows(TEXT)), router)
    usage = {"input_tokens": 1_000}
    found = cost_of(card, usage, asked="router")
    assert [(line.unit, line.cost_pico_usd) for line in found.lines] == [
        ("input_tokens", 2_500_000_000),
        ("router_input_tokens", 140_000_000),
    ]
    assert found.rate_row is not None
    assert receipt_lines(card, found.rate_row, usage) == found.lines
    assert len(cost_of(card, usage).lines) == 1


def test_machine_time_is_billed_and_tokens_are_not() -> None:
    """Two dollars an hour; the span counts GPU seconds, or lasts."""
    counted = card_of(model("m", rows({"gpu_seconds": 2 * 10**12}), bills=["gpu_seconds"]))
    usage = {"input_tokens": 900, "output_tokens": 50}
    assert cost_of(counted, usage | {"gpu_seconds": 1_800_000_000}).total_pico_usd == 10**12
    without = cost_of(counted, usage)
    assert (without.status, without.reason) == (Status.UNPRICED, "no gpu_seconds reported")
    lasting = card_of(model("m", rows({"duration_seconds": 2 * 10**12}), bills=["duration_seconds"]))
    found = cost_of(lasting, usage, end_ns=AT_NS + HOUR_NS // 2)
    assert found.lines == (("duration_seconds", 1_800_000_000, 2 * 10**12, 3_600_000_000, 10**12, 1_000_000),)
    assert cost_of(lasting, usage).status is Status.UNPRICED  # no end, no duration


@pytest.mark.parametrize(("billed_at", "rate"), [("start", 1), ("end", 2)])
def test_the_price_is_that_of_the_start_or_of_the_end_where_the_provider_bills_so(billed_at: str, rate: int) -> None:
    before, after = ({"input_tokens": n, "output_tokens": n} for n in (1, 2))
    entry = model("m", ["standard", AT_NS, None, None, [[-1, after]]], ["standard", None, AT_NS, None, [[-1, before]]])
    card = card_of(entry, billed_at=billed_at)
    found = cost_of(card, {"input_tokens": 1}, at_ns=AT_NS - 1, end_ns=AT_NS)
    assert found.lines[0].rate_pico_usd == rate
    assert cost_of(card, {"input_tokens": 1}, at_ns=AT_NS - 1).lines[0].rate_pico_usd == 1  # the end is unknown


def test_a_row_may_name_its_source_which_its_key_repeats() -> None:
    card = card_of(model("m", rows(TEXT, 900_000, {"source": "contract: a|b;c"})))
    found = cost_of(card, {"input_tokens": 1})
    assert found.rate_row == "openai|m|standard|||contract: a/b/c"  # | and ; delimit keys and receipts
    assert card.row(found.rate_row).source == "contract: a|b;c"


def test_every_key_of_the_shipped_card_finds_its_row() -> None:
    card = load_card()
    for provider_id in ("deepseek", "openai", "anthropic"):
        provider = card.provider(provider_id)
        assert provider is not None
        for name in provider.models:
            for each in card.model(provider_id, name).variants.values():
                assert [card.row(row.key) for row in each] == list(each)


def test_a_card_that_cannot_be_read_prices_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes((DATA_DIRECTORY / "index.json").read_bytes())
    card = load_card(tmp_path)
    with pytest.raises(RateCardError, match=r"openai\.json"):
        card.provider("openai")
    assert "openai.json" in resolve(card, "openai", "gpt-4o", None).reason
    broken = RateCard("0", {"providers": ["openai"]}, lambda _: {"models": [{"names": []}]})
    assert resolve(broken, "openai", "gpt-4o", None).reason.startswith("cannot read the rates of openai")
