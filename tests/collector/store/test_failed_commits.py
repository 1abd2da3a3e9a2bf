"""A commit that fails, or succeeds and says that it failed: memory is what the file is, and a retry is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from collector.errors import StoreUnavailable
from collector.store import Appended, Store, append, swap
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span
from tests.collector.store.test_maintenance import settle

Fault = Callable[[Callable[..., Any], tuple[Any, ...]], Any]


def before(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    raise duckdb.IOException("no space left, nothing was committed")


def behind(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    function(*args)
    raise duckdb.FatalException("COMMIT succeeded and is durable, but the autocheckpoint failed")


def forgotten(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    function(*args)
    raise MemoryError("committed, and no memory to remember it")


def once(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fault: Fault) -> None:
    """The next call of `module.name` meets the fault."""
    function, left = getattr(module, name), [fault]

    def call_it(*args: Any, **options: Any) -> Any:
        return left.pop()(lambda *given: function(*given, **options), args) if left else function(*args, **options)

    monkeypatch.setattr(module, name, call_it)


def remembered(store: Store) -> tuple[Any, ...]:
    """What the writer knows, in terms that a store that has just read its file shares."""
    ledger = store._ledger
    found = ledger.catalog.recent.find("seq", _all(store))
    seqs = [seq for _, marks, at in found for seq in marks.seq[at].tolist()]
    return ledger.position, ledger.journal, sorted(seqs), [each.file for each in ledger.catalog.segments]


def _all(store: Store) -> Any:
    return store.read(lambda reader: reader.table("SELECT seq FROM spans ORDER BY seq")).column(0).to_numpy()


@pytest.mark.parametrize(
    ("name", "fault", "stored"),
    [("_commit", before, False), ("_commit", behind, True), ("_remember", forgotten, True)],
)
def test_a_retry_after_a_failed_commit_stores_each_span_once(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch, name: str, fault: Fault, stored: bool
) -> None:
    store = open_store()
    store.append(batch([call(1, 2, 1), call(1, 3, 1)]), attribute, 1)
    once(monkeypatch, append, name, fault)
    late = batch([span(1, 1, agent="a"), call(2, 1)])
    with pytest.raises((StoreUnavailable, MemoryError)):
        store.append(late, attribute, 2)
    expected = Appended(0, 2, 0) if stored else Appended(2, 0, 0)
    assert store.append(late, attribute, 2) == expected
    assert store.journal == 2
    calls = store.read(lambda reader: reader.rows("SELECT count(*), count(agent), sum(cost_usd)::VARCHAR FROM calls"))
    assert calls == [(3, 2, "0.037500000000")]
    knows = remembered(store)
    store.stop()
    assert remembered(open_store()) == knows
    assert len(list(store.layout.segments.iterdir())) == 2


@pytest.mark.parametrize("fault", [before, behind])
def test_a_merge_whose_commit_fails_leaves_a_ledger_that_goes_on(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """The merged file is kept if the manifest has it, and removed if not; late spans find their traces."""
    store = open_store()
    for trace in range(1, 21):
        store.append(batch([call(trace, 2, 1)]), attribute)
    if fault is before:
        once(monkeypatch, swap, "delete_folded", before)
    else:
        once(monkeypatch, store, "_replaced", behind)
    with pytest.raises((StoreUnavailable, duckdb.Error)):
        store.maintain()
    settle(store)
    for trace in range(1, 21):
        assert store.append(batch([span(trace, 1, agent="a"), call(trace, 2, 1)]), attribute) == Appended(1, 1, 0)
    calls = store.read(lambda reader: reader.rows("SELECT count(*), count(agent) FROM calls"))
    assert calls == [(20, 20)]
    knows = remembered(store)
    store.stop()
    assert remembered(open_store()) == knows
