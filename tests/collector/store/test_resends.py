"""One span, sent twice, in every way in which that happens: stored once, paid once, and what differs is on record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from collector.store import Appended, Store
from collector.store.hashes import Hashes
from collector.store.upkeep import Archive
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call
from tests.collector.store.test_maintenance import settle
from tests.collector.store.test_retention import DAY, aged

BATCHES = 20
Between = Callable[[Store], None]


def _nothing(_: Store) -> None:
    return


def _maintain(store: Store) -> None:
    assert settle(store)


def _said(store: Store) -> tuple[Any, ...]:
    """Spans, distinct ones, calls, their sum."""
    sql = "SELECT count(*), count(DISTINCT (org_id, trace_id, span_id)) FROM spans"
    return store.read(lambda reader: reader.rows(sql)[0] + reader.rows("SELECT count(*), sum(cost_usd) FROM calls")[0])


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("between", "aside"), [(_nothing, False), (_maintain, False), (_maintain, True)])
def test_a_changed_resend_is_kept_out_of_the_money_and_on_record(
    open_store: OpenStore, tmp_path: Path, between: Between, aside: bool, restart: bool
) -> None:
    """In the rows in memory, in merged files, in the archive, before and after a restart."""
    settings: dict[str, Any] = {"archive": Archive(tmp_path / "cold", 30 * DAY)} if aside else {}
    store = open_store(**settings)
    spans = [aged(number, 35) for number in range(BATCHES)]
    for each in spans:
        store.append(batch([each]), attribute)
    between(store)
    if restart:
        store.stop()
        store = open_store(**settings)
    before = _said(store)
    dearer = [{**each, "input_tokens": 10**6, "cost_pico_usd": 10**12} for each in spans]
    assert store.append(batch([*dearer, *spans]), attribute) == Appended(0, 2 * BATCHES, BATCHES)
    assert _said(store) == before
    kept_out = store.read(
        lambda reader: reader.rows("SELECT count(*), sum(cost_usd), any_value(changed) FROM _ledger.changed_resend")
    )
    assert kept_out == [(BATCHES, BATCHES, "input_tokens")]


def test_appends_in_flight_see_each_other(open_store: OpenStore) -> None:
    """The same spans in three batches that were submitted before any was stored."""
    store = open_store()
    spans = [call(trace, number) for trace in range(1, 4) for number in range(1, 5)]
    waiting = [store.submit(batch(some), attribute) for some in (spans, spans[::-1], spans[3:])]
    assert [each.result() for each in waiting] == [Appended(12, 0, 0), Appended(0, 12, 0), Appended(0, 9, 0)]


@pytest.mark.parametrize("restart", [False, True])
def test_spans_with_one_hash_are_told_apart(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    """A hash only says where to look: here all spans have the same one."""

    def same(traces: Hashes, span_ids: pa.Array) -> Hashes:
        return np.full(len(span_ids), 7, np.uint64)

    for module in ("append", "recent", "catalog"):
        monkeypatch.setattr(f"collector.store.{module}.span_hashes", same)
    store = open_store()
    first: Sequence[dict[str, Any]] = [call(trace, number) for trace in (1, 2) for number in (1, 2, 3)]
    twice = [*first, *first[::-1]]
    assert store.append(batch(twice), attribute) == Appended(6, 6, 0)
    if restart:
        store.stop()
        store = open_store(recent_bytes=0)
    more = [*first, call(1, 4), {**call(2, 2), "name": "another"}, call(1, 4)]
    assert store.append(batch(more), attribute) == Appended(1, 8, 1)
    assert _said(store)[:3] == (7, 7, 7)
