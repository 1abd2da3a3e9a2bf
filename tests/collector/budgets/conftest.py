"""A ledger with budgets, opened and closed by a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.budgets.keeper import BudgetKeeper
from collector.budgets.model import Rule
from collector.store import Store, StoreConfig

Opened = tuple[Store, BudgetKeeper]
Open = Callable[..., Opened]


@pytest.fixture
def open_ledger(tmp_path: Path) -> Iterator[Open]:
    """Start a store with rules; those still open at the end are stopped."""
    stores: list[Store] = []

    def start(*rules: Rule, **options: Any) -> Opened:
        while stores:
            stores.pop().stop()
        store = Store(StoreConfig(tmp_path / "otel-cost.duckdb", lock_wait_seconds=0))
        keeper = BudgetKeeper(store, rules, **options)
        stores.append(store)
        store.start()
        keeper.start()
        return store, keeper

    yield start
    for store in stores:
        store.stop()
