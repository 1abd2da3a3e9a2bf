"""The gap between a bill and the ledger, taken apart: exact, whatever the sides say."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.analysis.reconcile import Cause, Part, reconcile
from collector.analysis.reconcile_bill import INPUT, OUTPUT, WIDE, Bill, BillLine
from collector.analysis.reconcile_cells import Names, sides
from otel_cost.pricing import default_card

FIRST = date(2026, 11, 2)
MODEL = "gpt-4o"
_KINDS = ("unpriced_calls", "partial_calls", "estimated_calls", "missing_usage_calls", "aborted_calls")
_ZERO: dict[str, Any] = dict.fromkeys(("calls", *_KINDS, "input_tokens", "output_tokens"), 0)


def booked(day: int, cost: str, calls: int = 10, **counts: int) -> dict[str, Any]:
    """A line of the ledger, as `reconcile_ledger.sql` gives it."""
    names = {"provider": "openai", "model": MODEL, "request_model": MODEL, "response_model": None}
    return {**_ZERO, "day": FIRST + timedelta(days=day), **names, "cost_usd": Decimal(cost), "calls": calls, **counts}


def billed(day: int, amount: str | None, **said: Any) -> BillLine:
    paid = None if amount is None else Decimal(amount)
    return BillLine(FIRST + timedelta(days=day), "openai", MODEL, amount_usd=paid, **said)


def gap(lines: list[BillLine], ledger: list[dict[str, Any]], day: int = 0, decimals: int = 6) -> dict[str, Part]:
    """The parts of a day's difference."""
    bill = Bill("openai", tuple(lines), FIRST, FIRST + timedelta(days=9), decimals)
    found = sides(bill, ledger, default_card(), FIRST, FIRST + timedelta(days=9))
    rows = dict(reconcile(bill, found, ("day",)).rows)
    return {cause.value: part for cause, part in rows[(FIRST + timedelta(days=day),)].parts.items()}


def amounts(parts: dict[str, Part]) -> dict[str, Decimal | None]:
    return {cause: part.amount_usd for cause, part in parts.items()}


def test_equal_sides_have_no_gap() -> None:
    assert gap([billed(0, "1.5")], [booked(0, "1.5")]) == {}


def test_rounding_is_at_most_half_a_step_of_each_line() -> None:
    """A bill in cents, of two lines, may be a cent off and no more."""
    lines = [billed(0, "1.00"), billed(0, "2.00")]
    assert amounts(gap(lines, [booked(0, "2.99", 0)], decimals=2)) == {"rounding": Decimal("0.01")}
    assert amounts(gap(lines, [booked(0, "2.989", 0)], decimals=2)) == {"unexplained": Decimal("0.011")}


def test_one_day_is_no_discount_two_are() -> None:
    """What happens once may be anything."""
    one = gap([billed(0, "0.9")], [booked(0, "1")])
    assert amounts(one) == {"unexplained": Decimal("-0.1")}
    lines, ledger = [billed(0, "0.9"), billed(1, "1.8")], [booked(0, "1"), booked(1, "2")]
    for day, part in ((0, "-0.1"), (1, "-0.2")):
        found = gap(lines, ledger, day)
        assert amounts(found) == {"discount": Decimal(part)}
        assert found["discount"].ratio == Decimal("0.9")


def test_a_ratio_that_changes_is_no_discount() -> None:
    lines, ledger = [billed(0, "0.9"), billed(1, "1.7")], [booked(0, "1"), booked(1, "2")]
    assert amounts(gap(lines, ledger, 1)) == {"unexplained": Decimal("-0.3")}


def test_a_constant_ratio_above_one_is_a_surcharge() -> None:
    lines, ledger = [billed(0, "1.1"), billed(1, "2.2")], [booked(0, "1"), booked(1, "2")]
    assert amounts(gap(lines, ledger)) == {"surcharge": Decimal("0.1")}


def test_a_discount_is_known_from_other_days_and_the_rest_goes_to_calls_without_a_price() -> None:
    """A tenth off; on the third day one of two calls has no price in the ledger."""
    lines = [billed(0, "0.9"), billed(1, "1.8"), billed(2, "1.8")]
    ledger = [booked(0, "1"), booked(1, "2"), booked(2, "1", 2, unpriced_calls=1)]
    assert amounts(gap(lines, ledger, 2)) == {"discount": Decimal("-0.1"), "unpriced": Decimal("0.9")}


def test_a_contract_that_the_ledger_knows_is_no_discount_again() -> None:
    """The bill says list and paid; the ledger has what was paid, but for a call without a price."""
    lines = [billed(0, "0.9", list_usd=Decimal(1)), billed(1, "1.8", list_usd=Decimal(2))]
    ledger = [booked(0, "0.9"), booked(1, "0.9", 2, unpriced_calls=1)]
    assert amounts(gap(lines, ledger, 1)) == {"unpriced": Decimal("0.9")}
    at_list = [booked(0, "1"), booked(1, "1", 2, unpriced_calls=1)]
    assert amounts(gap(lines, at_list, 1)) == {"discount": Decimal("-0.2"), "unpriced": Decimal(1)}


def test_calls_of_unknown_cost_get_no_more_than_average_calls_cost() -> None:
    """One of ten calls said nothing: about a ninth of what nine cost is its part, the rest is of somebody else."""
    found = gap([billed(0, "10")], [booked(0, "0.9", 10, missing_usage_calls=1)])
    assert amounts(found) == {"missing_usage": Decimal("0.1"), "unexplained": Decimal(9)}
    assert found["missing_usage"].estimated


