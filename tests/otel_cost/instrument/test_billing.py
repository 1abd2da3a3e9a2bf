"""What of an exchange is billed, by how many spans, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from otel_cost.instrument import billing
from otel_cost.instrument.billing import MAX_ITEM_SPANS, MAX_SUMMED_INPUT_TOKENS, bills_of, is_plain
from otel_cost.instrument.wire.types import Part, Reading
from otel_cost.pricing import default_card


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    billing.forget()
    yield
    billing.forget()


def reading(**said: Any) -> Reading:
    return Reading("chat", "openai", **{"response_model": "gpt-5.4", **said})


def usage_of(found: list[billing.Bill]) -> list[Mapping[str, int]]:
    return [bill.part.usage for bill in found]


def test_a_call_is_billed_as_it_reports() -> None:
    assert usage_of(bills_of(reading(usage={"input_tokens": 3}))) == [{"input_tokens": 3}]


def test_what_is_not_billable_is_not_billed() -> None:
    assert bills_of(reading(usage={"input_tokens": 3}, is_billable=False)) == []


def test_a_response_that_is_told_again_counts_once() -> None:
    told = reading(usage={"input_tokens": 3}, response_id="resp_1", counts_once=True, is_billable=False)
    assert len(bills_of(told)) == 1
    assert bills_of(told) == []


def test_a_response_that_its_own_call_reported_does_not_count_when_it_is_polled() -> None:
    bills_of(reading(usage={"input_tokens": 3}, response_id="resp_1"))
    assert bills_of(reading(usage={"input_tokens": 3}, response_id="resp_1", counts_once=True)) == []


def test_what_is_plain_is_billed_as_it_is_reported_and_its_id_is_counted() -> None:
    told = {"usage": {"input_tokens": 3, "output_tokens": 0}, "response_id": "resp_1"}
    assert is_plain(reading(**told))
    assert bills_of(reading(**told, counts_once=True)) == []
    assert usage_of(bills_of(reading(**told))) == [told["usage"]]


@pytest.mark.parametrize(
    "told",
    [
        {"usage": {"input_tokens": 3}, "is_billable": False},
        {"usage": {"input_tokens": 3}, "counts_once": True},
        {"usage": {"input_tokens": 3}, "parts": (Part("gpt-4o", {"input_tokens": 3}),)},
        {"usage": {"code_interpreter_sessions": 1}},
        {"usage": {"input_tokens": 0}},
    ],
)
def test_nothing_else_is_plain_or_counted(told: dict[str, Any]) -> None:
    assert not is_plain(reading(**told, response_id="resp_1"))
    assert billing.is_first("openai", "resp_1")


def test_a_poll_without_usage_does_not_use_up_its_id() -> None:
    assert bills_of(reading(response_id="resp_1", counts_once=True)) == []
    assert len(bills_of(reading(usage={"input_tokens": 3}, response_id="resp_1", counts_once=True))) == 1


def test_items_without_a_response_id_count_once_by_their_line() -> None:
    part = Part("text-embedding-3-small", {"input_tokens": 3}, extra={"item_id": "batch_req_1"})
    results = reading(parts=(part,), counts_once=True)
    assert len(bills_of(results)) == 1
    assert bills_of(results) == []


def items(number: int, tokens: int = 1000) -> tuple[Part, ...]:
    return tuple(Part("gpt-5.4", {"input_tokens": tokens, "output_tokens": 1}, f"id{n}") for n in range(number))


def test_few_items_are_billed_one_by_one() -> None:
    assert len(bills_of(reading(parts=items(MAX_ITEM_SPANS), counts_once=True))) == MAX_ITEM_SPANS


def test_many_items_are_summed_where_the_sum_is_priced_like_its_items() -> None:
    found = bills_of(reading(parts=items(50_000), counts_once=True))
    assert len(found) < 2048  # the queue of the SDK's exporting processor
    assert sum(bill.items for bill in found) == 50_000
    assert sum(bill.part.usage["input_tokens"] for bill in found) == 50_000_000
    assert all(bill.part.usage["input_tokens"] <= MAX_SUMMED_INPUT_TOKENS for bill in found)
    assert all(bill.part.usage["requests"] == bill.items for bill in found)
    assert len({bill.part.response_id for bill in found}) == len(found)


def test_no_price_list_has_a_dearer_rate_below_what_is_summed() -> None:
    bounds = [row.input_tokens_above for row in default_card().rows() if row.input_tokens_above >= 0]
    assert min(bounds) >= MAX_SUMMED_INPUT_TOKENS


def test_a_large_item_is_never_summed() -> None:
    parts = (*items(MAX_ITEM_SPANS), *items(1, tokens=300_000), *items(5))
    found = bills_of(reading(parts=parts))
    assert [bill.items for bill in found if bill.part.usage["input_tokens"] >= 300_000] == [1]


def test_a_cost_that_is_told_for_the_whole_is_not_split() -> None:
    parts = items(3)
    found = bills_of(reading(parts=parts, usage={"input_tokens": 3000}, reported_cost_pico_usd=7))
    assert [(bill.part.usage, bill.part.reported_cost_pico_usd) for bill in found] == [({"input_tokens": 3000}, 7)]


def test_a_container_that_is_open_is_not_billed_again() -> None:
    said = reading(usage={"code_interpreter_sessions": 1}, extra={"container_ids": ("cntr_1",)})
    assert usage_of(bills_of(said)) == [{"code_interpreter_sessions": 1}]
    assert usage_of(bills_of(said)) == [{"code_interpreter_sessions": 0}]
