"""A receipt as text: compact, and read back to the same lines."""

from __future__ import annotations

import pytest

from otel_cost.errors import ReceiptError
from otel_cost.pricing import Cost, default_card, parse_receipt, price, receipt_text


def example(provider: str, name: str, usage: dict[str, int]) -> Cost:
    return price(
        provider=provider, request_model=name, response_model=None, at_ns=1_790_000_000 * 10**9, usage=usage,
        context={}, card=default_card(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "name", "usage"),
    [
        ("openai", "gpt-4o", {"input_tokens": 1_000, "cache_read_tokens": 600, "output_tokens": 5}),
        ("groq", "whisper-large-v3", {"audio_seconds": 12_500_000}),
        ("aws", "us.amazon.nova-pro-v1:0", {"input_tokens": 7}),
        ("openai", "gpt-4o", {"web_searches": 3}),
    ],
)
def test_a_receipt_reads_back_to_the_same_lines(provider: str, name: str, usage: dict[str, int]) -> None:
    cost = example(provider, name, usage)
    text = receipt_text(cost)
    assert text is not None
    assert parse_receipt(text) == (cost.card, cost.rate_row, cost.lines)
    assert len(text) < 200


def test_a_cost_without_lines_has_no_receipt() -> None:
    assert receipt_text(example("openai", "gpt-99", {"input_tokens": 1})) is None


@pytest.mark.parametrize(
    "text", ["", "2;a;b", "1", "1;a", "1;a;b;c", "1;a;b;x=1", "1;a;b;x=1*2/0", "1;a;b;x=1*y", "1;a;b;input_tokens=*"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ReceiptError):
        parse_receipt(text)
