"""Price runs that are refused or cancelled, or meet what else changes a ledger: retention, the archive, appends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from collector.store import Store
from collector.store.checkup import examine
from collector.store.query import query_published
from collector.store.reprice import Order, PriceRunRefused
from collector.store.reprice_selection import Selection
from collector.store.restating import Cancelled
from collector.store.upkeep import Archive, Keep, Retention
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span
from tests.collector.store.price_runs import (
    PRICE,
    SPANS,
    Flat,
    apply,
    ask,
    fill,
    published,
    sound,
    undo,
)
from tests.collector.store.test_retention import DAY, aged


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda store: apply(store, Flat("x", 1), "run"), "there is a price run run already"),
        (lambda store: apply(store, Flat("x", 1), "../run"), "'../run' is no name"),
        (lambda store: undo(store, "rum"), r"there is no price run rum \(price runs: run\)"),
    ],
)
def test_what_cannot_be_done_is_refused(open_store: OpenStore, work: Callable[[Store], None], message: str) -> None:
    store = open_store()
    fill(store)
    apply(store, Flat("new", PRICE))
    with pytest.raises(PriceRunRefused, match=message):
        work(store)
    undo(store)
    with pytest.raises(PriceRunRefused, match=r"run was undone at .* already"):
        undo(store)


def test_a_cancelled_run_leaves_no_file(open_store: OpenStore) -> None:
    """At whatever piece it is cancelled."""
    store = open_store()
    fill(store)

    def files() -> set[Path]:
        return {path for path in store.layout.folder.rglob("*.p*") if path.suffix in (".parquet", ".partial")}

    before, figures = files(), ask(store, SPANS)
    for pieces in range(5):
        left = iter(range(pieces))
        order = Order(Selection(), Flat("new", 1), "me")
        with pytest.raises(Cancelled):
            store.repricing().apply(order, lambda left=left: next(left, None) is None)  # type: ignore[misc]
        assert files() == before
    assert ask(store, SPANS) == figures
    assert ask(store, "SELECT * FROM price_runs") == []


def test_expired_calls_need_no_undo(open_store: OpenStore, ledger_path: Path) -> None:
    """The books balance: what retention removed is written down at the price that it had then."""
    store = open_store(retention=Retention(Keep(max_age_seconds=90 * DAY)))
    store.append(batch([aged(1, 100)]), attribute)
    store.append(batch([aged(2, 1)]), attribute)
    before = ask(store, "SELECT * FROM spans WHERE seq = 2")
    apply(store, Flat("new", 2 * PRICE))
    while store.maintain().did:
        pass
    assert ask(store, "SELECT sum(cost_usd) FROM _ledger.expiry") == [(Decimal("0.025"),)]
    undo(store)
    assert ask(store, SPANS) == before
    store.stop()
    sound(ledger_path)


def test_the_archive_stays_as_it_is(open_store: OpenStore, tmp_path: Path) -> None:
    """Its spans are counted and left alone; a run whose calls have gone there cannot be taken back by halves."""
    store = open_store(archive=Archive(tmp_path / "cold", 30 * DAY))
    store.append(batch([aged(1, 40), aged(2, 41)]), attribute)
    store.append(batch([aged(3, 1)]), attribute)
    apply(store, Flat("new", 2 * PRICE), "early")
    while store.maintain().did:
        pass
    applied = apply(store, Flat("newer", 3 * PRICE), "late")
    assert applied.preview.archived_spans == 2
    assert ask(store, "SELECT card, count(*) FROM calls GROUP BY ALL ORDER BY ALL") == [("new", 2), ("newer", 1)]
    undo(store, "late")
    with pytest.raises(PriceRunRefused, match="2 calls of early have gone to the archive since"):
        undo(store, "early")


def test_a_lost_file_of_a_run_is_said_by_whoever_needs_it(open_store: OpenStore, ledger_path: Path) -> None:
    """Everything else is published and answered as before."""
    store = open_store()
    fill(store)
    apply(store, Flat("new", PRICE))
    (file,) = (path for path in store.layout.price_runs.iterdir() if path != store.layout.no_price_run)
    file.unlink()
    store.append(batch([call(50, 1)]), attribute)
    store.publish()
    assert published(ledger_path, "SELECT count(*) FROM calls") == [(5,)]
    with pytest.raises(duckdb.Error, match=r"is missing: prices as billed are not known"):
        published(ledger_path, "SELECT * FROM calls_as_billed")
    with pytest.raises(PriceRunRefused, match="is missing: what the calls of run cost before"):
        undo(store)
    store.stop()
    (finding,) = examine(ledger_path)[0].findings
    assert finding.what == f"{file}: is missing"


def test_the_file_of_an_undone_run_goes(open_store: OpenStore) -> None:
    """After the time that readers of an older publication have, or at the next start."""
    store = open_store(segment_grace_seconds=0.0)
    fill(store)
    for name in ("one", "two"):
        apply(store, Flat(name, 2 * PRICE), name)
        undo(store, name)
        assert len(list(store.layout.price_runs.iterdir())) == 2
        if name == "one":
            store.repricing().tidy()
        else:
            store.stop()
            store = open_store()
        assert list(store.layout.price_runs.iterdir()) == [store.layout.no_price_run]


def test_a_run_beside_appends_misses_and_doubles_nothing(open_store: OpenStore, ledger_path: Path) -> None:
    """Spans arrive and verdicts change all the while: amendments that come between snapshot and swap get the new
    price, and what arrives after the snapshot keeps its own."""
    store = open_store()
    for number in range(1, 21):
        store.append(batch([call(number, 2, 1)]), attribute)
    enough = threading.Event()
    appended: list[int] = []

    def append() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            late = [span(number, 1, agent="late")] if number <= 20 else []
            store.append(batch([*late, call(100 + number, 1)]), attribute)
            appended.append(number)

    thread = threading.Thread(target=append)
    thread.start()
    while len(appended) < 5:
        enough.wait(0.001)
    apply(store, Flat("new", 2 * PRICE), selection=Selection(until_ns=call(50, 0)["start_time_ns"]))
    while len(appended) < 25:
        enough.wait(0.001)
    enough.set()
    thread.join()
    by_card = ask(store, "SELECT card, cost_usd, count(*) FROM calls GROUP BY ALL ORDER BY ALL")
    assert by_card == [("new", Decimal("0.025"), 20), (None, Decimal("0.0125"), len(appended))]
    assert ask(store, "SELECT count(*) FROM calls WHERE agent = 'late'") == [(20,)]
    store.stop()
    sound(ledger_path)
    assert query_published(ledger_path, "SELECT count(*) AS n FROM calls").to_pylist() == [{"n": 20 + len(appended)}]
