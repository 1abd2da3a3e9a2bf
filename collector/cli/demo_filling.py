"""Made-up history into a ledger, through the pipeline that every span takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from collector import telemetry as metrics
from collector.budgets.keeper import BudgetKeeper
from collector.catalogue.shelf import newest_card
from collector.config import Config
from collector.decode.request import DecodeLimits, Request
from collector.normalise import ESSENTIAL_KEYS
from collector.pipeline import Pipeline
from collector.sample.history import Plan, parts
from collector.store import Store, StoreConfig
from collector.telemetry import Telemetry
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards

Progress = Callable[[datetime], None]
"""Told until when everything is stored."""


def fill(ledger: Path, config: Config, plan: Plan, progress: Progress) -> int:
    """Store all of the plan's spans, with the prices and budgets of a config, as if they had come when they happened.

    Returns how many spans are new.

    Raises:
        StartupError: a collector holds the ledger, it is damaged, or it is newer than this program.
        StoreUnavailable: the disk is full; what was stored before stays.
    """
    store, telemetry, clock = Store(StoreConfig(path=ledger)), Telemetry(), _Clock(plan.start)
    keeper = BudgetKeeper(store, config.rules, clock_ns=clock)
    cards = Cards(default_card(), config.overrides)
    limits = DecodeLimits(essential_keys=ESSENTIAL_KEYS)
    pipeline = Pipeline(store, cards, limits, (), telemetry, estimates=config.estimate)
    store.start()
    try:
        keeper.start()
        pipeline.use(newest_card(store.layout.prices))
        for part in parts(plan):
            clock.now = part.until
            if part.requests:
                pipeline.process([Request(body, organization) for organization, body in part.requests])
            progress(part.until)
    finally:
        store.stop()
    return int(telemetry.value(metrics.SPANS_STORED))


class _Clock:
    """The time of the history: thresholds are crossed then, not today."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> int:
        return int(self.now.astimezone(UTC).timestamp()) * 1_000_000_000