def test_of_a_model_without_a_price_all_is_of_its_calls() -> None:
    found = gap([billed(0, "10")], [booked(0, "0", 3, unpriced_calls=3)])
    assert (amounts(found), found["unpriced"].calls) == ({"unpriced": Decimal(10)}, 3)
    assert not found["unpriced"].estimated


def test_several_kinds_of_calls_share_by_their_number() -> None:
    """To the pico-dollar."""
    found = gap([billed(0, "1")], [booked(0, "0", 3, unpriced_calls=1, aborted_calls=1, missing_usage_calls=1)])
    assert sorted(part.amount_usd or 0 for part in found.values()) == [
        Decimal("0.333333333333"),
        Decimal("0.333333333333"),
        Decimal("0.333333333334"),
    ]


def counted(day: int, cost_in: str, tokens_in: int, cost_out: str, tokens_out: int) -> list[BillLine]:
    return [
        billed(day, cost_in, input_tokens=tokens_in, side=INPUT),
        billed(day, cost_out, output_tokens=tokens_out, side=OUTPUT),
    ]


def test_other_tokens_are_other_calls_and_the_same_tokens_another_price() -> None:
    """Twice the input at the same price is somebody's; the same tokens for a dollar more are dearer."""
    ledger = [booked(0, "3", input_tokens=1000, output_tokens=100)]
    more = gap(counted(0, "4", 2000, "1", 100), ledger)
    assert amounts(more) == {"bill_only": Decimal(2)}
    assert more["bill_only"].estimated
    assert amounts(gap(counted(0, "3", 1000, "1", 100), ledger)) == {"price_difference": Decimal(1)}
    assert amounts(gap(counted(0, "1", 500, "1", 100), ledger)) == {"ledger_only": Decimal(-1)}


def test_if_tokens_agree_calls_that_failed_were_not_billed() -> None:
    """Then the difference is the price's, not theirs."""
    ledger = [booked(0, "3", aborted_calls=5, input_tokens=1000, output_tokens=100)]
    assert amounts(gap(counted(0, "3", 1000, "1", 100), ledger)) == {"price_difference": Decimal(1)}


def test_what_only_one_side_has() -> None:
    assert amounts(gap([billed(0, "2")], [booked(1, "1")])) == {"bill_only": Decimal(2)}
    assert amounts(gap([billed(0, "2")], [booked(1, "1", 4)], 1)) == {"ledger_only": Decimal(-1)}


@pytest.mark.parametrize(
    ("provider", "said", "name"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "gpt-6-unheard-of", "gpt-6-unheard-of"),
        ("anthropic", "Claude Sonnet 4.5", "claude-sonnet-4-5"),
        ("anthropic", "Claude Haiku 4.5", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        (None, "deepseek-v4-flash", "deepseek-v4-flash"),
    ],
)
def test_models_of_a_bill_have_the_names_of_the_card(provider: str | None, said: str, name: str) -> None:
    assert Names(default_card()).model(provider, said) == name


def test_a_fine_tuned_model_is_not_its_base() -> None:
    """OpenAI's bill writes ft-gpt-4o-... for ft:gpt-4o-...:org::id."""
    names = Names(default_card())
    of_call = names.of_call(booked(0, "1") | {"response_model": "ft:gpt-4o-2024-08-06:org::abc"})
    assert of_call[0] == "openai"
    assert names.model("openai", "ft-gpt-4o-2024-08-06") == of_call[1] != "gpt-4o"


_money = st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=9)
_few = st.integers(0, 5)
_tokens = st.none() | st.integers(0, 10**9)


@st.composite
def _lines(draw: st.DrawFn) -> BillLine:
    day = draw(_few)
    return BillLine(
        FIRST + timedelta(days=day),
        "openai",
        draw(st.sampled_from([MODEL, "o3", None])),
        amount_usd=draw(_money),
        list_usd=draw(st.none() | _money),
        input_tokens=draw(_tokens),
        output_tokens=draw(_tokens),
        requests=draw(st.none() | _few),
        side=draw(st.sampled_from([None, INPUT, OUTPUT])),
    )


@st.composite
def _calls(draw: st.DrawFn) -> dict[str, Any]:
    kinds = {name: draw(_few) for name in _KINDS}
    return booked(
        draw(_few),
        str(draw(_money)),
        sum(kinds.values()) + draw(_few),
        input_tokens=draw(st.integers(0, 10**9)),
        output_tokens=draw(st.integers(0, 10**9)),
        **kinds,
    )


@settings(deadline=None)  # the first example reads the card
@given(st.lists(_lines(), max_size=12), st.lists(_calls(), max_size=12), st.integers(2, 12))
def test_causes_add_up_to_the_difference_whatever_is_said(
    lines: list[BillLine], ledger: list[dict[str, Any]], decimals: int
) -> None:
    """By every grouping, exactly; and whatever is unknown is no reason to fail."""
    bill = Bill("openai", tuple(lines), FIRST, FIRST + timedelta(days=9), decimals)
    found = sides(bill, ledger, default_card(), FIRST, FIRST + timedelta(days=9))
    for by in (("day", "model"), ("model",), ("provider",)):
        result = reconcile(bill, found, by)
        if not result.has_amounts:
            continue
        for row in (*(row for _, row in result.rows), result.total):
            parts = sum((part.amount_usd or Decimal(0) for part in row.parts.values()), Decimal(0))
            assert WIDE.subtract(row.bill_usd or Decimal(0), row.ledger_usd) == parts


def test_every_cause_is_explained_to_people() -> None:
    from collector.analysis.reconcile import SAYS

    assert set(SAYS) == set(Cause)
