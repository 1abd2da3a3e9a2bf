"""Maintenance under a store that goes on: what it moves is found where it is."""

from __future__ import annotations

import random

import pytest

from collector import attribute as stage
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import batch
from tests.collector.store.test_amendments import everything, run


@pytest.mark.parametrize(
    "recent_bytes",
    [
        pytest.param(64 << 20, id="in memory", marks=pytest.mark.soak),
        pytest.param(20_000, id="both"),
        pytest.param(0, id="on disk", marks=pytest.mark.soak),
    ],
)
def test_merging_between_appends_changes_nothing(open_store: OpenStore, recent_bytes: int) -> None:
    """Segments are merged and amendments taken in while traces are reopened: as if nothing had been merged."""
    chance = random.Random(recent_bytes)
    rows = [row for trace in range(1, 26) for row in run(trace, chance)]
    sent = [*rows, *chance.sample(rows, len(rows) // 4)]
    chance.shuffle(sent)
    store = open_store(recent_bytes=recent_bytes)
    merged = at = 0
    while at < len(sent):
        store.append(batch(sent[at : at + 2]), stage.attribute)
        at += 2
        if at % 20 == 0:
            while store.maintain().did:
                merged += 1
    assert merged > 3
    found = everything(store)
    store.stop()
    assert found == everything(open_store(recent_bytes=recent_bytes))
    reference = open_store(path=store.layout.published.with_name("reference.duckdb"))
    reference.append(batch(rows), stage.attribute)
    assert found == everything(reference)
