"""The ledger: the only package that imports duckdb or opens the ledger's files. No connection leaves it."""

from collector.store.append import Appended
from collector.store.config import StoreConfig
from collector.store.store import Store

__all__ = ["Appended", "Store", "StoreConfig"]
