"""The collector as a whole: what it is built of, the order in which its parts start, and how they stop."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector import memory
from collector import telemetry as metrics
from collector.acceptor import Acceptor
from collector.applier import Applier
from collector.budget_desk import BudgetDesk
from collector.catalogue.keeper import CardKeeper
from collector.committer import Committer, CommitterConfig
from collector.config import Config, Endpoint
from collector.decode.request import DecodeLimits
from collector.forward.otlp import OtlpForwarder
from collector.journal import Journal, JournalConfig, Quarantine
from collector.metering.meter import Meter
from collector.metering.shown import figures_of, show_metrics
from collector.normalise import ESSENTIAL_KEYS
from collector.pipeline import Pipeline
from collector.questions.asking import Asking
from collector.receive.config import ReceiverConfig
from collector.receive.senders import DEFAULT_ORGANIZATION
from collector.receivers import build_receivers
from collector.reprice_desk import RepricingDesk
from collector.serve.probes import Pages, ProbeServer, health_pages, metrics_pages
from collector.store import Store
from collector.store.moved import Listener
from collector.telemetry import Telemetry
from collector.timer import PublishTimer
from collector.upkeep_timer import UpkeepTimer
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards

if TYPE_CHECKING:
    from collector.api_desk import ApiDesk

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 7.0
"""Time to answer what waits at shutdown, and to apply what was acknowledged. Docker kills a container 10 s after asking
it to stop; the store needs the rest to publish and close. What is not journalled by then is refused, and its sender
sends it again; what is not applied stays in the journal for the next start."""
LEAST_APPLY_SECONDS = 0.5
"""Of which so much belongs to applying, however long senders took."""
FORWARD_DRAIN_SECONDS = 1.0
"""Time for forwarders to send what waits. Forwarding is best effort; the ledger has the spans."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running collector listens; None where it does not."""

    grpc: Endpoint | None
    http: Endpoint | None
    prometheus: Endpoint | None
    health_check: Endpoint | None
    api: Endpoint | None = None


