"""A newer catalogue over what was known: what a price was at any moment, before and after."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.catalogue.history import merge_provider, merge_rows
from otel_cost.pricing.rates import BEGINNING_NS, END_NS

NOW = 1_000


def row(
    price: int, start: int | None = None, end: int | None = None, variant: str = "standard", window: Any = None
) -> list[Any]:
    return [variant, start, end, window, [[-1, {"input_tokens": price}]]]


def price_at(rows: list[list[Any]], at: int, variant: str = "standard") -> int | None:
    """What the first row that holds says, hours of the day aside."""
    for each, start, end, window, tiers in rows:
        if each == variant and window is None and (start is None or start <= at) and (end is None or at < end):
            found: int = tiers[0][1]["input_tokens"]
            return found
    return None


def test_a_price_that_changed_without_a_date_is_a_new_row_from_now_on() -> None:
    assert merge_rows([row(5)], [row(3)], NOW) == [row(3, NOW), row(5, None, NOW)]


def test_a_second_change_adds_a_second_row() -> None:
    once = merge_rows([row(5)], [row(3)], NOW)
    assert merge_rows(once, [row(4)], NOW + 9) == [row(4, NOW + 9), row(3, NOW, NOW + 9), row(5, None, NOW)]


def test_what_did_not_change_stays_as_it_was() -> None:
    """Also when the catalogue has no dates and what was known has."""
    once = merge_rows([row(5)], [row(3)], NOW)
    assert merge_rows(once, [row(3)], NOW + 9) == once
    assert merge_rows([row(5)], [row(5)], NOW) == [row(5)]


def test_a_change_with_a_date_that_was_not_known_holds_since_that_date() -> None:
    assert merge_rows([row(5)], [row(3, 700), row(5, None, 700)], NOW) == [row(3, 700), row(5, None, 700)]


def test_a_date_that_is_learned_later_is_more_exact_than_when_it_was_seen() -> None:
    seen = merge_rows([row(5)], [row(3)], NOW)
    assert merge_rows(seen, [row(3, 900), row(5, None, 900)], NOW + 9) == [row(3, 900), row(5, None, 900)]


def test_what_was_before_a_date_that_is_learned_is_learned_too() -> None:
    """No date was known at all, so the older price is no contradiction."""
    assert merge_rows([row(3)], [row(3, 700), row(9, None, 700)], NOW) == [row(3, 700), row(9, None, 700)]


def test_what_is_learned_reaches_back_no_further_than_the_last_date_known() -> None:
    known = [row(5, 300), row(7, None, 300)]
    now = [row(3, 700), row(6, None, 700)]
    assert merge_rows(known, now, NOW) == [row(3, 700), row(6, 300, 700), row(7, None, 300)]


def test_a_dated_price_that_is_changed_silently_changes_now_and_not_then() -> None:
    known = [row(5, 300), row(7, None, 300)]
    assert merge_rows(known, [row(4, 300), row(8, None, 300)], NOW) == [
        row(4, NOW),
        row(5, 300, NOW),
        row(7, None, 300),
    ]


def test_a_price_announced_for_later_holds_from_then() -> None:
    assert merge_rows([row(5)], [row(3, 2_000), row(5, None, 2_000)], NOW) == [row(3, 2_000), row(5, None, 2_000)]


def test_a_variant_that_is_gone_stays() -> None:
    batch = row(2, variant="batch")
    assert merge_rows([row(5), batch], [row(5)], NOW) == [row(5), batch]


def test_hours_of_the_day_that_end_still_hold_before_they_ended() -> None:
    """And are still tried before the row of the whole day."""
    night = row(1, window=[0, 3_600])
    merged = merge_rows([night, row(5)], [row(5)], NOW)
    assert merged == [row(1, None, NOW, window=[0, 3_600]), row(5)]


def test_an_exception_within_a_longer_period_is_kept_in_order() -> None:
    """A holiday: its row overlaps the usual one and is tried before it."""
    known = [row(1, 100, 200), row(5)]
    assert merge_rows(known, known, NOW) == known
    merged = merge_rows(known, [row(1, 100, 200), row(4)], NOW)
    assert [price_at(merged, at) for at in (50, 150, 250, NOW - 1, NOW)] == [5, 1, 5, 5, 4]
    assert merge_rows(merged, [row(1, 100, 200), row(4)], NOW + 9) == merged


EDGES = (None, 100, 300, 500, 900, 1_500)


@st.composite
def timelines(draw: st.DrawFn) -> list[list[Any]]:
    """Rows that cover all time once, newest first."""
    edges = sorted(draw(st.sets(st.sampled_from(EDGES[1:]), max_size=4)))
    starts: list[int | None] = [None, *edges]
    ends: list[int | None] = [*edges, None]
    return [row(draw(st.integers(1, 3)), start, end) for start, end in zip(starts, ends, strict=True)][::-1]


@given(timelines(), timelines(), timelines())
def test_time_is_covered_once_and_the_present_is_the_newest_catalogues(
    first: list[list[Any]], second: list[list[Any]], third: list[list[Any]]
) -> None:
    """Whatever follows on whatever: no gap, no overlap, the newest from now on; reading it again changes nothing."""
    merged = merge_rows(merge_rows(first, second, NOW), third, NOW + 400)
    periods = sorted((BEGINNING_NS if r[1] is None else r[1], END_NS if r[2] is None else r[2]) for r in merged)
    assert periods[0][0] == BEGINNING_NS
    assert periods[-1][1] == END_NS
    assert all(end == start for (_, end), (start, _) in pairwise(periods))
    for at in (NOW + 400, 1_499, 1_500, 9_999):
        assert price_at(merged, at) == price_at(third, at)
    assert merge_rows(merged, third, NOW + 500) == merged


@st.composite
def parts(draw: st.DrawFn) -> list[list[Any]]:
    """Rows of a variant that is not known for all time: it began, it ended, or nobody knows what was between."""
    return [each for each in draw(timelines()) if draw(st.booleans())]


@given(parts(), parts(), parts())
def test_what_is_known_only_of_some_time_is_kept_and_completed(
    first: list[list[Any]], second: list[list[Any]], third: list[list[Any]]
) -> None:
    """No overlap; what was known of the past is not lost; the newest holds from now on, if it has the variant."""
    once = merge_rows(first, second, NOW)
    merged = merge_rows(once, third, NOW + 400)
    periods = sorted((BEGINNING_NS if r[1] is None else r[1], END_NS if r[2] is None else r[2]) for r in merged)
    assert all(end <= start for (_, end), (start, _) in pairwise(periods))
    for at in (-1, 100, 299, 500, 950, NOW - 1):
        assert price_at(once, at) is None or price_at(merged, at) is not None
    for at in (NOW + 400, 1_500, 9_999):
        assert not third or price_at(merged, at) == price_at(third, at)
    assert merge_rows(merged, third, NOW + 500) == merged


@given(timelines(), st.integers(1, 9))
def test_an_undated_catalogue_changes_nothing_of_the_past(known: list[list[Any]], price: int) -> None:
    merged = merge_rows(known, [row(price)], NOW)
    for at in (-5, 99, 100, 450, 899, 900, NOW - 1):
        assert price_at(merged, at) == price_at(known, at)


def provider(**models: list[str]) -> dict[str, Any]:
    """Models with their names; each model's price is the length of its id."""
    return {
        "provider": "p",
        "models": [
            {"id": model, "source": "s", "names": names, "rows": [row(len(model))]} for model, names in models.items()
        ],
    }


