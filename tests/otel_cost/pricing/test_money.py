"""Money is whole pico-USD, exact in and out."""

from __future__ import annotations

from decimal import localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.errors import MoneyError
from otel_cost.pricing.money import divide_half_even, format_usd, pico_usd, to_decimal


@pytest.mark.parametrize("value", [1.0, 0.1, True, None, b"1", [1]])
def test_floats_and_other_things_are_refused(value: Any) -> None:
    with pytest.raises(MoneyError):
        to_decimal(value)


@pytest.mark.parametrize("text", ["", "abc", "NaN", "Infinity", "-inf", "1,5", "0x10"])
def test_text_that_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        pico_usd(text)


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        ("1", 10**12),
        ("0.000000000001", 1),
        (" 0.0375 ", 37_500_000_000),
        ("-2.5", -2_500_000_000_000),
        ("1e-12", 1),
        (0, 0),
    ],
)
def test_dollars_become_whole_pico_dollars(usd: str | int, pico: int) -> None:
    assert pico_usd(usd) == pico


def test_the_thirteenth_decimal_rounds_half_to_even() -> None:
    assert [pico_usd(f"0.00000000000{digits}") for digits in ("05", "15", "25", "251")] == [0, 2, 2, 3]


def test_a_small_ambient_decimal_context_changes_nothing() -> None:
    with localcontext() as context:
        context.prec = 3
        assert pico_usd("308.6419725") == 308_641_972_500_000


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (7_536_000_000, "0.007536"),
        (10**12, "1"),
        (-15 * 10**11, "-1.5"),
        (10**24 + 1, "1000000000000.000000000001"),
    ],
)
def test_amounts_are_written_exactly_without_trailing_zeros(pico: int, text: str) -> None:
    assert format_usd(pico) == text


@given(st.integers(-(10**30), 10**30))
def test_writing_and_reading_is_exact(pico: int) -> None:
    assert pico_usd(format_usd(pico)) == pico


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_division_is_to_the_nearest_and_ties_go_to_even(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))
