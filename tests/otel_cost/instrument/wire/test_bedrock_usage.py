"""What a plan reads of a usage of Bedrock's Converse API is what is read of any usage."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument.wire.bedrock_converse import _plan, any_usage_of, usage_of
from otel_cost.pricing.units import MAX_QUANTITY

NAMES = [
    *("inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheReadInputTokenCount"),
    *("cacheWriteInputTokens", "cacheWriteInputTokenCount", "cacheDetails", "other"),
]
COUNTS: st.SearchStrategy[Any] = st.integers(-2, 3) | st.sampled_from(
    [None, True, "7", 7.0, 1.5, MAX_QUANTITY, MAX_QUANTITY + 1, [], {}]
)
DETAILS = st.lists(
    st.fixed_dictionaries({"ttl": st.sampled_from(["5m", "1h", "9h"]), "inputTokens": COUNTS}), max_size=2
)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 30)),
    st.dictionaries(st.sampled_from(NAMES), COUNTS, max_size=2),
    DETAILS,
)
def test_any_usage_is_read_the_same_with_and_without_a_plan(
    usual: dict[str, Any], other: dict[str, Any], details: Any
) -> None:
    reported = {"inputTokens": 5, "outputTokens": 2, **usual, **other}
    if "cacheDetails" in reported:
        reported["cacheDetails"] = details
    assert list(usage_of(reported).items()) == list(any_usage_of(reported).items())


@pytest.mark.parametrize("count", [-1, True, MAX_QUANTITY + 1, "7", None])
def test_what_is_no_count_is_read_as_by_any(count: object) -> None:
    reported = {"inputTokens": 5, "outputTokens": 2, "cacheReadInputTokens": count}
    assert list(usage_of(reported).items()) == list(any_usage_of(reported).items())


def test_the_usual_usage_has_a_plan_and_one_with_lifetimes_has_none() -> None:
    assert _plan(("inputTokens", "outputTokens", "totalTokens")) is not None
    assert _plan(("inputTokens", "outputTokens", "cacheDetails")) is None
    assert _plan(("inputTokens", "totalTokens")) is None
