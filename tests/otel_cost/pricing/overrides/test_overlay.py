"""Overrides over a card made for the test: what a call costs with them, to the nanosecond and the pico-dollar."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otel_cost.pricing import Cost, RateCard, price
from otel_cost.pricing.overrides import Cards, overlay, overrides_from
from otel_cost.pricing.result import Status
from tests.otel_cost.pricing.cards import DAY_NS, always, make_card, model

JANUARY_NS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 10**9
FEBRUARY_NS = JANUARY_NS + 31 * DAY_NS
IN_JANUARY = {"valid_from": "2026-01-01", "valid_to": "2026-02-01"}
TOKENS = {"input_tokens": 1000, "output_tokens": 10}


@pytest.fixture
def card(tmp_path: Path) -> RateCard:
    """OpenAI's list, which Azure sells from, and a list of xAI."""
    halved = ["batch", None, None, None, [[-1, {"input_tokens": 1_000_000, "output_tokens": 4_000_000}]]]
    standard = always(input_tokens=2_000_000, output_tokens=8_000_000)
    made = make_card(
        tmp_path,
        {
            "openai": [model("gpt-4o", standard, halved), model("gpt-4o-mini", always(input_tokens=150_000))],
            "x-ai": [model("grok-4", always(input_tokens=3_000_000, output_tokens=15_000_000))],
            "azure": [],
        },
    )
    raw = (tmp_path / "azure.json").read_text()
    (tmp_path / "azure.json").write_text(raw.replace('"fallback_providers": []', '"fallback_providers": ["openai"]'))
    return made


def priced(
    card: RateCard,
    provider: str,
    name: str,
    usage: dict[str, int] | None = None,
    at_ns: int = JANUARY_NS,
    end_ns: int | None = None,
    **context: str,
) -> Cost:
    return price(
        provider=provider,
        request_model=name,
        response_model=None,
        at_ns=at_ns,
        end_ns=end_ns,
        usage=TOKENS if usage is None else usage,
        context=context,
        card=card,
    )


def over(card: RateCard, **raw: Any) -> RateCard:
    return overlay(card, overrides_from(raw, card))


def test_no_overrides_leave_the_card_itself(card: RateCard) -> None:
    """Nothing is copied, nothing has another digest."""
    assert over(card) is card


def test_a_discount_holds_from_its_first_nanosecond_to_before_its_last(card: RateCard) -> None:
    """15% off 2,080,000,000 pico-USD, and the list price a nanosecond before and at the end; each names its source."""
    cut = over(card, discounts=[{"name": "deal", "provider": "openai", "percent": "15%", **IN_JANUARY}])
    inside, before, after = 1_768_000_000, 2_080_000_000, 2_080_000_000
    for at_ns, cost in (
        (JANUARY_NS - 1, before),
        (JANUARY_NS, inside),
        (FEBRUARY_NS - 1, inside),
        (FEBRUARY_NS, after),
    ):
        found = priced(cut, "openai", "gpt-4o", at_ns=at_ns)
        assert found.total_pico_usd == cost
        assert found.rate_row is not None
        assert found.rate_row.endswith("|override: deal") is (cost == inside)
        assert cut.row(found.rate_row).source == ("override: deal" if cost == inside else "test")


def test_a_discount_is_exact_to_the_millionth(card: RateCard) -> None:
    """0.0001% off one token of 2,000,000 pico-USD is 2 pico-USD."""
    cut = over(card, discounts=[{"provider": "openai", "percent": "0.0001%"}])
    assert priced(cut, "openai", "gpt-4o", {"input_tokens": 1}).total_pico_usd == 1_999_998


def test_markups_multipliers_and_credits_are_discounts_of_another_size(card: RateCard) -> None:
    """5% more; 0.5 times; and a credit of 100%, which is free and says so."""
    dearer = over(card, discounts=[{"provider": "openai", "markup": "5%"}])
    assert priced(dearer, "openai", "gpt-4o").total_pico_usd == 2_184_000_000
    half = over(card, discounts=[{"provider": "openai", "multiplier": "0.5"}])
    assert priced(half, "openai", "gpt-4o").total_pico_usd == 1_040_000_000
    credit = priced(over(card, discounts=[{"provider": "openai", "percent": "100%"}]), "openai", "gpt-4o")
    assert (credit.status, credit.total_pico_usd) == (Status.FREE, 0)


