"""What can go wrong in the store. `StoreUnavailable` is the retryable one: nothing was acknowledged."""

from __future__ import annotations

from collector.errors import QueryFailed, QueryRefused, StartupError, StoreError, StoreUnavailable

__all__ = [
    "LedgerDamaged",
    "NotPublished",
    "PathUnusable",
    "QueryFailed",
    "QueryRefused",
    "SchemaTooNew",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
]


class StoreLocked(StartupError):
    """Another collector holds this ledger."""


class SchemaTooNew(StartupError):
    """The ledger was written by a newer version of the program. It was not touched."""


class PathUnusable(StartupError):
    """No ledger can be kept at this path: it may not be written, or something else lies there. It was not touched."""


class LedgerDamaged(StartupError):
    """The ledger cannot be opened, not even without its write-ahead log."""


class NotPublished(StoreError):
    """There is no ledger at this path."""
