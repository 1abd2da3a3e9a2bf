"""What parts of budgets need of the store: reads of a snapshot, and small transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import pyarrow as pa

T = TypeVar("T")


class Snapshot(Protocol):
    """A consistent view of the ledger."""

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """All rows, as columns."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows."""


class Ledger(Protocol):
    """The store, as budgets see it. Both raise StoreUnavailable."""

    def read(self, work: Callable[[Any], T]) -> T:
        """Run `work` on a `Snapshot`."""

    def write(self, work: Callable[[Any], T]) -> T:
        """Run `work` on a connection of DuckDB, in one transaction."""