class Service:
    """One collector. `start()` and `stop()` are called once each, on the same event loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.telemetry = Telemetry()
        self.store = Store(config.store, report=logger.warning)
        self._forwarders = [OtlpForwarder(forward, self.telemetry) for forward in config.forward]
        limits = DecodeLimits(essential_keys=ESSENTIAL_KEYS)
        pipeline = Pipeline(
            self.store,
            Cards(default_card(), config.overrides),
            limits,
            self._forwarders,
            self.telemetry,
            estimates=config.estimate,
        )
        self.budgets = BudgetDesk(
            self.store,
            config.rules,
            config.channels,
            lambda: pipeline.cards.card(),
            config.senders.default or DEFAULT_ORGANIZATION,
        )
        layout = self.store.layout
        self.meter = Meter(config.metering, self.store, layout.metrics)
        self._figures = figures_of(self.store, config, self.budgets, self._asking)
        show_metrics(self.telemetry, self.meter, self._figures, self.budgets)
        if config.prometheus is not None:
            self.store.listen(Listener(self.meter.columns, self.meter.moved))
        self.journal = Journal(JournalConfig(layout.folder / "journal", config.store.free_space_floor_bytes))
        self._applier = Applier(pipeline, self.journal, Quarantine(layout.folder / "quarantine"), self.telemetry)
        acceptor = Acceptor(pipeline, self.journal, self._applier, self.telemetry)
        bounds = CommitterConfig(queue_bytes=config.queue_bytes)
        self._committer = Committer(acceptor.process, bounds, self.telemetry)
        self._prices = CardKeeper(layout.prices, config.refresh, pipeline.use, self.telemetry)
        self._timer = PublishTimer(self._publish, config.store.publish_interval_seconds, self.telemetry)
        self._desk = RepricingDesk(self.store, lambda: pipeline.cards)
        self._upkeep = UpkeepTimer(self._desk.step)
        self._receivers = build_receivers(config, self._committer.submit, self.telemetry)
        self._probes: list[ProbeServer] = []
        self._api = self._api_of(pipeline)
        self._serving = False
        self.telemetry.gauge(metrics.HEALTHY, lambda: self.why_unhealthy() is None)
        self.telemetry.gauge(metrics.LEDGER_SPANS, lambda: self.store.position.seq)

    def _api_of(self, pipeline: Pipeline) -> ApiDesk | None:
        if self.config.api is None:
            return None
        from collector.api_desk import ApiDesk  # a third of what there is to import

        return ApiDesk(self.config.api, self.store, self.budgets, lambda: pipeline.cards)

    async def start(self) -> Addresses:
        """Start the parts in the order in which spans need them; if one fails, those before it are stopped again.

        Raises:
            StartupError: the ledger is locked, damaged, or newer than this program.
            StoreUnavailable: the disk is full.
            CannotListen: an address is taken, or its TLS files cannot be read.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    def why_unhealthy(self) -> str | None:
        """The reason why spans are not taken or not applied, or None when they are."""
        if not self._serving:
            return "starting or stopping"
        reasons = {
            "nothing is applied any more, restart the collector": self._applier.failure,
            "spans are refused": self._committer.refusals.why() or self.journal.why_full(),
            "acknowledged spans wait in the journal": self._applier.waiting,
        }
        return next((f"{what}: {why}" for what, why in reasons.items() if why), None)

    async def stop(self) -> bool:
        """Stop in the reverse order: take nothing new, answer what waits, apply what was acknowledged, publish, close.

        Returns whether everything that had been taken was acknowledged; all of that is in the ledger or the journal.
        """
        self._serving = False
        if self._api is not None:
            await self._api.stop()
        deadline_seconds = time.monotonic() + DRAIN_SECONDS
        await asyncio.gather(*(receiver.stop(DRAIN_SECONDS) for receiver in self._receivers.values()))
        left_seconds = max(0.1, deadline_seconds - time.monotonic())
        drained = await asyncio.to_thread(self._committer.stop, left_seconds)
        left_seconds = max(LEAST_APPLY_SECONDS, deadline_seconds - time.monotonic())
        await asyncio.to_thread(self._applier.stop, left_seconds)
        await asyncio.to_thread(self._stop_threads)
        if drained:  # else a write may still be under way
            self.journal.stop(self.store.settled(self._applier.applied))
        memory.unsettle()
        return drained

    async def _start(self) -> Addresses:
        memory.configure()
        self.store.start()
        if self.config.prometheus is not None:
            self.meter.start()
        self.budgets.start()
        self._prices.start()
        self._start_journal()
        self._committer.start()
        self._timer.start()
        self._desk.start()
        self._upkeep.start()
        for forwarder in self._forwarders:
            forwarder.start()
        for receiver in self._receivers.values():
            await receiver.start()
        addresses = Addresses(
            grpc=self._listening("grpc", self.config.grpc),
            http=self._listening("http", self.config.http),
            prometheus=self._probe(
                "prometheus", self.config.prometheus, metrics_pages(self.telemetry), self.config.scrapers
            ),
            health_check=self._probe("health_check", self.config.health_check, health_pages(self.why_unhealthy)),
            api=None if self._api is None else await self._api.start(),
        )
        if self.config.prometheus is not None:
            self._figures.start()
        memory.settle()
        self._serving = True
        return addresses

    def _start_journal(self) -> None:
        """What was acknowledged before a crash is applied in the background, before anything that comes now."""
        applied = self.store.journal
        self.journal.start(applied)
        self.telemetry.gauge(metrics.JOURNAL_BYTES, lambda: self.journal.size_bytes)
        self.telemetry.gauge(metrics.JOURNAL_FILES, lambda: self.journal.file_count)
        self._applier.start(applied)

    def _publish(self) -> bool:
        """Refresh the published file; whoever watches it over the API is told."""
        is_new = self.store.publish()
        if is_new and self._api is not None:
            self._api.published(self.store.position.seq)
        return is_new

    def _listening(self, transport: str, config: ReceiverConfig | None) -> Endpoint | None:
        return None if config is None else Endpoint(config.host, self._receivers[transport].port)

    def _probe(
        self, name: str, endpoint: Endpoint | None, pages: Pages, digests: tuple[bytes, ...] = ()
    ) -> Endpoint | None:
        if endpoint is None:
            return None
        probe = ProbeServer(name, endpoint, pages, digests)
        address = probe.start()
        self._probes.append(probe)
        return address

    def _asking(self) -> Asking | None:
        return None if self._api is None else self._api.asking

    def _stop_threads(self) -> None:
        self._figures.stop()
        self._prices.stop()
        self._desk.stop()
        self._upkeep.stop()
        self._timer.stop()
        for forwarder in self._forwarders:
            forwarder.stop(FORWARD_DRAIN_SECONDS)
        self.budgets.stop()
        self.store.stop()
        self.meter.stop()
        for probe in self._probes:
            probe.stop()
