"""A ledger in a temporary folder, published only when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.store import Store, StoreConfig

OpenStore = Callable[..., Store]


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger's cost.duckdb"  # a quote and a space: names are quoted wherever SQL needs them


@pytest.fixture
def reports() -> list[str]:
    """What the store reported to the operator."""
    return []


@pytest.fixture
def open_store(ledger_path: Path, reports: list[str]) -> Iterator[OpenStore]:
    """Start a store on `ledger_path`; those still open at the end are stopped."""
    opened: list[Store] = []

    def start(**changes: Any) -> Store:
        config = StoreConfig(ledger_path, lock_wait_seconds=0)
        store = Store(replace(config, **changes), reports.append)
        opened.append(store)
        store.start()
        return store

    yield start
    for store in opened:
        store.stop()
