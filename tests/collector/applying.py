"""The parts between a receiver and the ledger, for tests of what happens behind the acknowledgement."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pyarrow as pa

from collector import telemetry as metrics
from collector.acceptor import Acceptor
from collector.applier import Applier, ApplierConfig
from collector.decode.request import DecodeLimits, Outcome, Request
from collector.errors import StoreUnavailable
from collector.journal import Journal, JournalConfig, Quarantine
from collector.pipeline import Forwarder, Pipeline
from collector.store import Appended, Store, StoreConfig
from collector.store.attribution import Attribute
from collector.telemetry import Telemetry
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards
from tests.support.plain_calls import plain_calls

LIMIT_SECONDS = 30.0
POISON = "poison"


class SlowStore(Store):
    """A real store behind a gate: while it is closed, appends wait, as on a slow disk. `refusals` of them fail."""

    def __init__(self, config: StoreConfig) -> None:
        super().__init__(config)
        self.gate = Event()
        self.gate.set()
        self.refusals = 0
        self.journals: list[int] = []
        self.sizes: list[int] = []

    def submit(self, batch: pa.Table, attribute: Attribute, journal: int = 0) -> Future[Appended]:
        """See Store."""
        self.journals.append(journal)
        self.sizes.append(batch.num_rows)
        if self.refusals:
            self.refusals -= 1
            refused: Future[Appended] = Future()
            refused.set_exception(StoreUnavailable("disk full"))
            return refused

        def when_open(skeleton: pa.Table) -> pa.Table:
            assert self.gate.wait(LIMIT_SECONDS)
            return attribute(skeleton)

        return super().submit(batch, when_open, journal)


@dataclass
class Collector:
    """The parts between a receiver and the ledger, over a folder that outlives them."""

    folder: Path
    config: ApplierConfig = field(default_factory=ApplierConfig)
    forwarders: Sequence[Forwarder] = ()
    room_seconds: float = LIMIT_SECONDS
    applied: int | None = None  # None: what the ledger says
    first: Callable[[Collector], None] = lambda _: None
    """Runs before anything is applied."""

    def __post_init__(self) -> None:
        self.store = SlowStore(StoreConfig(self.folder / "costs.duckdb"))
        self.telemetry = Telemetry()
        live = self.store.layout.folder
        self.journal = Journal(JournalConfig(live / "journal", 0, file_bytes=1))  # a file for each group
        self.quarantine = live / "quarantine"
        pipeline = Pipeline(self.store, Cards(default_card()), DecodeLimits(), self.forwarders, self.telemetry)
        self.applier = Applier(pipeline, self.journal, Quarantine(self.quarantine), self.telemetry, self.config)
        self.acceptor = Acceptor(pipeline, self.journal, self.applier, self.telemetry, self.room_seconds)

    def send(self, *requests: Request) -> Sequence[Outcome]:
        """What a group of requests is answered."""
        return self.acceptor.process(requests)

    def settle(self) -> None:
        """Return when everything that was acknowledged is applied."""
        self.until(
            lambda: self.applier.applied == self.journal.last and not self.telemetry.value(metrics.UNAPPLIED_BYTES)
        )

    def until(self, condition: Callable[[], bool]) -> None:
        """Return when something is so."""
        deadline_seconds = time.monotonic() + LIMIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline_seconds
            time.sleep(0.005)

    def span_ids(self) -> list[str]:
        """The spans of the ledger, in the order in which they were stored."""
        rows = self.store.read(lambda reader: reader.rows("SELECT span_id FROM spans ORDER BY seq"))
        return [str(row[0]) for row in rows]


@contextmanager
def running(collector: Collector, stop_seconds: float = LIMIT_SECONDS) -> Iterator[Collector]:
    """Start as the service does, stop as it does."""
    collector.store.start()
    applied = collector.store.journal if collector.applied is None else collector.applied
    collector.journal.start(applied)
    collector.first(collector)
    collector.applier.start(applied)
    try:
        yield collector
    finally:
        collector.applier.stop(stop_seconds)
        collector.store.gate.set()
        collector.store.stop()
        collector.journal.stop(collector.store.settled(collector.applier.applied))


def request(number: int, poisonous: bool = False) -> tuple[Request, list[str]]:
    """A request of some calls, and their ids. A poisonous one is fine for decoding, and breaks a later stage."""
    message, costs = plain_calls(number)
    if poisonous:
        for span in message.resource_spans[0].scope_spans[0].spans:
            span.name = POISON
    return Request(message.SerializeToString(), "default"), list(costs)


def crash_with(folder: Path, *requests: Request) -> None:
    """A collector that acknowledges requests and ends before it applies any."""

    def refuse(collector: Collector) -> None:
        collector.store.refusals = 1_000_000

    with running(Collector(folder, first=refuse), stop_seconds=0.0) as collector:
        for each in requests:
            assert [outcome.error for outcome in collector.send(each)] == [None]
