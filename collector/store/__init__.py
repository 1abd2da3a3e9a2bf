"""The ledger: the only package that imports duckdb or opens the ledger's files. No connection leaves it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.store.append import Appended
    from collector.store.config import StoreConfig
    from collector.store.store import Store

__all__ = ["Appended", "Store", "StoreConfig"]

_HOMES = {"Appended": "append", "Store": "store", "StoreConfig": "config"}


def __getattr__(name: str) -> Any:
    """Loaded when asked for: `otel-cost sql` needs the package's paths and errors, not the whole engine."""
    if name in _HOMES:
        return getattr(import_module(f"collector.store.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
