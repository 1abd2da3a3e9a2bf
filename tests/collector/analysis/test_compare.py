"""Ratios of tokens, the choice of models, and sums: by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.analysis.compare import Amounts, Group, comparison
from collector.analysis.compare_models import CANDIDATES, Target, Used, choose, target_of
from collector.analysis.compare_tokens import SAME, family_of, ratio
from otel_cost.pricing import default_card
from otel_cost.pricing.money import PPM

NAMES = sorted({model for models in CANDIDATES.values() for model in models} | {"gpt-4", "llama-3.3-70b", "no-such"})
NOW_NS = 1_763_800_000_000_000_000
A, B = Target("openai", "a"), Target("google", "b")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-6.1-sol"),
        ("gpt-4o-mini", "o3"),
        ("gpt-4", "gpt-3.5-turbo"),
        ("claude-3-haiku", "claude-opus-4-6"),
        ("claude-opus-4-7", "claude-sonnet-5-5"),
        ("gemini-2.5-pro", "gemini-3.8-flash"),
        ("llama-3.1-8b-instant", "meta-llama/llama-3.3-70b"),
        ("mistral-large-4", "mistral-large-4"),
    ],
)
def test_models_of_one_tokenizer_have_the_same_tokens(one: str, other: str) -> None:
    assert ratio(family_of(one), family_of(other)) == SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4", "gpt-4o"),
        ("claude-opus-4-6", "claude-opus-4-7"),
        ("gpt-4o", "claude-haiku-4-5"),
        ("deepseek-v4-pro", "deepseek-v4-flash"),
        ("mistral-large-4", "mistral-small-2603"),
    ],
)
def test_models_of_different_or_undocumented_tokenizers_do_not(one: str, other: str) -> None:
    assert not ratio(family_of(one), family_of(other)).exact


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_the_way_back_contains_what_one_came_from(one: str, other: str) -> None:
    """Least there times most back, and most there times least back, are around one."""
    there, back = ratio(family_of(one), family_of(other)), ratio(family_of(other), family_of(one))
    assert there.least_ppm <= there.most_ppm
    assert there.least_ppm * back.most_ppm >= PPM * (PPM - 2)
    assert there.most_ppm * back.least_ppm <= PPM * (PPM + 2)
    assert abs(there.least_ppm * back.most_ppm - PPM * PPM) <= 3 * PPM


def _used(model: str, tokens: int, cost_pico_usd: int) -> Used:
    return Used("openai", model, 100, tokens, tokens // 2, tokens // 10, cost_pico_usd)


def test_models_are_chosen_around_what_was_paid_the_cheapest_first() -> None:
    """Of what gpt-4o cost: at least four others, of at least three providers, and not gpt-4o's own."""
    chosen = choose(default_card(), [_used("gpt-4o", 10**6, 2_375_000 * 10**6)], NOW_NS)
    assert len(chosen) == len(set(chosen)) >= 4
    assert len({target.provider for target in chosen}) >= 3
    assert "gpt-4o" not in {target.model for target in chosen}


@pytest.mark.parametrize("cost_pico_usd", [0, 1, 10**18])
def test_also_of_calls_that_cost_nothing_or_a_fortune_some_are_chosen(cost_pico_usd: int) -> None:
    assert len(choose(default_card(), [_used("gpt-5-nano", 10**6, cost_pico_usd)], NOW_NS)) >= 4
    assert choose(default_card(), [], NOW_NS) == []


@pytest.mark.parametrize(("provider", "name"), [(each, name) for each, names in CANDIDATES.items() for name in names])
def test_every_candidate_is_a_priced_model_of_the_card(provider: str, name: str) -> None:
    """A name that the card loses is noticed."""
    found = target_of(default_card(), f"{provider}/{name}")
    assert found is not None
    assert found.provider == provider


def test_a_model_is_found_by_any_name_or_not_at_all() -> None:
    card = default_card()
    assert target_of(card, "anthropic/claude-sonnet-4.5") == Target("anthropic", "claude-sonnet-4-5")
    assert target_of(card, "claude-sonnet-4-5-20250929") == Target("anthropic", "claude-sonnet-4-5")
    assert target_of(card, "gpt-6.2-moon") is None
    assert target_of(card, "nobody/gpt-4o") is None


def test_a_model_without_room_for_the_longest_call_is_not_offered_and_an_unknown_window_is_not_too_small() -> None:
    """600,000 tokens of gpt-4.1 are 660,000 of Claude at least."""
    used = [_used("gpt-4.1", 10**6, 2_375_000 * 10**6)._replace(longest_tokens=600_000)]
    assert "anthropic" in {target.provider for target in choose(default_card(), used, NOW_NS)}
    windows = {"anthropic": 659_999, "openai": 600_000}
    chosen = choose(default_card(), used, NOW_NS, lambda target: windows.get(target.provider))
    assert {"openai", "google"} <= {target.provider for target in chosen}
    assert "anthropic" not in {target.provider for target in chosen}
    windows["anthropic"] = 660_000
    assert choose(default_card(), used, NOW_NS, lambda target: windows.get(target.provider)) == choose(
        default_card(), used, NOW_NS
    )


def test_a_model_that_could_not_have_done_all_calls_is_never_the_cheapest() -> None:
    group = Group("x", 3, 100, {A: Amounts(1, 2, too_long_calls=1), B: Amounts(90, 120)})
    assert group.cheapest == B
    assert group.cheapest_is_certain
    assert group.difference(A) == (-99, -98)


def test_only_complete_amounts_are_compared() -> None:
    """Half priced or not priced at all is no bargain."""
    group = Group("x", 3, 100, {A: Amounts(1, 2, unpriced_calls=1), B: Amounts(90, 120)})
    assert group.cheapest == B
    assert group.cheapest_is_certain
    assert group.difference(A) is None
    assert group.difference(B) == (-10, 20)
    assert Group("x", 1, 1, {A: Amounts(0, 0, partial_calls=1)}).cheapest is None


def test_the_cheapest_is_certain_only_if_no_range_reaches_into_its_own() -> None:
    assert Group("x", 1, 1, {A: Amounts(10, 20), B: Amounts(20, 30)}).cheapest_is_certain
    assert not Group("x", 1, 1, {A: Amounts(10, 20), B: Amounts(19, 30)}).cheapest_is_certain


def test_groups_stand_by_cost_and_add_up() -> None:
    groups = [Group("small", 1, 5, {A: Amounts(1, 2)}), Group(None, 2, 9, {A: Amounts(3, 4, fallback_calls=1)})]
    found = comparison(groups, [A])
    assert [group.value for group in found.groups] == [None, "small"]
    assert (found.total.calls, found.total.cost_pico_usd) == (3, 14)
    assert found.total.models == {A: Amounts(4, 6, fallback_calls=1)}
