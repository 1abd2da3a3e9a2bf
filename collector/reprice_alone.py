"""A price run from a command: asked of the collector that holds the ledger, or done in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from collector.catalogue.shelf import newest_card
from collector.config import load
from collector.errors import StartupError
from collector.reprice_request import Answer, Wanted, ask
from collector.reprice_serving import serve
from collector.store import Store, StoreConfig
from collector.store.errors import StoreLocked
from collector.store.layout import Layout
from collector.store.lock import InstanceLock
from otel_cost.pricing.overrides import Cards


class NoLedger(StartupError):
    """There is nothing to price again."""


def do(path: Path, wanted: Wanted, config_file: Path | None) -> Answer:
    """Do it; Ctrl-C is answered with `cancelled`, and nothing was changed then.

    Raises NoLedger, NotAnswered, StartupError, StoreUnavailable, ConfigError.
    """
    layout = Layout.of(path)
    if not layout.ledger.exists():
        raise NoLedger(f"{path}: there is no ledger here")
    if InstanceLock(layout.lock).is_held():
        try:
            return ask(path, wanted)
        except KeyboardInterrupt:
            return {"ok": False, "cancelled": True}
    config = load(config_file)
    cards = Cards(newest_card(layout.prices), config.overrides)
    store = Store(StoreConfig(path, retention=config.store.retention, archive=config.store.archive))
    try:
        store.start()
    except StoreLocked:  # a collector has started in this moment
        return ask(path, wanted)
    try:
        return _alone(store, wanted, cards)
    finally:
        store.stop()


def _alone(store: Store, wanted: Wanted, cards: Cards) -> Answer:
    """Work in a thread of its own, so that Ctrl-C asks it to end and does not tear it."""
    stopped = Event()
    with ThreadPoolExecutor(1, "otel-cost-reprice") as pool:
        work = pool.submit(serve, store, wanted, cards, stopped.is_set)
        try:
            return work.result()
        except KeyboardInterrupt:
            stopped.set()
            return work.result()
