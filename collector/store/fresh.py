"""A publication that goes up to the ledger's end, also after a crash."""

from __future__ import annotations

from pathlib import Path

from collector.store.config import StoreConfig
from collector.store.errors import NotPublished, StoreLocked
from collector.store.layout import Layout
from collector.store.lock import InstanceLock


def bring_up_to_date(path: Path) -> bool:
    """Publish what a killed collector committed and did not publish. Whether a collector runs (it publishes itself).

    Raises NotPublished if there is no ledger, StartupError if the ledger cannot be opened.
    """
    layout = Layout.of(path)
    if not layout.ledger.exists() and not layout.published.exists():
        raise NotPublished(f"{path}: there is no ledger here; `otel-cost collect` or `otel-cost import` makes one")
    if not layout.ledger.exists() or (layout.published.exists() and not layout.dirty.exists()):
        return False
    if not InstanceLock(layout.lock).is_held():
        from collector.store.store import Store  # the whole engine, needed after a crash only

        store = Store(StoreConfig(path, lock_wait_seconds=0))
        try:
            store.start()
            store.stop()
            return False
        except StoreLocked:
            pass
    if not layout.published.exists():
        raise NotPublished(f"{path}: the collector has only just started; try again in a moment")
    return True
