"""genai-prices as oracle: the same call costs the same, or the difference is on a written list with the reason.

The oracle is asked only what it models: counts that fit into each other, overlaps given.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data import providers as catalogue
from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import Usage

from otel_cost.pricing import Cost, default_card, price
from otel_cost.pricing.units import UNITS

TRIPLES = 12_000
PICO = Decimal("1e-12")
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
CONTEXTS: tuple[dict[str, str], ...] = (
    {}, {}, {}, {}, {"processing": "batch"}, {"service_tier": "priority"}, {"service_tier": "flex"},
    {"service_tier": "default"}, {"speed": "fast"},
)  # fmt: skip
DIFFERENCES = Path(__file__).parent / "oracle_differences.json"


@dataclass(frozen=True, slots=True)
class Triple:
    """One question to both."""

    provider: str
    model: str
    usage: dict[str, int]
    at: datetime
    context: dict[str, str]


def random_usage(rng: random.Random, keys: set[str]) -> dict[str, int]:
    """Counts that fit into each other, of the kinds that the model has prices for, and now and then of others."""
    whole = rng.choice((rng.randint(1, 3_000), rng.randint(90_000, 300_000), 200_000, 200_001, 272_000, 272_001))
    usage = {"input_tokens": whole, "output_tokens": rng.randint(0, 9_000)}
    left = whole
    for key in ("cache_read_tokens", "cache_write_tokens"):
        if rng.random() < 0.6:
            usage[key] = rng.randint(0, left)
            left -= usage[key]
    if "cache_write_tokens" in usage and rng.random() < 0.5:
        usage["cache_write_1h_tokens"] = rng.randint(0, usage["cache_write_tokens"])
    if rng.random() < 0.4:
        usage["output_reasoning_tokens"] = rng.randint(0, usage["output_tokens"])
    for modality in ("audio", "image", "video"):
        if f"input_{modality}_tokens" in keys:
            usage[f"input_{modality}_tokens"] = part = rng.randint(0, left)
            usage[f"cache_{modality}_read_tokens"] = usage[f"cache_{modality}_write_tokens"] = 0
            usage[f"cache_{modality}_write_1h_tokens"] = 0
            left -= part
        if f"output_{modality}_tokens" in keys:
            spare = usage["output_tokens"] - usage.get("output_reasoning_tokens", 0)
            usage[f"output_{modality}_tokens"] = rng.randint(0, spare // 3)
            usage[f"output_{modality}_reasoning_tokens"] = usage[f"output_{modality}_citation_tokens"] = 0
    for key in sorted(keys):
        if UNITS[key].family not in ("tokens", "requests", "durations", "pages") or key == "input_document_pages":
            usage[key] = rng.randint(0, 40)
    if "input_annotated_document_pages" in keys:
        usage["input_annotated_document_pages"] = rng.randint(0, usage["input_document_pages"])
    if "audio_seconds" in keys:
        usage["audio_seconds"] = rng.randint(0, 4_000)
        usage["input_audio_seconds"] = rng.choice((0, usage["audio_seconds"]))
    return usage


def priced_keys(info: Any) -> set[str]:
    """The usage keys that any of a model's prices is for."""
    from genai_prices.units import _get_registry

    prices = [c.prices for c in info.prices] if isinstance(info.prices, list) else [info.prices]
    registry = _get_registry()
    return {
        registry.unit_for_price_key(key).usage_key
        for price_ in prices
        for key, value in price_.__dict__.items()
        if value is not None
    }


def known_names(provider: Any, info: Any) -> list[str]:
    """Names that the catalogue itself reads as this model: exact ones, and the texts of its patterns."""

    def texts(clause: Any) -> list[str]:
        inner = getattr(clause, "or_", None) or getattr(clause, "and_", None)
        if inner:
            return [text for each in inner for text in texts(each)]
        text = getattr(clause, "equals", None) or getattr(clause, "contains", None)
        text = text or getattr(clause, "starts_with", None)
        return [text] if text and not text.endswith(("-", "@")) else []

    return [text for text in texts(info.match) if provider.find_model(text) is info]


def random_triples(seed: int, number: int) -> list[Triple]:
    """Questions over all providers; the big router weighs no more than three others."""
    rng = random.Random(seed)
    models = [(p, m) for p in catalogue for m in p.models]
    weights = [0.05 if p.id == "openrouter" else 1.0 for p, _ in models]
    seconds = int((LAST - FIRST).total_seconds())
    triples: list[Triple] = []
    names: dict[int, list[str]] = {}
    while len(triples) < number:
        provider, info = rng.choices(models, weights)[0]
        found = names.setdefault(id(info), known_names(provider, info))
        if not found:
            continue
        at = FIRST + timedelta(seconds=rng.randrange(seconds))
        usage = random_usage(rng, priced_keys(info))
        triples.append(Triple(provider.id, rng.choice(found), usage, at, rng.choice(CONTEXTS)))
    return triples


