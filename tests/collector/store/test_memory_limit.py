"""DuckDB out of its memory: what it was doing is refused for now, and nothing of it is half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.errors import StoreUnavailable
from collector.store import Store, StoreConfig
from tests.collector.store.ledger_rows import attribute, batch, call

NUMBERS = range(1, 30)


def limit(store: Store, mib: int) -> None:
    """Of DuckDB, while the store runs."""
    store._write(lambda connection: connection.execute(f"SET memory_limit = '{mib}MiB'"))


def test_appends_without_memory_are_refused_retryably_and_work_again_with_it(tmp_path: Path) -> None:
    """Each batch is then in the ledger once, however often it was refused. The reason is one line."""
    store = Store(StoreConfig(tmp_path / "ledger.duckdb"))
    store.start()
    batches = {number: batch([call(number, k) for k in range(200)]) for number in NUMBERS}
    store.append(batches[1], attribute)
    limit(store, 1)
    refused = []
    for rows in batches.values():
        try:
            store.append(rows, attribute)
        except (StoreUnavailable, MemoryError) as error:
            refused.append(str(error))
    assert refused
    assert all("Out of Memory" in why and "\n" not in why for why in refused), refused
    limit(store, 256)
    for rows in batches.values():
        store.append(rows, attribute)
    counts = store.read(lambda reader: reader.rows("SELECT count(*), count(DISTINCT span_id) FROM calls"))
    assert counts == [(200 * len(NUMBERS), 200 * len(NUMBERS))]
    store.stop()


def test_a_start_without_memory_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    store = Store(StoreConfig(path))
    store.start()
    store.append(batch([call(1, k) for k in range(200)]), attribute)
    store.stop()
    with pytest.raises(StoreUnavailable, match="Out of Memory"):
        Store(StoreConfig(path, memory_limit_mib=1)).start()
    again = Store(StoreConfig(path))
    assert again.start().problems == ()
    assert again.read(lambda reader: reader.rows("SELECT count(*) FROM calls")) == [(200,)]
    again.stop()
