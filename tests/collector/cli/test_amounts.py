"""Money and counts as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from collector.cli.amounts import (
    count,
    decimals_for,
    duration,
    exact,
    exact_usd,
    percent,
    ratio,
    short_count,
    usd,
)


@pytest.mark.parametrize(
    ("amounts", "decimals"),
    [
        ([], 2),
        (["12.5", "0.75"], 2),
        (["0.0123"], 3),
        (["0.00000158"], 6),
        (["1234.5", "0.00000158"], 4),
        (["98765432.1", "0.00000158"], 2),
        ([None, "0"], 2),
    ],
)
def test_a_column_has_as_many_decimals_as_its_smallest_amount_needs_and_its_largest_allows(
    amounts: list[str | None], decimals: int
) -> None:
    assert decimals_for([None if each is None else Decimal(each) for each in amounts]) == decimals


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        ("1234.5678", 2, "$1,234.57"),
        ("0.00000158", 6, "$0.000002"),
        ("0.0000000158", 6, "<$0.000001"),
        ("0", 6, "$0"),
        ("-3.5", 2, "-$3.50"),
        ("-0.0001", 2, "-<$0.01"),
        ("0.125", 2, "$0.12"),
        ("0.375", 2, "$0.38"),
        (None, 2, "unpriced"),
    ],
)
def test_amounts_are_readable_and_nothing_is_shown_as_zero_that_is_not(
    amount: str | None, decimals: int, text: str
) -> None:
    assert usd(None if amount is None else Decimal(amount), decimals) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0.00"),
        ("1E+3", "1000.00"),
        ("0.000000000001", "0.000000000001"),
        ("2.50", "2.50"),
        ("12345678901234567890.123456789012", "12345678901234567890.123456789012"),
    ],
)
def test_exact_amounts_keep_every_digit_and_use_no_exponent(amount: str, text: str) -> None:
    assert exact(Decimal(amount)) == text
    assert exact_usd(Decimal(amount)) == f"${text}"


def test_a_share_of_nothing_is_unknown_and_a_tiny_one_is_not_zero() -> None:
    assert ratio(Decimal(1), Decimal(0)) is None
    assert percent(None) == "-"
    assert percent(Decimal("0.0004")) == "<0.1%"
    assert percent(Decimal("0.375")) == "37.5%"
    assert percent(Decimal("0.3751"), decimals=0) == "38%"
    assert percent(Decimal(0)) == "0.0%"


@pytest.mark.parametrize(
    ("number", "long", "short"),
    [
        (None, "-", "-"),
        (0, "0", "0"),
        (9_999, "9,999", "9,999"),
        (59_798, "59,798", "59.8k"),
        (99_963, "99,963", "100k"),
        (123_456, "123,456", "123k"),
        (999_600, "999,600", "1.00M"),
        (1_234_567_890, "1,234,567,890", "1.23G"),
    ],
)
def test_counts_have_separators_and_a_short_form(number: int | None, long: str, short: str) -> None:
    assert (count(number), short_count(number)) == (long, short)


def test_durations_have_the_unit_that_fits() -> None:
    assert [duration(each) for each in (850_000_000, 12_340_000_000, 245_000_000_000)] == ["850ms", "12.3s", "4m05s"]
