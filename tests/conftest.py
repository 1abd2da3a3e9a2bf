"""What every test starts from: an environment without the developer's own OTEL settings."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector import pipeline
from collector.price.table import card_table as make
from collector.store import StoreConfig, database, schema
from collector.store.layout import Layout
from otel_cost.pricing import RateCard


def pytest_unconfigure() -> None:
    """Python ends: libraries complain about what they cannot let go."""
    gc.unfreeze()


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, and programs that tests interrupt would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Thousands of tests are objects that stay: each search for garbage among them costs more than most tests."""
    _keep_what_is_there()


@pytest.fixture(scope="module", autouse=True)
def _what_a_module_leaves_stays() -> Iterator[None]:
    """Modules and caches that its tests have loaded: without this a worker's last tests take four times the CPU."""
    yield
    _keep_what_is_there()


def _keep_what_is_there() -> None:
    """Garbage goes; what is left is never looked through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* variable of the caller, nor the size of a terminal, changes what a test sees."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name in {"COLUMNS", "LINES"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _tables_of_cards_are_made_once() -> Iterator[None]:
    """Half a second each, which every ledger of a test would pay; a table depends on its card alone."""
    made: dict[str, pa.Table] = {}

    def card_table(card: RateCard) -> pa.Table:
        if card.digest not in made:
            made[card.digest] = make(card)
        return made[card.digest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "card_table", card_table)
        yield


@pytest.fixture(scope="session", autouse=True)
def _empty_ledgers_are_copies_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A third of what starting a store costs, for tables and views that are the same in each; collectors of their own
    process make theirs. Where a test has another schema in place, the start brings the copy up to that, as always."""
    connect = database._connect
    layout = Layout.of(tmp_path_factory.mktemp("empty") / "otel-cost.duckdb")
    layout.folder.mkdir()
    with connect(layout.ledger, StoreConfig(layout.published)) as connection:
        schema.apply(connection, layout)

    def connect_to_copy(path: Path, config: StoreConfig) -> Any:
        if not path.exists():
            shutil.copyfile(layout.ledger, path)
        return connect(path, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_connect", connect_to_copy)
        yield
