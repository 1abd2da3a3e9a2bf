"""A ledger of calls that went through the real stages, and rate cards that differ in known ways."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from collector.attribute import attribute
from collector.decode import DecodeLimits, Request, decode_requests
from collector.decode.columns import SpanBatch
from collector.ledger import ledger_table
from collector.normalise import ESSENTIAL_KEYS, normalise_columns
from collector.price import price_calls
from collector.store import Store
from otel_cost.pricing import RateCard, default_card, load_card
from otel_cost.pricing.card import DATA_DIRECTORY
from otel_cost.pricing.overrides import Cards

Change = Callable[[dict[str, Any]], dict[str, Any] | None]
"""A model of a provider's file -> the same with other rates; None: the card does not know it."""


def changed_card(folder: Path, changes: Mapping[str, Change]) -> RateCard:
    """The shipped card with the models of some providers changed, under a digest of its own."""
    shutil.copytree(DATA_DIRECTORY, folder)
    for provider, change in changes.items():
        path = folder / f"{provider}.json"
        content = json.loads(path.read_text())
        content["models"] = [changed for model in content["models"] if (changed := change(model)) is not None]
        path.write_text(json.dumps(content))
    index = json.loads((folder / "index.json").read_text())
    index["digest"] = sha256(repr(sorted(changes)).encode() + str(folder).encode()).hexdigest()
    (folder / "index.json").write_text(json.dumps(index))
    return load_card(folder)


def times(factor: int) -> Change:
    """All rates of a model are so many times what they are."""

    def change(model: dict[str, Any]) -> dict[str, Any]:
        rows = [
            [
                *row[:4],
                [[above, {unit: _scaled(rate, factor) for unit, rate in rates.items()}] for above, rates in row[4]],
            ]
            for row in model.get("rows", ())
        ]
        return {**model, "rows": rows} if rows else model

    return change


def _scaled(rate: Any, factor: int) -> Any:
    return rate * factor if isinstance(rate, int) else [rate[0] * factor, *rate[1:]]


def without(*names: str) -> Change:
    """The card does not know models by these names."""
    return lambda model: None if model["id"] in names or set(names) & set(model.get("names", ())) else model


def ledger_of(batch: SpanBatch, cards: Cards | None = None) -> pa.Table:
    """LEDGER_SCHEMA, as ingestion makes it."""
    calls = normalise_columns(batch)
    costs = price_calls(calls, batch.spans, cards or Cards(default_card()))
    return ledger_table(batch, calls, costs)


def take(store: Store, requests: Iterable[Request], cards: Cards | None = None) -> None:
    """Store requests, all of them in one batch."""
    decoded = decode_requests(list(requests), DecodeLimits(essential_keys=ESSENTIAL_KEYS))
    store.append(ledger_of(decoded.batch, cards), attribute)
