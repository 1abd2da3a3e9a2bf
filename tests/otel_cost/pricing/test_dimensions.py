"""Every billing dimension against published prices, line by line to the pico-dollar, by both readers.

`tests/testdata/pricing/dimensions.json`: each vector has its source and, per line, the quantity, the rate as published
(USD per 1,000,000 tokens, 1,000 calls, hour, ...), the multiplier and the amount with twelve decimals.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector.price import price_columns
from otel_cost.call import Call, CallKind
from otel_cost.pricing import Cost, Status, default_card, price_call, receipt_lines
from otel_cost.pricing.money import PICO_PER_USD
from otel_cost.pricing.units import UNITS
from tests.parity.test_price import as_columns

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "testdata" / "pricing" / "dimensions.json").read_text()
)
EXACT = Context(prec=60)


def at_ns(text: str) -> int:
    seconds, _, fraction = text.partition(".")
    return int(datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


def call_of(vector: dict[str, Any]) -> Call:
    usage = {unit: int(Decimal(str(n)) * UNITS[unit].quantum) for unit, n in vector["usage"].items()}
    context = dict(vector["context"])
    service = ";".join((context.pop("service_tier", ""), *(f"{key}={value}" for key, value in context.items())))
    asked = vector.get("asked", vector["model"])
    return Call(
        CallKind.LEAF, "", provider=vector["provider"], request_model=asked, response_model=vector["model"],
        service_tier=service or None, usage=usage,
    )  # fmt: skip


def name_of(vector: dict[str, Any]) -> str:
    said = [*vector["context"].values(), *(f"{n}" for n in vector["usage"].values())]
    return "-".join((vector["dimension"], vector["model"], vector["at"][10:], *said))


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_published_price(vector: dict[str, Any]) -> None:
    call, start_ns = call_of(vector), at_ns(vector["at"])
    cost = price_call(call, start_time_ns=start_ns, end_time_ns=start_ns)
    assert cost is not None
    assert cost.status is Status.PRICED
    assert as_published(cost) == {unit: amount for unit, (*_, amount) in vector["lines"].items()}
    for unit, (quantity, rate, per, multiplier, amount) in vector["lines"].items():
        exact = EXACT.multiply(Decimal(quantity) * Decimal(rate), Decimal(multiplier)) / per
        assert exact.quantize(Decimal("1e-12"), ROUND_HALF_EVEN) == Decimal(amount), unit
    assert usd(cost.total_pico_usd or 0) == vector["total"]
    assert cost.rate_row is not None
    assert receipt_lines(default_card(), cost.rate_row, call.usage) == cost.lines


def as_published(cost: Cost) -> dict[str, str]:
    return {line.unit: usd(line.cost_pico_usd) for line in cost.lines}


def usd(pico_usd: int) -> str:
    return format(Decimal(pico_usd) / PICO_PER_USD, ".12f")


def test_the_collector_says_the_same_of_all_of_them_in_one_batch() -> None:
    times = pa.chunked_array([pa.array([at_ns(vector["at"]) for vector in VECTORS], pa.int64())])
    table = price_columns(as_columns([call_of(vector) for vector in VECTORS]), times, default_card(), times)
    assert [usd(amount) for amount in table["cost_pico_usd"].to_pylist()] == [vector["total"] for vector in VECTORS]


def test_every_dimension_has_three_vectors_with_a_source() -> None:
    counts = Counter(vector["dimension"] for vector in VECTORS)
    assert len(counts) == 32
    assert min(counts.values()) >= 3
    assert all(vector["source"].startswith("https://") for vector in VECTORS)