def test_the_first_discount_that_fits_counts_alone(card: RateCard) -> None:
    """Discounts are not multiplied with each other; every variant of a model has its own."""
    discounts = [
        {"name": "one", "provider": "openai", "models": "gpt-4o", "percent": "10%"},
        {"name": "all", "provider": "openai", "percent": "50%"},
    ]
    cut = over(card, discounts=discounts)
    assert priced(cut, "openai", "gpt-4o").total_pico_usd == 1_872_000_000
    assert priced(cut, "openai", "gpt-4o", processing="batch").total_pico_usd == 936_000_000
    assert priced(cut, "openai", "gpt-4o-mini", {"input_tokens": 2}).total_pico_usd == 150_000


def test_what_is_agreed_with_one_seller_changes_nothing_at_another(card: RateCard) -> None:
    """Azure sells OpenAI's models at OpenAI's list price: a contract with either is no contract with the other."""
    openai = over(card, discounts=[{"provider": "openai", "percent": "10%"}])
    assert priced(openai, "azure", "gpt-4o").total_pico_usd == 2_080_000_000
    assert priced(openai, "openai", "gpt-4o").total_pico_usd == 1_872_000_000
    azure = over(card, discounts=[{"provider": "azure.ai.openai", "models": "gpt-4o", "percent": "10%"}])
    assert priced(azure, "azure", "gpt-4o").total_pico_usd == 1_872_000_000
    assert priced(azure, "openai", "gpt-4o").total_pico_usd == 2_080_000_000


def test_own_prices_take_the_place_of_listed_ones_in_their_period(card: RateCard) -> None:
    """Per million tokens; other variants keep the listed price, and so do other times."""
    rates = {"input_tokens": "1.5", "output_tokens": 6}
    own = over(card, prices=[{"provider": "openai", "model": "GPT-4o", "rates": rates, **IN_JANUARY}])
    assert priced(own, "openai", "gpt-4o").total_pico_usd == 1_560_000_000
    assert priced(own, "openai", "gpt-4o", at_ns=FEBRUARY_NS).total_pico_usd == 2_080_000_000
    assert priced(own, "openai", "gpt-4o", processing="batch").total_pico_usd == 1_040_000_000
    assert priced(own, "azure", "gpt-4o").total_pico_usd == 2_080_000_000


def test_a_model_that_only_an_own_price_knows_is_unpriced_at_other_times(card: RateCard) -> None:
    """Tiers start above their threshold, units have their own scale, and outside the period nothing is guessed."""
    entry = {
        "provider": "my-gateway",
        "model": "house-1",
        "rates": {"input_tokens": 2, "web_searches": "10"},
        "tiers": [{"above": 1000, "rates": {"input_tokens": 4}}],
        "variants": {"batch": {"rates": {"input_tokens": 1}}},
        **IN_JANUARY,
    }
    own = over(card, providers=["my-gateway"], prices=[entry])
    assert priced(own, "my-gateway", "house-1", {"input_tokens": 1000}).total_pico_usd == 2_000_000_000
    assert priced(own, "my-gateway", "house-1", {"input_tokens": 1001}).total_pico_usd == 4_004_000_000
    assert priced(own, "my-gateway", "house-1", {"web_searches": 3}).total_pico_usd == 30_000_000_000
    batch = priced(own, "my-gateway", "house-1", {"input_tokens": 7}, processing="batch")
    assert batch.total_pico_usd == 7_000_000
    late = priced(own, "my-gateway", "house-1", at_ns=FEBRUARY_NS)
    assert (late.status, late.total_pico_usd) == (Status.UNPRICED, None)


def test_a_price_of_zero_is_a_price(card: RateCard) -> None:
    """Free, not unpriced."""
    own = over(
        card, prices=[{"provider": "ollama", "model": "llama3", "rates": {"input_tokens": 0, "output_tokens": 0}}]
    )
    found = priced(own, "ollama", "llama3")
    assert (found.status, found.total_pico_usd) == (Status.FREE, 0)


