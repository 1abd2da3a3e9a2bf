"""What tests of actions share: a real ledger with events in it, and rules that tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from collector.budgets.actions.config import AnyChannel, WebhookChannel
from collector.budgets.actions.deliveries import Deliveries
from collector.budgets.actions.outbox import Delivery, DeliveryState
from collector.budgets.event_rows import insert_events
from collector.budgets.model import PPM, Action, CounterKey, Event, EventKind, Rule, Unit, Window, WindowKind
from collector.store import Store
from collector.store.config import StoreConfig
from otel_cost.pricing.money import PICO_PER_USD

T = TypeVar("T")

SECRET = "0123456789abcdef"
DAY_START_NS = 1_795_305_600 * 10**9  # 2026-11-22T00:00Z
ALL = (Action.NOTIFY, Action.WEBHOOK, Action.SLACK, Action.EMAIL)
RULE = Rule(
    name="each-customer",
    scope=(("customer", None),),
    limit=5 * PICO_PER_USD,
    unit=Unit.USD,
    window=Window(WindowKind.DAY),
    on_warn=(Action.NOTIFY,),
    on_exceed=(*ALL, Action.BLOCK),
)


def event(customer: str = "acme", kind: EventKind = EventKind.EXCEED) -> Event:
    """One customer has used up the budget, or most of it."""
    key = CounterKey("default", RULE.name, customer, DAY_START_NS)
    ppm, spent = (PPM, 5_010_000_000_000) if kind is EventKind.EXCEED else (800_000, 4_200_000_000_000)
    return Event(key, kind, ppm, time.time_ns(), spent, RULE.limit, RULE.unit)


def webhook(url: str, name: str = "webhook", timeout_seconds: float = 5.0) -> WebhookChannel:
    return WebhookChannel(name, timeout_seconds, url, SECRET)


@contextmanager
def ledger(folder: Path) -> Iterator[Store]:
    """A real one."""
    store = Store(StoreConfig(folder / "costs.duckdb"))
    store.start()
    try:
        yield store
    finally:
        store.stop()


@contextmanager
def telling(
    store: Store,
    channels: Sequence[AnyChannel],
    rules: Sequence[Rule] = (RULE,),
    clock_ns: Callable[[], int] = time.time_ns,
) -> Iterator[Deliveries]:
    """The part that tells, at work."""
    deliveries = Deliveries(channels, store, lambda: rules, clock_ns=clock_ns)
    deliveries.start()
    try:
        yield deliveries
    finally:
        deliveries.stop()


def happen(store: Store, deliveries: Deliveries | None, *events: Event) -> None:
    """Write events as a commit of spans does, and say so."""
    store.write(lambda connection: insert_events(connection, events))
    if deliveries is not None:
        deliveries.wake()


def settled(deliveries: Deliveries, state: DeliveryState, count: int = 1) -> list[Delivery]:
    """The deliveries in a state, as soon as there are so many."""
    return eventually(
        lambda: [found for found, _ in deliveries.listed([state], 100)], lambda found: len(found) == count
    )


def eventually(look: Callable[[], T], is_right: Callable[[T], bool], timeout_seconds: float = 20.0) -> T:
    """What `look` says, as soon as it is right."""
    until_seconds = time.monotonic() + timeout_seconds
    while True:
        found = look()
        if is_right(found):
            return found
        assert time.monotonic() < until_seconds, found
        time.sleep(0.01)
