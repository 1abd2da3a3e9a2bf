"""The files of one ledger.

    otel-cost.duckdb               published: read-only for everybody, replaced atomically
    otel-cost.duckdb.live/
        ledger.duckdb              the ledger itself; only the collector's DuckDB may open it
        ledger.duckdb.wal          DuckDB's write-ahead log
        lock                       flock of the collector that runs; says who
        high-water                 last batch committed, outside the ledger: shows what a damaged log has lost
        clock                      the last time of day that was believed (`collector.store.clock`)
        dirty                      exists while the publication may be behind the ledger
        template.duckdb            an empty publication; each refresh starts as a copy of it
        rollups.duckdb             sums of calls per day, a cache (`collector.store.rollups`)
        empty.parquet              the columns of a segment, and no rows
        segments/                  Parquet files that hold the spans; ledger and publication read the same ones
        price-runs/                figures that price runs have replaced (`collector.store.billed`)
        prices/                    versions of the rate card (`collector.catalogue.shelf`)
        backups/                   copies made before a migration

Python code must never open `ledger.duckdb` or its log while DuckDB has them open in the same process: closing any
descriptor of a file drops the process's POSIX locks on it, and a second writer could get in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths derived from the published one, all absolute."""

    published: Path

    @staticmethod
    def of(path: Path) -> Layout:
        return Layout(path.absolute())

    @staticmethod
    def of_ledger(ledger: Path) -> Layout:
        """The inverse of `ledger`."""
        return Layout(ledger.parent.with_suffix("").absolute())

    @property
    def folder(self) -> Path:
        return self.published.with_name(self.published.name + ".live")

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.duckdb"

    @property
    def wal(self) -> Path:
        return self.folder / "ledger.duckdb.wal"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def high_water(self) -> Path:
        return self.folder / "high-water"

    @property
    def clock(self) -> Path:
        return self.folder / "clock"

    @property
    def metrics(self) -> Path:
        """What counters of spend go on from."""
        return self.folder / "metrics.json"

    @property
    def dirty(self) -> Path:
        return self.folder / "dirty"

    @property
    def template(self) -> Path:
        return self.folder / "template.duckdb"

    @property
    def empty(self) -> Path:
        return self.folder / "empty.parquet"

    @property
    def rollups(self) -> Path:
        """Sums of calls, which are made anew when they are gone."""
        return self.folder / "rollups.duckdb"

    @property
    def prices(self) -> Path:
        return self.folder / "prices"

    @property
    def segments(self) -> Path:
        return self.folder / "segments"

    @property
    def price_runs(self) -> Path:
        return self.folder / "price-runs"

    @property
    def no_price_run(self) -> Path:
        return self.price_runs / "none.parquet"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"
