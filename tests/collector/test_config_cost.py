"""`processors.cost` of the config file: overrides and refresh, read in their units, and how mistakes are told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.catalogue.config import RefreshConfig
from collector.config import load
from otel_cost.pricing.overrides.values import Alias, Discount, Gpu, Overrides, OwnPrice, Plan, RouterFee, Target
from otel_cost.pricing.rates import BEGINNING_NS, END_NS
from tests.collector.test_config import TESTDATA, problems


def _ns(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type, misc]


def test_overrides_are_read_in_whole_pico_dollars_millionths_and_nanoseconds() -> None:
    """Percentages, prices per million tokens or per unit, fees and dates: every kind of entry, by hand."""
    year = (_ns(2026, 1, 1), _ns(2027, 1, 1))
    condition = (("organization", "acme"), ("project", "ml-*"))
    base, tier = (("input_tokens", 150_000), ("output_tokens", 600_000)), (("input_tokens", 300_000),)
    assert load(TESTDATA / "everything.yaml", {"TOKEN": "t"}).overrides == Overrides(
        providers=("my-gateway",),
        discounts=(
            Discount(Target("openai-2026", "openai", "gpt-4o*", (), *year), 850_000),
            Discount(Target("discounts[1]", "azure", "*", condition), 925_000),
            Discount(Target("discounts[2]", "anthropic", "*"), 1_025_000),
        ),
        prices=(
            OwnPrice(
                Target("house", "my-gateway", "house-1"),
                (
                    (
                        "standard",
                        (
                            (-1, (*base, ("web_searches", 10_000_000_000_000))),
                            (200_000, (*tier, ("output_tokens", 1_200_000))),
                        ),
                    ),
                    ("batch", ((-1, (("input_tokens", 75_000), ("output_tokens", 300_000))),)),
                ),
            ),
        ),
        aliases=(
            Alias(Target("aliases[0]", "azure", "prod-chat", (), BEGINNING_NS, _ns(2026, 3, 1, 10)), "azure", "gpt-4o"),
            Alias(Target("aliases[1]", "azure", "prod-claude"), "anthropic", "claude-sonnet-4-5"),
        ),
        plans=(Plan(Target("minimax", "minimax", "*", (), BEGINNING_NS, END_NS), 10 * 10**12, "requests"),),
        gpus=(Gpu(Target("h100", "vllm", "*"), 10 * 10**12, "duration_seconds"),),
        router_fees=(
            RouterFee(Target("openrouter", "openrouter", "*"), (("router_fee", 55_000),)),
            RouterFee(Target("model-router", "azure", "*"), (("router_input_tokens", 140_000),), "model-router"),
        ),
    )


def test_refresh_is_off_unless_it_is_asked_for() -> None:
    """A source is a URL, a file, or false."""
    assert load(None).refresh is None
    assert load(TESTDATA / "everything.yaml", {"TOKEN": "t"}).refresh == RefreshConfig(
        interval_seconds=43_200, genai_prices="genai-prices.json", litellm=None
    )


def test_tokens_are_estimated_unless_it_is_switched_off() -> None:
    """A yes or no, like any other."""
    assert load(None).estimate
    assert not load(TESTDATA / "everything.yaml", {"TOKEN": "t"}).estimate
    assert _said("estimate: 3")[0].startswith("estimate: must be true or false (got 3)")


def _said(entry: str) -> list[str]:
    """The problems of one line below `processors.cost`, without that prefix."""
    return [line.removeprefix("processors.cost.") for line in problems(f"processors: {{cost: {{{entry}}}}}")]


PROVIDERS_ALLOWED = "allowed: a provider of the rate card, or one listed under providers"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            "discounts: [{provider: openai, percent: 5%}, {provider: opnai, percent: 5%}]",
            f'discounts[1].provider: unknown provider (got opnai); {PROVIDERS_ALLOWED}; did you mean "openai"?',
        ),
        (
            "discounts: [{provider: openai, models: gpt-4oo, percent: 5%}]",
            "discounts[0].models: no model of openai has such a name (got gpt-4oo); "
            'allowed: names of models, * for any text; did you mean "gpt-4o"?',
        ),
        (
            "discounts: [{provider: openai, percent: 150%}]",
            "discounts[0].percent: must be at most 100% (got 150%)",
        ),
        (
            "discounts: [{provider: openai, percent: 5}]",
            "discounts[0].percent: must be a percentage such as 15% (got 5)",
        ),
        (
            "discounts: [{provider: openai, percent: 0.00001%}]",
            "discounts[0].percent: is finer than 0.0001% (got 0.00001%)",
        ),
        ("discounts: [{provider: openai}]", "discounts[0].percent: needs exactly one of percent, markup, multiplier"),
        (
            "discounts: [{provider: openai, percent: 5%, valid_from: 2026-02-01, valid_to: 2026-02-01}]",
            "discounts[0].valid_to: must be after valid_from",
        ),
        (
            "discounts: [{provider: openai, percent: 5%, valid_from: soon}]",
            "discounts[0].valid_from: must be a date or time such as 2026-01-01 or 2026-01-01T16:00:00Z (got soon)",
        ),
        (
            "discounts: [{provider: openai, percent: 5%, when: {custmer: acme}}]",
            "discounts[0].when: unknown condition (got custmer); allowed: organization, run, agent, customer, feature, "
            'team, user, project, environment, conversation; did you mean "customer"?',
        ),
        (
            "discounts: [{name: x, provider: groq, percent: 5%}], plans: [{name: x, provider: groq, fee: 1 USD/month}]",
            "plans[0].name: another entry has this name (got x)",
        ),
        ("discounts: {}", "discounts: must be a list (got {})"),
        ("discounts: [5%]", "discounts[0]: must be a mapping of keys to values (got 5%)"),
        (
            "prices: [{provider: groq, model: m, rates: {input_token: 2}}]",
            "prices[0].rates.input_token: unknown unit (got input_token); "
            'allowed: docs/pricing.md, Usage; did you mean "input_tokens"?',
        ),
        (
            "prices: [{provider: groq, model: m, rates: {input_tokens: 0.1234567}}]",
            "prices[0].rates.input_tokens: is finer than one pico-dollar per 1 input_tokens (got 0.1234567)",
        ),
        (
            "prices: [{provider: groq, model: m, rates: {input_tokens: -1}}]",
            "prices[0].rates.input_tokens: must not be negative (got -1)",
        ),
        ("prices: [{provider: groq, model: m}]", "prices[0].rates: is required"),
        (
            "prices: [{provider: groq, model: m, rates: {}, variants: {bach: {rates: {}}}}]",
            "prices[0].variants: unknown variant (got bach); "
            'allowed: batch, flex, priority, fast; did you mean "batch"?',
        ),
        (
            "aliases: [{provider: azure, alias: prod, model: gpt-5-turbo-max}]",
            "aliases[0].model: no model of azure has this name (got gpt-5-turbo-max); allowed: a model's name",
        ),
        (
            "aliases: [{provider: azure, alias: p*, model: gpt-4o}]",
            "aliases[0].alias: must be one name, without * (got p*)",
        ),
        ("plans: [{provider: groq, fee: 10}]", "plans[0].fee: must be an amount per month (got 10); "
         'allowed: for example "10 USD/month"'),
        ("plans: [{provider: groq, fee: 10 EUR/month}]", "plans[0].fee: unknown currency (got EUR); allowed: USD"),
        (
            "gpus: [{provider: langchain, usd_per_hour: 1}]",
            "gpus[0].provider: is the name of a framework; name who bills (got langchain); allowed: a provider's name",
        ),
        (
            "gpus: [{provider: vllm, usd_per_hour: 1, gpus: 0}]",
            "gpus[0].gpus: must be a whole number between 1 and 100,000 (got 0)",
        ),
        (
            "router_fees: [{provider: azure, router: r, percent: 5%, valid_to: 2026-01-01}]",
            "router_fees[0].valid_to: does not go with router, whose fee is taken of every call that asks for it",
        ),
        (
            "discount: []",
            "discount: unknown key; "
            "allowed: estimate, refresh, providers, discounts, prices, aliases, plans, gpus, router_fees; "
            'did you mean "discounts"?',
        ),
        ("discounts: [{provider: openai, percent: 5%, model: x}]", "discounts[0].model: unknown key (got model); "
         "allowed: name, provider, when, valid_from, valid_to, models, percent, markup, multiplier; "
         'did you mean "models"?'),
        ("refresh: {interval: 1m}", "refresh.interval: must be between 10m and 90d (got 1m)"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_what_is_allowed_and_the_nearest_spelling(entry: str, expected: str) -> None:
    """One mistake, one line."""
    found = _said(entry)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_all_mistakes_are_told_at_once() -> None:
    """Of several kinds and entries, beside those of other sections."""
    found = problems(
        "processors: {cost: {discounts: [{provider: a}, {percent: 5%}], gpus: [{}]}}\nexporters: {duckdb: {paht: x}}\n"
    )
    assert [line.partition(":")[0] for line in found] == [
        "processors.cost.discounts[0].provider",
        "processors.cost.discounts[0].percent",
        "processors.cost.discounts[1].provider",
        "processors.cost.gpus[0].provider",
        "processors.cost.gpus[0].usd_per_hour",
        "exporters.duckdb.paht",
    ]


def test_numbers_are_taken_as_they_were_written(tmp_path: Path) -> None:
    """YAML's 0.1 is a tenth, not the double next to it; what a double may have lost is refused."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "processors: {cost: {prices: [{provider: groq, model: m, rates: {input_tokens: 0.1, requests: 1e-3}}]}}"
    )
    (price,) = load(file, {}).overrides.prices
    assert price.variants[0][1][0][1] == (("input_tokens", 100_000), ("requests", 10**9))
    found = problems("processors: {cost: {gpus: [{provider: vllm, usd_per_hour: 0.12345678901234567}]}}")
    assert "has more digits than a floating-point number keeps; put it in quotes" in found[0]