def test_a_deployment_name_means_a_model_in_its_period(card: RateCard) -> None:
    """Two periods, two models, and nothing after them; the model shown is the one that was meant."""
    aliases = [
        {"name": "a", "provider": "azure", "alias": "My-GPT", "model": "gpt-4o-mini", "valid_to": "2026-01-01"},
        {"name": "b", "provider": "azure", "alias": "my-gpt", "model": "gpt-4o", **IN_JANUARY},
    ]
    named = over(card, aliases=aliases)
    old = priced(named, "azure", "my-gpt", {"input_tokens": 1}, at_ns=JANUARY_NS - 1)
    assert (old.model, old.total_pico_usd) == ("gpt-4o-mini", 150_000)
    new = priced(named, "azure", "MY-GPT")
    assert (new.model, new.total_pico_usd) == ("gpt-4o", 2_080_000_000)
    assert new.rate_row is not None
    assert new.rate_row.endswith("|override: b")
    assert priced(named, "azure", "my-gpt", processing="batch").total_pico_usd == 1_040_000_000
    assert priced(named, "azure", "my-gpt", at_ns=FEBRUARY_NS).status is Status.UNPRICED
    assert priced(named, "openai", "my-gpt").status is Status.UNPRICED


def test_an_alias_has_the_discount_of_what_it_means(card: RateCard) -> None:
    """The contract is with Azure; the receipt names both."""
    named = over(
        card,
        discounts=[{"name": "deal", "provider": "azure", "percent": "10%"}],
        aliases=[{"name": "prod", "provider": "azure", "alias": "prod-chat", "model": "gpt-4o"}],
    )
    found = priced(named, "azure", "prod-chat")
    assert found.total_pico_usd == 1_872_000_000
    assert found.rate_row is not None
    assert found.rate_row.endswith("|override: deal + prod")


def test_calls_of_a_flat_plan_cost_nothing_more(card: RateCard) -> None:
    """Known and unknown models, tool calls, even calls without usage: status free, and the row names the plan."""
    plan = over(card, plans=[{"name": "max", "provider": "xai", "fee": "30 USD/month", **IN_JANUARY}])
    for name, usage in (("grok-4", TOKENS), ("grok-99", {"web_searches": 3}), ("grok-4", {})):
        found = priced(plan, "x_ai", name, usage)
        assert (found.status, found.total_pico_usd) == (Status.FREE, 0)
        assert found.rate_row is not None
        assert found.rate_row.endswith("|override: max")
    assert priced(plan, "x_ai", "grok-4", at_ns=FEBRUARY_NS).total_pico_usd == 3_150_000_000
    assert priced(plan, "x_ai", "grok-99", at_ns=FEBRUARY_NS).status is Status.UNPRICED


def test_self_hosted_models_cost_the_time_on_their_gpus(card: RateCard) -> None:
    """2.50 USD per GPU hour, 4 GPUs, 36 s: 0.1 USD; tokens cost nothing, and without GPU time nothing is known."""
    hosted = over(card, gpus=[{"name": "h100", "provider": "vllm", "usd_per_hour": "2.50", "gpus": 4}])
    found = priced(hosted, "vllm", "llama-3.3-70b", {**TOKENS, "gpu_seconds": 36_000_000})
    assert (found.status, found.total_pico_usd) == (Status.PRICED, 100_000_000_000)
    assert [line.unit for line in found.lines] == ["gpu_seconds"]
    silent = priced(hosted, "vllm", "llama-3.3-70b")
    assert (silent.status, silent.total_pico_usd) == (Status.UNPRICED, None)


def test_self_hosted_models_can_be_billed_by_the_length_of_the_span(card: RateCard) -> None:
    """36 s from start to end are 0.1 USD on four GPUs; without an end nothing is known."""
    entry = {"name": "h100", "provider": "vllm", "usd_per_hour": "2.50", "gpus": 4, "time": "span_duration"}
    hosted = over(card, gpus=[entry])
    found = priced(hosted, "vllm", "llama", at_ns=JANUARY_NS, end_ns=JANUARY_NS + 36 * 10**9)
    assert found.total_pico_usd == 100_000_000_000
    assert priced(hosted, "vllm", "llama").status is Status.UNPRICED


