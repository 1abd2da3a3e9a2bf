"""Under overrides the column reader and the scalar reader price alike, each call at the card of its conditions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from collector.decode.columns import COST_SCHEMA, DICT_STRING, CallColumns
from collector.price import price_calls
from otel_cost.call import Call
from otel_cost.pricing import default_card, price_call
from otel_cost.pricing.overrides import Cards, overrides_from
from tests.parity.test_price import as_columns, random_calls

CALLS = 20_000
BATCH = 5_000
CUSTOMERS = ("acme", "acme-eu", "other", None)
ORGANIZATIONS = ("one", "two")
OVERRIDES: dict[str, Any] = {
    "discounts": [
        {"provider": "openai", "models": "gpt-4*", "percent": "12.3456%", "valid_from": "2024-06-01"},
        {"provider": "anthropic", "multiplier": "0.999999", "when": {"customer": "acme*"}},
        {"provider": "azure", "percent": "33.3333%", "when": {"organization": "two"}},
        {"provider": "deepseek", "markup": "7%", "valid_from": "2025-03-01", "valid_to": "2026-01-01T16:00:00Z"},
    ],
    "prices": [
        {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "rates": {"input_tokens": "0.11", "cache_read_tokens": "0.033", "output_tokens": "0.44"},
            "tiers": [{"above": 20_000, "rates": {"input_tokens": "0.22", "output_tokens": "0.88"}}],
            "valid_from": "2025-01-01",
        },
        {"provider": "mistral", "model": "*", "rates": {"input_tokens": 1}, "when": {"customer": "acme"}},
    ],
    "aliases": [{"provider": "azure.ai.openai", "alias": "gpt-99", "model": "gpt-4o", "valid_from": "2025-01-01"}],
    "plans": [{"provider": "groq", "fee": "20 USD/month", "valid_from": "2025-06-01", "when": {"customer": "other"}}],
    "gpus": [{"provider": "ollama", "usd_per_hour": "1.2345", "gpus": 3, "time": "span_duration"}],
    "router_fees": [
        {"provider": "google", "percent": "5.5%"},
        {"provider": "openai", "models": "*", "usd_per_million_input_tokens": "0.14"},
    ],
}


def scalar_row(call: Call, times_ns: tuple[int, int], cards: Cards, carried: dict[str, str | None]) -> dict[str, Any]:
    card = cards.card_for(carried)
    cost = price_call(call, start_time_ns=times_ns[0], end_time_ns=times_ns[1], card=card)
    if cost is None:
        return dict.fromkeys(COST_SCHEMA.names) | {"flags": int(call.flags)}
    said = call.response_model or call.request_model
    return {
        "model": said if cost.model and "*" in cost.model and said is not None else cost.model,
        "cost_pico_usd": cost.total_pico_usd,
        "cost_status": cost.status.value,
        "cost_reason": cost.reason,
        "card": cost.card,
        "rate_row": cost.rate_row,
        "flags": int(cost.flags),
    }


def batch_of(calls: Sequence[Call], times: Sequence[tuple[int, int]], carried: Sequence[dict[str, str | None]]) -> Any:
    """What `price_calls` reads of spans and calls; every other customer is said by the resource."""
    columns = as_columns(calls)
    table = columns.calls
    for parity, name in enumerate(("customer", "resource_customer")):
        values = [each["customer"] if row % 2 == parity else None for row, each in enumerate(carried)]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, DICT_STRING))
    spans = pa.table(
        {
            "org_id": pa.array([each["organization"] for each in carried], DICT_STRING),
            "start_time_ns": pa.array([start for start, _ in times], pa.int64()),
            "end_time_ns": pa.array([end for _, end in times], pa.int64()),
        }
    )
    return CallColumns(table, columns.usage), spans


@pytest.mark.timeout(300)
def test_columns_equal_the_scalar_reader_under_overrides() -> None:
    """Discounts, own prices, aliases, plans, GPU time and fees, with and without conditions, in one batch."""
    rng, card = random.Random(33), default_card()
    cards = Cards(card, overrides_from(OVERRIDES, card))
    rows: set[str] = set()
    for start in range(0, CALLS, BATCH):
        pairs = list(random_calls(rng, card, min(BATCH, CALLS - start)))
        calls = [call for call, _ in pairs]
        times = [(at_ns, at_ns + rng.randrange(10**11)) for _, at_ns in pairs]
        carried: list[dict[str, str | None]] = [
            {"customer": rng.choice(CUSTOMERS), "organization": rng.choice(ORGANIZATIONS)} for _ in pairs
        ]
        columns, spans = batch_of(calls, times, carried)
        table = price_calls(columns, spans, cards)
        assert table.schema == COST_SCHEMA
        for call, at_ns, each, row in zip(calls, times, carried, table.to_pylist(), strict=True):
            assert row == scalar_row(call, at_ns, cards, each), call
            rows |= {row["rate_row"].rpartition("override: ")[2]} if "override" in (row["rate_row"] or "") else set()
    assert {name.partition("[")[0] for name in rows} >= {"discounts", "prices", "plans", "gpus", "router_fees"}
    assert (
        len({made.digest for made in cards.made}) == len(cards.made) == 8
    )  # four kinds of customers at two organisations
