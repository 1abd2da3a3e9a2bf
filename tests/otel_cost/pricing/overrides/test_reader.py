"""Whatever is given as overrides is read or refused with reasons; nothing raises, and prices stay exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost.errors import OverridesError
from otel_cost.pricing import default_card, price
from otel_cost.pricing.overrides import Cards, overlay, overrides_from, read_overrides
from otel_cost.pricing.overrides.reader import KEYS

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.decimals(),
    st.text(max_size=12),
    st.sampled_from(
        ["openai", "azure", "gpt-4o", "*", "15%", "1e999%", "nan", "10 USD/month", "2026-01-01", "9999-12-31"]
    ),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        kind: st.lists(st.dictionaries(st.sampled_from(keys), ANYTHING, max_size=6), max_size=2) | ANYTHING
        for kind, keys in KEYS.items()
        if keys
    },
)


@settings(deadline=None)
@given(ENTRIES | ANYTHING)
def test_anything_is_read_or_refused_with_a_place_and_never_raises(raw: Any) -> None:
    """What has no problem makes a card that prices."""
    card = default_card()
    overrides, problems = read_overrides(raw, card)
    for problem in problems:
        assert problem.what
        assert str(problem)
    if not problems:
        usage = {"input_tokens": 1000}
        model = "gpt-4o"
        price(
            provider="azure",
            request_model=model,
            response_model=None,
            at_ns=0,
            usage=usage,
            context={},
            card=overlay(card, overrides),
        )


def test_every_problem_is_in_the_one_error_that_code_gets() -> None:
    """One line each, with the place."""
    with pytest.raises(OverridesError) as raised:
        overrides_from({"discounts": [{"provider": "opnai"}], "plan": []}, default_card())
    assert str(raised.value).splitlines() == [
        "plan: unknown key (got plan); allowed: providers, discounts, prices, aliases, plans, gpus, router_fees; "
        'did you mean "plans"?',
        "discounts[0].provider: unknown provider (got opnai); "
        'allowed: a provider of the rate card, or one listed under providers; did you mean "openai"?',
        "discounts[0].percent: needs exactly one of percent, markup, multiplier",
    ]


def test_every_spelling_of_a_provider_means_the_same() -> None:
    """As spans have it, or as the card calls it."""
    read = [
        overrides_from({"discounts": [{"name": "a", "provider": name, "percent": "5%"}]}, default_card())
        for name in ("azure", "Azure.AI.OpenAI", " azure_openai ")
    ]
    assert read[0] == read[1] == read[2]


def test_a_card_is_found_again_by_its_digest() -> None:
    """The base card, that of no conditions, and those of one or two at once; nothing else."""
    card = default_card()
    raw = {
        "discounts": [
            {"name": "a", "provider": "openai", "percent": "5%"},
            {"name": "b", "provider": "openai", "percent": "6%", "when": {"team": "x"}},
            {"name": "c", "provider": "openai", "percent": "7%", "when": {"customer": "y"}},
        ]
    }
    overrides = overrides_from(raw, card)
    made = [Cards(card, overrides).card_for(carried) for carried in ({}, {"team": "x"}, {"team": "x", "customer": "y"})]
    for each in (card, *made):
        found = Cards(card, overrides).find(each.digest)
        assert found is not None
        assert found.digest == each.digest
    assert Cards(card, overrides).find("0" * 12) is None
    assert Cards(card, overrides).find(None) is None


@settings(deadline=None, max_examples=25)
@given(st.decimals(min_value=0, max_value=1000, places=6))
def test_a_price_per_million_tokens_is_that_price(usd: Decimal) -> None:
    """A million tokens cost exactly what was written, to six decimals."""
    card = default_card()
    raw = {"prices": [{"provider": "vllm", "model": "m", "rates": {"input_tokens": usd}}]}
    own = overlay(card, overrides_from(raw, card))
    cost = price(
        provider="vllm",
        request_model="m",
        response_model=None,
        at_ns=0,
        usage={"input_tokens": 1_000_000},
        context={},
        card=own,
    )
    assert cost.total_pico_usd == usd * 10**12