def test_a_router_takes_a_part_of_the_price_as_a_line_of_its_own(card: RateCard) -> None:
    """5.5% of 2,080,000,000 pico-USD."""
    routed = over(card, router_fees=[{"name": "fee", "provider": "openai", "percent": "5.5%"}])
    found = priced(routed, "openai", "gpt-4o")
    assert [(line.unit, line.cost_pico_usd) for line in found.lines][-1] == ("router_fee", 114_400_000)
    assert found.total_pico_usd == 2_194_400_000


def test_a_router_fee_per_input_token_is_taken_where_the_router_was_asked(card: RateCard) -> None:
    """Azure's model router: 0.14 USD per million input tokens on top of the model that served, for nobody else."""
    entry = {"name": "mr", "provider": "azure", "router": "model-router", "usd_per_million_input_tokens": "0.14"}
    routed = over(card, router_fees=[entry])
    through = price(
        provider="azure",
        request_model="model-router",
        response_model="gpt-4o",
        at_ns=JANUARY_NS,
        usage=TOKENS,
        context={},
        card=routed,
    )
    assert through.lines[-1].unit == "router_input_tokens"
    assert through.total_pico_usd == 2_080_000_000 + 140_000_000
    assert priced(routed, "azure", "gpt-4o").total_pico_usd == 2_080_000_000


def test_conditions_choose_the_card_of_a_call(card: RateCard) -> None:
    """A discount of one project, one of a team's customers by pattern; calls without them pay the list price."""
    raw = {
        "discounts": [
            {"name": "ml", "provider": "openai", "percent": "10%", "when": {"project": "ml-*"}},
            {"name": "vip", "provider": "openai", "percent": "50%", "when": {"team": "sales", "customer": "acme"}},
        ]
    }
    cards = Cards(card, overrides_from(raw, card))
    costs = {
        name: priced(cards.card_for(carried), "openai", "gpt-4o").total_pico_usd
        for name, carried in {
            "nobody": {},
            "project": {"project": "ml-prod", "team": "sales"},
            "both": {"project": "ml-prod", "team": "sales", "customer": "acme"},
            "customer": {"team": "sales", "customer": "acme"},
            "other": {"project": "web", "customer": "acme"},
        }.items()
    }
    plain, tenth, half = 2_080_000_000, 1_872_000_000, 1_040_000_000
    assert costs == {"nobody": plain, "project": tenth, "both": tenth, "customer": half, "other": plain}
    assert cards.card_for({}) is card
    assert len({made.digest for made in cards.made}) == 4


def test_a_surcharge_of_a_region_and_a_discount_are_one_multiplier(tmp_path: Path) -> None:
    """15% off and 10% more are 0.935, rounded once per line; the row's key says both, and gives the row again."""
    entry = model("m", always(input_tokens=2_000_003), uplifts={"eu": 1_100_000})
    cut = over(
        make_card(tmp_path, {"openai": [entry]}), discounts=[{"name": "d", "provider": "openai", "percent": "15%"}]
    )
    found = priced(cut, "openai", "m", {"input_tokens": 1}, data_residency="eu")
    assert found.total_pico_usd == 1_870_003  # 1,870,002.805
    assert found.rate_row == "openai|m|standard|||override: d|region=eu"
    assert cut.row(found.rate_row).source == "override: d"


def test_the_digest_follows_from_the_card_and_the_overrides(card: RateCard, tmp_path: Path) -> None:
    """The same overrides give the same digest, any other ones another; so a stored price says what priced it."""
    ten: dict[str, Any] = {"discounts": [{"name": "a", "provider": "openai", "percent": "10%"}]}
    eleven: dict[str, Any] = {"discounts": [{"name": "a", "provider": "openai", "percent": "11%"}]}
    assert over(card, **ten).digest == over(card, **ten).digest
    assert len({card.digest, over(card, **ten).digest, over(card, **eleven).digest}) == 3
