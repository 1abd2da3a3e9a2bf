"""The card of a running collector: the newest version of its folder, kept current in the background."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

import collector
from collector import telemetry as metrics
from collector.catalogue.config import RefreshConfig
from collector.catalogue.errors import CatalogueError, SourceUnavailable
from collector.catalogue.shelf import cards, keep_shipped, newest_card
from collector.catalogue.update import SOURCES_FOLDER
from collector.telemetry import Telemetry
from otel_cost.pricing import RateCard

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""How soon a version that `otel-cost prices update` has made is taken. Lower: the folder is listed more often."""
UPDATE_SECONDS = 600.0
"""For one refresh, which takes seconds. Lower: a bad line never gets through. Higher: a stuck one blocks the next."""
RETRY_SECONDS = 3_600.0
"""After a refresh that failed, if the interval is longer."""
POLL_SECONDS = 0.2
STOP_SECONDS = 2.0

Use = Callable[[RateCard], None]


class CardKeeper:
    """Gives the newest card version to `use`: once at the start, and whenever there is a newer one.

    With a `RefreshConfig` it reads the catalogues every interval, in a process of its own: that takes two seconds of
    CPU and 70 MB. Whatever fails is a line in the log and a count; the card in use goes on.
    """

    def __init__(
        self,
        folder: Path,
        refresh: RefreshConfig | None,
        use: Use,
        telemetry: Telemetry,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._folder = folder
        self._refresh = refresh
        self._use = use
        self._telemetry = telemetry
        self._look_seconds = look_seconds
        self._in_use = ""
        self._seen: Sequence[object] = ()
        self._told: str | None = None
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="otel-cost-prices", daemon=True)

    def start(self) -> None:
        """Use the newest version, and look after it from now on. Raises what `use` raises."""
        try:
            keep_shipped(self._folder)
        except OSError as error:
            logger.warning("the card of this program is not kept in %s: %s", self._folder, error)
        self._take()
        self._telemetry.gauge(metrics.PRICES_READ_AT, self._read_at)
        self._thread.start()

    def stop(self) -> None:
        """Stop; a refresh that is under way is ended, and changes nothing."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def refresh(self, config: RefreshConfig) -> bool:
        """Read the catalogues now; whether that went well."""
        sources = [source for source in (config.genai_prices, config.litellm) if source is not None]
        try:
            self._update(sources)
        except (CatalogueError, OSError) as error:
            self._telemetry.add(metrics.PRICES_FAILURES)
            self._tell(f"prices were not refreshed, card {self._in_use} goes on: {error}")
            return False
        self._told = None
        return True

    def _run(self) -> None:
        due_seconds = time.monotonic() + self._until_due()
        while not self._stopped.wait(max(0.0, min(self._look_seconds, due_seconds - time.monotonic()))):
            if self._refresh is not None and time.monotonic() >= due_seconds:
                interval_seconds = self._refresh.interval_seconds
                went_well = self.refresh(self._refresh)
                due_seconds = time.monotonic() + (
                    interval_seconds if went_well else min(RETRY_SECONDS, interval_seconds)
                )
            self._look()

    def _look(self) -> None:
        try:
            self._take()
        except Exception as error:  # whatever it is, spans must be priced on
            self._telemetry.add(metrics.PRICES_FAILURES)
            self._tell(f"a new card cannot be used, card {self._in_use} goes on: {error!r}")

    def _take(self) -> None:
        """Use the newest version if the folder has changed since the last look."""
        found = cards(self._folder)
        if found == self._seen:
            return
        card = newest_card(self._folder)
        if card.digest != self._in_use:
            self._use(card)
            if self._in_use:
                logger.info("prices: card %s replaces %s for new spans", card.digest, self._in_use)
            self._in_use = card.digest
        self._seen = found

    def _until_due(self) -> float:
        """Seconds until the next refresh: an interval after the last one, also if that was in an earlier run."""
        if self._refresh is None:
            return float("inf")
        return min(self._refresh.interval_seconds, self._read_at() + self._refresh.interval_seconds - time.time())

    def _read_at(self) -> float:
        """When the catalogues were last read, Unix time; 0: never."""
        try:
            return max((path.stat().st_mtime for path in (self._folder / SOURCES_FOLDER).glob("*.gz")), default=0.0)
        except OSError:
            return 0.0

    def _update(self, sources: Sequence[str]) -> None:
        program = [sys.executable, "-P", "-m", "collector.catalogue.update", str(self._folder), *sources]
        root = str(Path(collector.__file__).parent.parent)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
        with subprocess.Popen(
            program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
        ) as process:
            deadline_seconds = time.monotonic() + UPDATE_SECONDS
            while process.poll() is None:
                if self._stopped.wait(POLL_SECONDS) or time.monotonic() > deadline_seconds:
                    _end(process)
            said, complaint = process.communicate()
        if self._stopped.is_set():
            return
        problems = _problems(said, complaint, process.returncode)
        if problems:
            raise SourceUnavailable(problems)

    def _tell(self, problem: str) -> None:
        """Once, until it is over or another."""
        if problem != self._told:
            logger.warning("%s", problem)
        self._told = problem


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _problems(said: bytes, complaint: bytes, code: int) -> str:
    try:
        return "; ".join(json.loads(said)["problems"])
    except (ValueError, KeyError, TypeError):
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        return f"the update ended with code {code}: {' '.join(last)}"
