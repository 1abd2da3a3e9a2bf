"""Fills the memory of the writer from the manifest and its segments: at start, and when the ledger is read again."""

from __future__ import annotations

from collections.abc import Callable

from collector.store import damage, database
from collector.store.append import Ledger, Position
from collector.store.budgets import BudgetMoves
from collector.store.catalog import Catalog
from collector.store.config import StoreConfig
from collector.store.database import Report
from collector.store.large_traces import LargeTraces
from collector.store.loading import load_known
from collector.store.segment_reader import SegmentUnreadable
from collector.store.statements import fetch


def fill(
    ledger: Ledger,
    config: StoreConfig,
    high_water: Position | None,
    budgets: BudgetMoves | None,
    set_aside: Callable[[SegmentUnreadable], None],
    report: Report,
) -> None:
    """Read what is known of the rows; segments that cannot be read are set aside. `budgets` is told its counters."""
    away: set[str] = set()
    while True:
        checked = database.check(ledger.connection, high_water)
        catalog = Catalog(ledger.folder, config.recent_bytes)
        try:
            catalog.load(ledger.connection, checked.position.seq + 1, away)
            known = load_known(catalog, config.indexed_traces)
        except SegmentUnreadable as error:
            set_aside(error)
            away.add(error.segment.file)
            continue
        if damage.take_back(ledger.connection, ledger.folder, catalog, report):
            continue
        ledger.catalog, ledger.known = catalog, known
        ledger.large = LargeTraces(fetch(ledger.connection, "SELECT * FROM _ledger.waiting_trace"))
        ledger.position, ledger.journal = checked.position, checked.journal
        ledger.counting.load(ledger.connection, budgets)
        return