def rows_of(merged: dict[str, Any], name: str) -> list[list[Any]]:
    (found,) = [model["rows"] for model in merged["models"] if name in model["names"]]
    assert isinstance(found, list)
    return found


def test_a_model_that_is_gone_stays_and_a_new_one_is_added() -> None:
    merged = merge_provider(provider(old=["old"], both=["both"]), provider(both=["both"], new=["new"]), NOW)
    assert [model["id"] for model in merged["models"]] == ["both", "new", "old"]
    assert rows_of(merged, "old") == [row(3)]


def test_a_name_that_is_gone_still_means_its_model() -> None:
    merged = merge_provider(provider(m=["m", "m-preview"]), provider(m=["m", "m-2"]), NOW)
    assert merged["models"][0]["names"] == ["m", "m-2", "m-preview"]


def test_a_name_that_moved_means_each_model_in_its_time() -> None:
    before, now = provider(a=["a", "latest"], bb=["bb"]), provider(a=["a"], bb=["bb", "latest"], ccc=["ccc"])
    once = merge_provider(before, now, NOW)
    assert rows_of(once, "latest") == [row(2, NOW), row(1, None, NOW)]
    assert merge_provider(once, now, NOW + 5) == once
    again = merge_provider(once, provider(a=["a"], bb=["bb"], ccc=["ccc", "latest"]), NOW + 9)
    assert rows_of(again, "latest") == [row(3, NOW + 9), row(2, NOW, NOW + 9), row(1, None, NOW)]
    shown = [model["canonical"] for model in again["models"] if "latest" in model["names"]]
    assert shown == ["ccc"]


@pytest.mark.parametrize("key", ["minimums", "uplifts"])
def test_what_a_moved_name_costs_beside_its_rows_is_that_of_what_it_means_now(key: str) -> None:
    before, now = provider(a=["a", "latest"], b=["b"]), provider(a=["a"], b=["b", "latest"])
    now["models"][1][key] = {"x": 1}
    merged = merge_provider(before, now, NOW)
    assert [model[key] for model in merged["models"] if "latest" in model["names"]] == [{"x": 1}]
