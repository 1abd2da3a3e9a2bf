"""What is told of two cards: every rate that differs, just when it does, and nothing else."""

from __future__ import annotations

from typing import Any

from collector.catalogue.compare import Change, compare
from otel_cost.pricing import default_card
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.rates import BEGINNING_NS, END_NS


def card(models: dict[str, list[list[Any]]], provider: str = "p") -> RateCard:
    raw = {"models": [{"id": model, "source": "s", "names": [model], "rows": rows} for model, rows in models.items()]}
    return RateCard("0" * 12, {"providers": [provider]}, lambda _: raw)


def row(rates: dict[str, int], start: int | None = None, end: int | None = None, *rest: Any) -> list[Any]:
    return ["standard", start, end, None, [[-1, rates]], *rest]


def told(old: dict[str, list[list[Any]]], new: dict[str, list[list[Any]]]) -> list[tuple[Any, ...]]:
    changes = compare(card(old), card(new)).changes
    return [(c.rate_key, c.from_ns, c.to_ns, c.old_pico_usd, c.new_pico_usd) for c in changes]


def test_a_card_does_not_differ_from_itself() -> None:
    difference = compare(default_card(), default_card().reopened())
    assert (difference.added, difference.removed, difference.changes) == ((), (), ())


def test_a_price_that_changed_at_a_date_differs_from_then_on() -> None:
    old, new = [row({"input_tokens": 5})], [row({"input_tokens": 3}, 100), row({"input_tokens": 5}, None, 100)]
    assert told({"m": old}, {"m": new}) == [("input_tokens", 100, END_NS, 5, 3)]


def test_how_rows_are_cut_is_no_difference() -> None:
    old, new = [row({"input_tokens": 5})], [row({"input_tokens": 5}, 100), row({"input_tokens": 5}, None, 100)]
    assert told({"m": old}, {"m": new}) == []


def test_rates_that_came_or_went_have_nothing_on_the_other_side() -> None:
    old, new = [row({"input_tokens": 5, "requests": 1})], [row({"input_tokens": 5, "output_tokens": 9})]
    assert told({"m": old}, {"m": new}) == [
        ("output_tokens", BEGINNING_NS, END_NS, None, 9),
        ("requests", BEGINNING_NS, END_NS, 1, None),
    ]


def test_a_row_that_goes_before_another_is_what_counts() -> None:
    """An exception of some days within a longer period."""
    old, new = [row({"requests": 5})], [row({"requests": 1}, 100, 200), row({"requests": 5})]
    assert told({"m": old}, {"m": new}) == [("requests", 100, 200, 5, 1)]


def test_a_multiplier_is_part_of_the_price() -> None:
    assert told({"m": [row({"requests": 100})]}, {"m": [row({"requests": 100}, None, None, 900_000)]}) == [
        ("requests", BEGINNING_NS, END_NS, 100, 90)
    ]


def test_variants_sizes_and_hours_are_told_apart() -> None:
    tiers = [[-1, {"requests": 1}], [200, {"requests": 2}]]
    old: dict[str, list[list[Any]]] = {
        "m": [["batch", None, None, None, tiers], ["standard", None, None, [0, 60, 1], [[-1, {"requests": 3}]]]]
    }
    new_tiers = [[-1, {"requests": 1}], [200, {"requests": 7}]]
    new: dict[str, list[list[Any]]] = {
        "m": [["batch", None, None, None, new_tiers], ["standard", None, None, [0, 60, 1], [[-1, {"requests": 8}]]]]
    }
    changes = compare(card(old), card(new)).changes
    assert [(c.variant, c.input_tokens_above, c.window and tuple(c.window), c.new_pico_usd) for c in changes] == [
        ("batch", 200, None, 7),
        ("standard", -1, (0, 60, 1), 8),
    ]


def test_models_that_came_or_went_are_named_and_not_taken_apart() -> None:
    difference = compare(card({"a": [row({"requests": 1})]}), card({"b": [row({"requests": 1})]}))
    assert (difference.added, difference.removed, difference.changes) == ((("p", "b"),), (("p", "a"),), ())
    other = compare(card({"a": [row({"requests": 1})]}), card({"a": [row({"requests": 1})]}, "q"))
    assert (other.added, other.removed) == ((("q", "a"),), (("p", "a"),))


def test_a_change_names_the_provider_and_the_entry() -> None:
    (change,) = compare(card({"m": [row({"requests": 1})]}), card({"m": [row({"requests": 2})]})).changes
    assert change == Change("p", "m", "standard", -1, None, "requests", BEGINNING_NS, END_NS, 1, 2)
