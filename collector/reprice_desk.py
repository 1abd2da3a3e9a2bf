"""Where a running collector takes requests for price runs, between pieces of maintenance."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event

from collector.reprice_request import FOLDER, Pending, clear, pending
from collector.reprice_serving import serve
from collector.store import Store
from collector.store.maintenance import Maintained
from collector.store.rewrite import Pause, at_once
from otel_cost.pricing.overrides import Cards

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often somebody is looked for who waits. Lower: more looks at a folder that is nearly always empty."""


class RepricingDesk:
    """Stands before `Store.maintain`, in the same thread: both put segments in the place of others.

    Ingestion goes on: a run takes the writer for its one transaction only.
    """

    def __init__(self, store: Store, cards: Callable[[], Cards]) -> None:
        self._store = store
        self._cards = cards
        self._folder = store.layout.folder / FOLDER
        self._stopped = Event()
        self._due_seconds = 0.0

    def start(self) -> None:
        """Forget what was asked of a collector before this one. Raises OSError."""
        clear(self._folder)

    def stop(self) -> None:
        """End a run that is under way, as if it had never begun."""
        self._stopped.set()

    def step(self, rest: Pause = at_once) -> Maintained:
        """Serve who waits, or else do some maintenance if it is time; `rest`, and what it raises: `Store.maintain`."""
        for request in pending(self._folder):
            self._serve(request)
        if time.monotonic() < self._due_seconds:
            return Maintained("", LOOK_SECONDS)
        self._store.repricing(None).tidy()
        done = self._store.maintain(rest)
        self._due_seconds = time.monotonic() + done.pause_seconds
        return replace(done, pause_seconds=min(done.pause_seconds, LOOK_SECONDS))

    def _serve(self, request: Pending) -> None:
        try:
            wanted = request.read()
        except (ValueError, TypeError, OSError) as error:
            request.answer({"ok": False, "error": f"{request.path}: {error}"})
            return
        try:
            answer = serve(
                self._store, wanted, self._cards(), lambda: self._stopped.is_set() or not request.is_wanted()
            )
        except Exception as error:  # whoever asked waits for an answer
            logger.exception("a price run failed")
            answer = {"ok": False, "error": f"the collector could not do it: {error!r}"}
        request.answer(answer)
        if answer["ok"] and wanted.action != "dry-run":
            logger.info("price run %s: %s by %s", answer["name"], wanted.action, wanted.by)
