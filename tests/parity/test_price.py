"""The scalar reader (in the app) and the column reader (in the collector) price alike, to the pico-dollar."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from collector.decode.columns import CALL_SCHEMA, COST_SCHEMA, CallColumns
from collector.price import card_table, price_columns, shipped
from collector.price.table import make_table
from otel_cost.call import Call, CallKind, Flag
from otel_cost.pricing import RateCard, default_card, price_call
from otel_cost.pricing.units import UNITS

CALLS = 30_000
BATCH = 8_192

PROVIDERS = (
    "openai", "azure.ai.openai", "anthropic", "gcp.vertex_ai", "gcp.gemini", "aws.bedrock", "x_ai", "deepseek", "groq",
    "mistral_ai", "perplexity", "cohere", "langchain", "", None, "no-such-provider", "ollama",
)  # fmt: skip
ODD_NAMES = (
    "gpt-99",
    "",
    "   ",
    "claude-opus-9-9",
    "ft:gpt-4o-mini:org::id",
    "models/gemini-2.5-flash",
    "x" * 600,
    "é/ü",
)
TIERS = (None, None, None, "default", "flex", "PRIORITY", "priority", "batch", "scale", "fast")
COMMON_UNITS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_reasoning_tokens",
)  # fmt: skip
EDGES = (0, 1, 2, 199_999, 200_000, 200_001, 271_999, 272_000, 272_001, 2**31, 2**40, 2**40 + 1, 2**62, -1, -5)
DAY_NS = 86_400_000_000_000


def card_models(card: RateCard) -> list[tuple[str, str]]:
    """Names of many kinds of models: tiers, dates, windows, odd units, no price."""
    chosen = []
    for provider_id in ("openai", "anthropic", "google", "aws", "deepseek", "groq", "x-ai", "mistral", "perplexity"):
        provider = card.provider(provider_id)
        assert provider is not None
        chosen += [(provider_id, name) for name in provider.names]
    return chosen


def random_usage(rng: random.Random) -> dict[str, int]:
    shape = rng.random()
    if shape < 0.05:
        return {}
    keys: Sequence[str] = COMMON_UNITS if shape < 0.6 else tuple(UNITS)
    picked = rng.sample(keys, rng.randint(1, min(len(keys), 6)))
    if rng.random() < 0.7 and "input_tokens" not in picked:
        picked.append("input_tokens")
    usage = {key: rng.choice(EDGES) if rng.random() < 0.08 else rng.randint(0, 60_000) for key in picked}
    if rng.random() < 0.01:
        usage["no_such_unit"] = rng.randint(0, 3)
    return usage


def random_time_ns(rng: random.Random) -> int:
    """Any time from 2023 to 2027, often a nanosecond from a UTC midnight."""
    day = rng.randint(19_358, 20_900) * DAY_NS
    return day + rng.choice((-1, 0, 1)) if rng.random() < 0.3 else day + rng.randrange(DAY_NS)


def random_calls(rng: random.Random, card: RateCard, number: int) -> Iterator[tuple[Call, int]]:
    models = card_models(card)
    for _ in range(number):
        provider, name = rng.choice(models)
        said = provider if rng.random() < 0.7 else rng.choice(PROVIDERS)
        request = name if rng.random() < 0.9 else rng.choice(ODD_NAMES)
        flags = Flag.NONE
        if rng.random() < 0.1:
            flags = rng.choice((Flag.CACHE_HIT, Flag.ESTIMATED, Flag.NEGATIVE, Flag.USAGE_MISSING))
        yield (
            Call(
                kind=rng.choices((CallKind.LEAF, CallKind.AGGREGATE, CallKind.IGNORE), (90, 8, 2))[0],
                dialect="generated",
                provider=said,
                request_model=request if rng.random() < 0.9 else None,
                response_model=rng.choice((name, None, None, rng.choice(ODD_NAMES))),
                service_tier=rng.choice(TIERS),
                usage=random_usage(rng),
                reported_cost_pico_usd=rng.choice((0, 7, 10**9, -3, 2**62)) if rng.random() < 0.05 else None,
                reported_by_provider=rng.random() < 0.5,
                failed=rng.random() < 0.1,
                flags=flags,
            ),
            random_time_ns(rng),
        )


def as_columns(calls: Sequence[Call]) -> CallColumns:
    rows: dict[str, list[Any]] = {name: [None] * len(calls) for name in CALL_SCHEMA.names}
    for name in ("dialect", "provider", "request_model", "response_model", "service_tier", "reported_cost_pico_usd"):
        rows[name] = [getattr(call, name) for call in calls]
    rows["call_kind"] = [call.kind.value for call in calls]
    rows["reported_by_provider"] = [call.reported_by_provider for call in calls]
    rows["failed"] = [call.failed for call in calls]
    rows["flags"] = [int(call.flags) for call in calls]
    table = pa.table({name: pa.array(rows[name], CALL_SCHEMA.field(name).type) for name in rows}, schema=CALL_SCHEMA)
    keys = sorted({key for call in calls for key in call.usage})
    usage = {key: pa.chunked_array([pa.array([call.usage.get(key) for call in calls], pa.int64())]) for key in keys}
    return CallColumns(table, usage)


def scalar_row(call: Call, at_ns: int, card: RateCard, end_ns: int | None = None) -> dict[str, Any]:
    cost = price_call(call, start_time_ns=at_ns, end_time_ns=end_ns, card=card)
    if cost is None:
        return dict.fromkeys(COST_SCHEMA.names) | {"flags": int(call.flags)}
    return {
        "model": cost.model,
        "cost_pico_usd": cost.total_pico_usd,
        "cost_status": cost.status.value,
        "cost_reason": cost.reason,
        "card": cost.card,
        "rate_row": cost.rate_row,
        "flags": int(cost.flags),
    }


@pytest.mark.timeout(300)
def test_columns_equal_the_scalar_reader_on_generated_calls_of_the_shipped_card() -> None:
    rng, card = random.Random(20261122), default_card()
    statuses: set[str | None] = set()
    for start in range(0, CALLS, BATCH):
        pairs = list(random_calls(rng, card, min(BATCH, CALLS - start)))
        calls = [call for call, _ in pairs]
        times = pa.chunked_array([pa.array([at_ns for _, at_ns in pairs], pa.int64())])
        table = price_columns(as_columns(calls), times, card)
        assert table.schema == COST_SCHEMA
        got = table.to_pylist()
        for (call, at_ns), row in zip(pairs, got, strict=True):
            assert row == scalar_row(call, at_ns, card), call
            statuses.add(row["cost_status"])
    assert statuses == {None, "priced", "free", "reported", "estimated", "partial", "unpriced"}


def test_chunked_and_sliced_batches_price_as_whole_ones() -> None:
    rng, card = random.Random(7), default_card()
    pairs = list(random_calls(rng, card, 300))
    columns = as_columns([call for call, _ in pairs])
    times = pa.array([at_ns for _, at_ns in pairs], pa.int64())
    whole = price_columns(columns, pa.chunked_array([times]), card).to_pylist()
    cut = CallColumns(
        pa.concat_tables([columns.calls.slice(0, 100), columns.calls.slice(100)]),
        {
            key: pa.chunked_array([c.slice(0, 100).combine_chunks(), c.slice(100).combine_chunks()])
            for key, c in columns.usage.items()
        },
    )
    assert price_columns(cut, pa.chunked_array([times.slice(0, 100), times.slice(100)]), card).to_pylist() == whole


def test_an_empty_batch_gives_an_empty_table() -> None:
    empty = CallColumns(CALL_SCHEMA.empty_table(), {})
    assert price_columns(empty, pa.chunked_array([], pa.int64()), default_card()).num_rows == 0


def test_the_table_that_is_kept_of_the_shipped_card_is_that_of_its_rows(tmp_path: Path) -> None:
    """`make card` writes both. Of another card, and where the file is damaged, the table is made."""
    card = default_card()
    made = make_table(card)
    assert shipped.read_table(card, made.schema) == made
    assert card_table(card).schema == made.schema
    assert shipped.read_table(replace(card, digest="another"), made.schema) is None
    damaged = tmp_path / "card.arrow"
    damaged.write_bytes(shipped.PATH.read_bytes()[:-100])
    assert shipped.read_table(card, made.schema, damaged) is None
    assert shipped.read_table(card, made.schema, tmp_path / "none") is None


def test_the_card_as_a_table_holds_every_explicit_rate() -> None:
    card = default_card()
    table = make_table(card)
    explicit = sum(len(row.explicit) for row in card.rows())
    assert sum(table["explicit"].to_pylist()) == explicit
    assert set(table["card"].unique().to_pylist()) == {card.digest}
    wanted = (pc.field("rate_row") == "openai|gpt-4o-mini|standard||") & (pc.field("unit") == "cache_read_tokens")
    (row,) = table.filter(wanted).to_pylist()
    assert (row["rate_pico_usd"], row["per"], row["multiplier_ppm"], row["explicit"]) == (75_000, 1, 1_000_000, True)
    assert row["source"].startswith("genai-prices")
