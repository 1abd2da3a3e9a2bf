"""Stored calls priced again are priced as when they arrived: by the card that priced them, nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from collector.attribute import attribute
from collector.decode.columns import SpanBatch
from collector.repricing import PriceAgain
from collector.store import Store, StoreConfig
from collector.store.figures import FIGURES
from collector.store.reprice import Order
from collector.store.reprice_selection import Selection
from otel_cost.call import Flag
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards, overrides_from
from tests.collector.priced_ledger import changed_card, ledger_of, take, times, without
from tests.e2e.test_samples import SAMPLES, as_request, read_json
from tests.strategies import batch_of, spans

SPANS_AT_ONCE = 400
SHOWN = ", ".join(FIGURES)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(StoreConfig(tmp_path / "costs.duckdb", lock_wait_seconds=0))
    opened.start()
    yield opened
    opened.stop()


def never() -> bool:
    return False


def figures(store: Store) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows(f"SELECT seq, {SHOWN} FROM _ledger.span_log ORDER BY seq"))


def but_for_counts(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Without the flags that pricing finds in the counts of a model that it knows: once found they stay."""
    place = 1 + FIGURES.index("flags")
    found = int(Flag.CACHE_EXCLUSIVE | Flag.CLAMPED)
    return [(*row[:place], row[place] & ~found, *row[place + 1 :]) for row in rows]


def apply(store: Store, cards: Cards, name: str) -> Any:
    return store.repricing(attribute).apply(Order(Selection(), PriceAgain(cards), "test", name), never)


def generated(seed: int) -> SpanBatch:
    """Spans of all dialects, most of them strange, in traces of their own, at random times of ten years."""
    batch = batch_of(list(spans(seed, SPANS_AT_ONCE)))
    random = np.random.default_rng(seed)
    starts = random.integers(1_500_000_000, 1_800_000_000, SPANS_AT_ONCE) * 10**9
    table = batch.spans
    for name, column in (
        ("trace_id", [f"{seed + 1:08x}{index:024x}" for index in range(SPANS_AT_ONCE)]),
        ("start_time_ns", starts),
        ("end_time_ns", starts + 10**9),
    ):
        place = table.schema.get_field_index(name)
        field = table.schema.field(name)
        table = table.set_column(place, field, pa.array(column, field.type))
    return replace(batch, spans=table)


@pytest.mark.parametrize("seed", range(5))
def test_the_card_that_priced_generated_calls_gives_what_is_stored(store: Store, seed: int) -> None:
    """Every figure of every span, whatever its usage, flags, reported costs and failures are."""
    for number in range(5):
        store.append(ledger_of(generated(100 * seed + number)), attribute)
    before = figures(store)
    assert apply(store, Cards(default_card()), "same").name is None
    assert figures(store) == before


def test_another_card_gives_what_it_would_have_given_at_ingest(store: Store, tmp_path: Path) -> None:
    """As if the spans had arrived under it, by which some models are dearer and one is unknown; and back by the first
    card, without undo, to the last bit."""
    other = Cards(changed_card(tmp_path / "card", {"openai": times(3), "anthropic": without("claude-sonnet-4-5")}))
    batches = [generated(number) for number in range(8)]
    for batch in batches:
        store.append(ledger_of(batch), attribute)
    before = figures(store)
    fresh = Store(StoreConfig(tmp_path / "fresh.duckdb"))
    fresh.start()
    for batch in batches:
        fresh.append(ledger_of(batch, other), attribute)
    expected = figures(fresh)
    fresh.stop()
    assert expected != before
    applied = apply(store, other, "other")
    assert but_for_counts(figures(store)) == but_for_counts(expected)
    assert applied.preview.account.total.changed > 10
    apply(store, Cards(default_card()), "back")
    assert figures(store) == before


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_card_that_priced_a_sample_gives_what_is_stored(store: Store, sample: str) -> None:
    take(store, [as_request(read_json(f"{sample}.json"))])
    before = figures(store)
    preview = store.repricing().preview(Selection(), PriceAgain(Cards(default_card())), never)
    assert not preview.account.total.changed
    assert apply(store, Cards(default_card()), "same").name is None
    assert figures(store) == before


def test_filled_gaps_do_not_change_a_price(store: Store) -> None:
    """A record that learnt its cached tokens from another one is priced by what it says itself, as at ingest."""
    sample = "composed_two_instrumentations_one_process"
    take(store, [as_request(read_json(f"{sample}.json"))])
    derived = "SELECT count(*) FROM _ledger.span_log WHERE derived <> 0"
    assert store.read(lambda reader: reader.rows(derived)) != [(0,)]
    assert apply(store, Cards(default_card()), "same").name is None


def test_contract_prices_of_some_owners_hold_again(store: Store, tmp_path: Path) -> None:
    """A discount that holds for one customer only: by the span's own owner or its resource's, as at ingest."""
    overrides = overrides_from(
        {"discounts": [{"provider": "openai", "percent": "50%", "when": {"customer": "*"}}]}, default_card()
    )
    discounted = Cards(default_card(), overrides)
    batches = [generated(number) for number in range(6)]
    for batch in batches:
        store.append(ledger_of(batch), attribute)
    fresh = Store(StoreConfig(tmp_path / "fresh.duckdb"))
    fresh.start()
    for batch in batches:
        fresh.append(ledger_of(batch, discounted), attribute)
    expected = figures(fresh)
    fresh.stop()
    assert expected != figures(store)
    apply(store, Cards(default_card(), overrides), "discount")
    assert figures(store) == expected
    cards = "SELECT count(DISTINCT card) FROM prices"
    assert store.read(lambda reader: reader.rows(cards)) == [(len(discounted.made),)]


def test_a_name_that_was_cut_stays_as_it_is(store: Store) -> None:
    """No card knows it, and what was said of it, such as its length, cannot be said again."""
    request = json.loads(json.dumps(read_json("logfire_litellm_openinference.json")))
    said = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.provider.name": {"stringValue": "openai"},
        "gen_ai.request.model": {"stringValue": "x" * 5000},
        "gen_ai.usage.input_tokens": {"intValue": "5"},
    }
    attributes = [{"key": key, "value": value} for key, value in said.items()]
    times_ = {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    ids = {"traceId": "ab" * 16, "spanId": "cd" * 8}
    spans_ = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans_[:] = [{**ids, **times_, "name": "chat", "kind": 3, "attributes": attributes}]
    take(store, [as_request(request)])
    before = figures(store)
    assert "5000 characters" in str(before)
    assert apply(store, Cards(default_card()), "same").name is None
    assert figures(store) == before