def probes(seed: int, differences: list[dict[str, Any]]) -> list[Triple]:
    """More questions about the models of the list, so that an entry that explains nothing any more is noticed."""
    rng = random.Random(seed)
    days = (LAST - FIRST).days
    return [
        Triple(provider, model, random_usage(rng, set()), FIRST + timedelta(days=rng.randrange(days)), *context or [{}])
        for entry in differences
        for provider, model, *context in entry.get("probe", ())
        for _ in range(40)
    ]


def ours(triple: Triple) -> Cost:
    usage = {key: quantity * UNITS[key].quantum for key, quantity in triple.usage.items()}
    at_ns = int(triple.at.timestamp()) * 1_000_000_000
    return price(
        provider=triple.provider, request_model=triple.model, response_model=None, at_ns=at_ns, usage=usage,
        context=triple.context, card=default_card(),
    )  # fmt: skip


def theirs(snapshot: DataSnapshot, triple: Triple) -> Decimal | None:
    try:
        with localcontext(Context(prec=60)):
            found = snapshot.calc(
                Usage(**triple.usage), triple.model, triple.provider, None, triple.at, triple.context or None
            )
            total: Decimal = found.total_price.quantize(PICO, ROUND_HALF_EVEN)
            return total
    except LookupError:
        return None


def explained(triple: Triple, cost: Cost, expected: Decimal | None, differences: list[dict[str, Any]]) -> str | None:
    """The entry of the list that this difference falls under, if any."""
    for entry in differences:
        if all(CONDITIONS[name](wanted, triple, cost, expected) for name, wanted in entry["when"].items()):
            return str(entry["rule"])
    return None


def entry_and_variant(cost: Cost) -> tuple[str, str]:
    provider, entry, variant, *_ = (cost.rate_row or "||").split("|")
    return f"{provider}|{entry}", variant


def source_of(cost: Cost) -> str:
    """Where the rates of a cost are from: the catalogue, then what else had a say in them."""
    if cost.rate_row is None:
        return ""
    provider, entry, *_ = cost.rate_row.split("|")
    return default_card().model(provider, entry).source


def is_rounding(triple: Triple, cost: Cost, expected: Decimal | None) -> bool:
    if cost.total_pico_usd is None or expected is None:
        return False
    tokens = triple.usage["input_tokens"] + triple.usage["output_tokens"]
    return abs(cost.total_pico_usd - expected / PICO) <= Decimal(tokens) / 2


CONDITIONS: dict[str, Callable[[Any, Triple, Cost, Decimal | None], bool]] = {
    "providers": lambda wanted, triple, _, __: triple.provider in wanted,
    "entries": lambda wanted, _, cost, __: entry_and_variant(cost)[0] in wanted,
    "variants": lambda wanted, _, cost, __: entry_and_variant(cost)[1] in wanted,
    "source": lambda wanted, _, cost, __: wanted in source_of(cost).split("+")[1:],
    "classes": lambda wanted, _, cost, __: not {line.unit for line in cost.lines}.isdisjoint(wanted),
    "statuses": lambda wanted, _, cost, __: cost.status.value in wanted,
    "theirs": lambda wanted, _, __, expected: expected == Decimal(wanted),
    "context": lambda wanted, triple, _, __: wanted in triple.context,
    "before": lambda wanted, triple, _, __: triple.at.date().isoformat() < wanted,
    "since": lambda wanted, triple, _, __: triple.at.date().isoformat() >= wanted,
    "half_pico_usd_per_token": lambda _, triple, cost, expected: is_rounding(triple, cost, expected),
}


@pytest.mark.timeout(300)
def test_the_oracle_agrees_or_the_difference_is_explained() -> None:
    differences = json.loads(DIFFERENCES.read_text())
    snapshot = DataSnapshot(catalogue, False)
    unexplained: list[str] = []
    used: Counter[str] = Counter()
    for triple in random_triples(20261122, TRIPLES) + probes(5, differences):
        cost, expected = ours(triple), theirs(snapshot, triple)
        got = None if cost.total_pico_usd is None else Decimal(cost.total_pico_usd) * PICO
        if got == expected:
            used["equal"] += 1
        elif (rule := explained(triple, cost, expected, differences)) is not None:
            used[rule] += 1
        else:
            unexplained.append(f"{triple} ours {got} {cost.status} {cost.rate_row} theirs {expected}")
    assert unexplained == []
    assert used["equal"] >= 10_000
    assert {entry["rule"] for entry in differences} <= used.keys(), "an entry explains nothing any more"
