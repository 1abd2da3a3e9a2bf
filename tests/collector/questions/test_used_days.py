"""Amounts stay whole pico-dollars while they are columns."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from collector.questions.outlook import usd
from collector.questions.used_days import halves

AMOUNTS = st.lists(st.one_of(st.integers(0, 2**33), st.integers(0, 2**94)), max_size=6)


@given(AMOUNTS, st.integers(0, 2))
def test_halves_are_the_amount_to_the_pico_dollar(amounts: list[int], skipped: int) -> None:
    costs = pa.array([Decimal(0)] * skipped + [usd(amount) for amount in amounts], pa.decimal128(38, 12))[skipped:]
    low, high = (half.tolist() for half in halves(costs))
    assert [(above << 32) + below for below, above in zip(low, high, strict=True)] == amounts
