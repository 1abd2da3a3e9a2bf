"""Both readers price alike over every dimension of the card's format, on cards that are made up of all of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from collector.decode.columns import COST_SCHEMA
from collector.price import price_columns
from otel_cost.call import Call, CallKind, Flag
from otel_cost.pricing import RateCard, default_card
from otel_cost.pricing.units import DERIVED, QUALIFIERS, UNITS
from tests.parity.test_price import DAY_NS, EDGES, as_columns, random_calls, random_time_ns, scalar_row

SHORT, LONG = 30_000, 1_000_000
BATCH = 8_192
MODELS = 160
CHANGE_NS = 20_400 * DAY_NS
"""The day of all price changes of the made-up cards; calls crowd around it."""
THRESHOLD = 5_000
PEAK = [3_600, 14_400, 0b11111]
REGIONS = ("eu", "us-gov", "*")
KINDS = {
    "search_context_size": ("low", "medium", "high", "huge"),
    "size": ("1024x1024", "1024x1536", "auto", "9x9"),
    "quality": ("hd", "low", "standard"),
    "resolution": ("720p", "1080p", "4k"),
}
CONTEXTS = {
    "region": ("eu-west-1", "us-gov-east-1", "mars", "global"),
    "data_residency": ("EU", "global", "us"),
    "inference_geo": ("us", "not_available"),
    "processing": ("batch", "realtime"),
    "speed": ("fast", "standard"),
    "search_type": ("pro",),
    **KINDS,
}
TIERS = ("", "default", "flex", "PRIORITY", "unheard-of")
UPLIFT_PPM = (1_000_000, 1_100_000, 1_312_500, 1_000_001)
MULTIPLIERS_PPM = (1_000_000, 1_000_000, 1_000_000, 900_000, 333_333, 0, 2_500_000)


def random_rates(rng: random.Random) -> dict[str, int]:
    """A sensible model, or one that has a price for nearly everything."""
    keys = ["input_tokens", "output_tokens", *rng.sample(sorted(UNITS), rng.choice((0, 2, 6, 40)))]
    rates = {
        key: rng.choice((0, 1, 75, 37_500, 2_500_000, rng.randrange(10**7), rng.randrange(10**12))) for key in keys
    }
    for unit in rng.sample(DERIVED, rng.choice((0, 0, 0, 1, 3))):
        rates[unit] = rng.randrange(10**6)
    for unit, choices in QUALIFIERS.items():
        if rng.random() < 0.3:
            rates[unit] = rng.randrange(10**11)
            for names in choices:
                rates["_".join((unit, *(rng.choice(KINDS[name]) for name in names)))] = rng.randrange(10**11)
    if rng.random() < 0.8:
        rates.pop("router_fee", None)  # a share of everything; most cards have none
    return rates


def random_rows(rng: random.Random) -> Iterator[list[Any]]:
    """Rows of a model in the order in which they are tried: changes in time, peak hours, size tiers, variants."""
    for variant in ("standard", *rng.sample(VARIANTS, rng.choice((0, 1, 3)))):
        tiers = [[-1, random_rates(rng)]]
        if rng.random() < 0.4:
            tiers.append([rng.choice((THRESHOLD, THRESHOLD - 1)), random_rates(rng)])
        more: list[Any] = [rng.choice(MULTIPLIERS_PPM)]
        if rng.random() < 0.2:
            more.append({"source": "override: a;b|c"})
        if rng.random() < 0.3:
            yield [variant, None, None, PEAK, [[-1, random_rates(rng)]], *more]
        if rng.random() < 0.5:
            yield [variant, CHANGE_NS, None, None, tiers, *more]
            yield [variant, None, CHANGE_NS, None, [[-1, random_rates(rng)]]]
        else:
            yield [variant, None if variant == "standard" else CHANGE_NS, None, None, tiers, *more]


VARIANTS = ("batch", "flex", "priority", "fast", "region=eu", "batch,region=eu", "search_type=pro")


def random_model(rng: random.Random, name: str) -> dict[str, Any]:
    raw: dict[str, Any] = {"id": name, "source": "test", "names": [name], "rows": list(random_rows(rng))}
    if rng.random() < 0.4:
        raw["uplifts"] = {region: rng.choice(UPLIFT_PPM) for region in rng.sample(REGIONS, rng.randint(1, 3))}
    if rng.random() < 0.2:
        raw["minimums"] = {rng.choice(("audio_seconds", "requests", "input_characters")): rng.randint(2, 40)}
    if rng.random() < 0.1:
        raw["bills"] = rng.sample(("gpu_seconds", "duration_seconds", "output_tokens", "web_searches"), 2)
    if rng.random() < 0.1:
        raw["first_price_ns"] = CHANGE_NS - DAY_NS
    return raw


def random_card(seed: int) -> RateCard:
    """Two providers, one of which bills by the end of a call; a router among the models."""
    rng = random.Random(seed)
    router = {
        "id": "router",
        "source": "test",
        "names": ["router"],
        "rows": [],
        "fees": {"router_input_tokens": 140_000},
    }
    cards = {
        provider: {
            "provider": provider,
            "billed_at": billed_at,
            "models": [router, *(random_model(rng, f"{provider}-{i}") for i in range(MODELS))],
        }
        for provider, billed_at in (("openai", "start"), ("deepseek", "end"))
    }
    return RateCard(f"{seed:012d}", {"providers": sorted(cards)}, cards.__getitem__)


def random_service(rng: random.Random) -> str | None:
    keys = rng.sample(sorted(CONTEXTS), rng.choice((0, 0, 1, 2, 4)))
    return ";".join((rng.choice(TIERS), *(f"{key}={rng.choice(CONTEXTS[key])}" for key in keys))) or None


def random_quantity(rng: random.Random, key: str) -> int:
    if rng.random() < 0.03:
        return rng.choice(EDGES)
    if key == "input_tokens":
        return rng.choice((THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, rng.randrange(2 * THRESHOLD)))
    return rng.randrange(40 * UNITS[key].quantum) if UNITS[key].family != "tokens" else rng.randrange(700)


def made_up_calls(rng: random.Random, number: int) -> Iterator[tuple[Call, int, int]]:
    for _ in range(number):
        provider = rng.choice(("openai", "deepseek"))
        name = f"{provider}-{rng.randrange(MODELS)}"
        keys = rng.sample(sorted(UNITS), rng.choice((0, 1, 4, 9)))
        usage = {key: random_quantity(rng, key) for key in dict.fromkeys(("input_tokens", "output_tokens", *keys))}
        start_ns = CHANGE_NS + rng.choice((-1, 0, 1)) if rng.random() < 0.4 else random_time_ns(rng)
        duration_ns = rng.choice((0, 1, 1_500, 2 * 10**9, rng.randrange(10**12)))
        call = Call(
            kind=CallKind.LEAF,
            dialect="generated",
            provider=provider,
            request_model="router" if rng.random() < 0.1 else name,
            response_model=name if rng.random() < 0.9 else None,
            service_tier=random_service(rng),
            usage=usage if rng.random() < 0.97 else {},
            flags=Flag.ESTIMATED if rng.random() < 0.03 else Flag.NONE,
        )
        yield call, start_ns, start_ns + duration_ns


def shipped_calls(rng: random.Random, card: RateCard, number: int) -> Iterator[tuple[Call, int, int]]:
    for call, at_ns in random_calls(rng, card, number):
        service = call.service_tier if rng.random() < 0.5 else random_service(rng)
        yield call._replace(service_tier=service), at_ns, at_ns + rng.randrange(10**11)


def compare(calls: list[tuple[Call, int, int]], card: RateCard) -> Counter[str]:
    """Price a batch both ways; returns how often each status came out."""
    times = [pa.chunked_array([pa.array([each[i] for each in calls], pa.int64())]) for i in (1, 2)]
    table = price_columns(as_columns([call for call, _, _ in calls]), times[0], card, times[1])
    assert table.schema == COST_SCHEMA
    statuses: Counter[str] = Counter()
    for (call, start_ns, end_ns), row in zip(calls, table.to_pylist(), strict=True):
        assert row == scalar_row(call, start_ns, card, end_ns), call
        statuses[str(row["cost_status"])] += 1
    return statuses


def compare_many(number: int, calls_of: Callable[[random.Random, int], Iterator[tuple[Call, int, int]]], card: RateCard,
                 seed: int) -> Counter[str]:  # fmt: skip
    rng, statuses = random.Random(seed), Counter[str]()
    for start in range(0, number, BATCH):
        statuses += compare(list(calls_of(rng, min(BATCH, number - start))), card)
    return statuses


@pytest.mark.timeout(300)
def test_columns_equal_the_scalar_reader_over_every_dimension() -> None:
    statuses = compare_many(SHORT, made_up_calls, random_card(1), 20261122)
    assert min(statuses[status] for status in ("priced", "free", "estimated", "partial", "unpriced")) > 50


def test_the_made_up_cards_use_the_whole_format() -> None:
    """Every billable unit, multiplier, kind and rule of a card occurs, so that the comparison means something."""
    card = random_card(1)
    rows = list(card.rows())
    models = [card.model(p, f"{p}-{i}") for p in ("openai", "deepseek") for i in range(MODELS)]
    assert set(UNITS) <= {key for row in rows for key in row.explicit}
    assert {row.multiplier_ppm for row in rows} == set(MULTIPLIERS_PPM)
    assert {row.variant for row in rows} == {"standard", *VARIANTS}
    assert any(row.window for row in rows)
    assert any(row.input_tokens_above >= 0 for row in rows)
    for name in ("uplifts", "minimums", "qualified", "bills"):
        assert any(getattr(model, name) for model in models), name


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_columns_equal_the_scalar_reader_on_a_million_calls() -> None:
    """Half of them on made-up cards, half on the shipped one, in other contexts than the short form."""
    for seed in range(2, 12):
        compare_many(LONG // 20, made_up_calls, random_card(seed), seed)
    card = default_card()
    compare_many(LONG // 2, lambda rng, number: shipped_calls(rng, card, number), card, 7)
