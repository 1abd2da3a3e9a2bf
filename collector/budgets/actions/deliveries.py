"""Telling people and programs what happened to budgets: plans messages for new events, and has them sent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Event as Signal
from threading import Lock, Thread
from typing import Any, Protocol

from collector.budgets.actions import outbox
from collector.budgets.actions.config import AnyChannel
from collector.budgets.actions.courier import Courier
from collector.budgets.actions.messages import Notice, plain, text
from collector.budgets.actions.outbox import MAX_PLANNED, NOBODY, Delivery, DeliveryState, planned, renewed
from collector.budgets.actions.receivers import send
from collector.budgets.event_rows import insert_audit
from collector.budgets.ledger import Ledger
from collector.budgets.model import Action, Event, EventKind, Rule
from collector.budgets.tickets import Ticket

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often tickets are looked at that nobody decides on, and what could not be written is tried again."""
STOP_SECONDS = 2.0
"""For tries that are under way when the collector stops. What is not done then is done after the next start."""

MAX_LOOKED_AT = 10_000
"""Messages among which those about one organisation are looked for."""


class Told(Protocol):
    """What a commit has moved (`collector.budgets.counters.Moves`)."""

    @property
    def events(self) -> Sequence[Event]:
        """That happened in it."""


class Desk(Protocol):
    """Who keeps tickets."""

    def get(self, ticket: str) -> Ticket | None:
        """The ticket of that name."""

    def settle(self) -> bool:
        """Write what was asked for, end what nobody decided on; whether there was anything. May raise."""


def _nothing(_: Delivery) -> None:
    return


class CannotRetry(Exception):
    """There is no such dead letter; `is_unknown`: no such message at all."""

    def __init__(self, what: str, *, is_unknown: bool = False) -> None:
        super().__init__(what)
        self.is_unknown = is_unknown


class Deliveries:
    """`start()` takes up what was not told before; `on_applied` and `wake` may be called from any thread."""

    def __init__(
        self,
        channels: Sequence[AnyChannel],
        ledger: Ledger,
        rules: Callable[[], Sequence[Rule]],
        desk: Desk | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._channels = tuple(channels)
        self._ledger = ledger
        self._rules = rules
        self._desk = desk
        self._clock_ns = clock_ns
        self._couriers = {
            channel.name: Courier(channel.name, partial(send, channel), self._record, self._describe, clock_ns)
            for channel in channels
        }
        self.on_tried: Callable[[Delivery], None] = _nothing
        """Is told what became of each try; must be quick and must not raise."""
        self._woken = Signal()
        self._stopping = False
        self._logged: set[str] = set()  # said in the log, and not yet written down as planned
        self._retrying = Lock()
        self._in_doubt = False  # a write has failed: it may be in the ledger all the same
        self._thread: Thread | None = None

    def start(self) -> None:
        """Raises StoreUnavailable."""
        self._take_up()
        for courier in self._couriers.values():
            courier.start()
        self._thread = Thread(target=self._run, name="otel-cost-actions", daemon=True)
        self._thread.start()
        self.wake()

    def stop(self) -> None:
        """Before the ledger is closed."""
        self._stopping = True
        self._woken.set()
        for courier in self._couriers.values():
            courier.ask_to_stop()
        until_seconds = time.monotonic() + STOP_SECONDS
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
            self._thread = None
        for courier in self._couriers.values():
            courier.join(max(0.0, until_seconds - time.monotonic()))

    def on_applied(self, moves: Told) -> None:
        """A listener of the counters."""
        if moves.events:
            self.wake()

    def wake(self) -> None:
        """Look for events that nobody was told of."""
        self._woken.set()

    def listed(
        self, states: Sequence[DeliveryState], limit: int, org: str | None = None
    ) -> list[tuple[Delivery, Event]]:
        """The newest messages, about one organisation or all. Raises StoreUnavailable."""
        most = limit if org is None else MAX_LOOKED_AT
        found = self._ledger.read(lambda snapshot: outbox.listed(snapshot, states, most))
        return [pair for pair in found if org is None or pair[1].key.org_id == org][:limit]

    def retry(self, delivery_id: str, by: str, org: str | None = None) -> Delivery:
        """Try a dead letter again; `org`: about whom it may be, None: anybody. Raises CannotRetry, StoreUnavailable."""
        with self._retrying:
            known = self._ledger.read(lambda snapshot: outbox.found(snapshot, delivery_id))
            if known is None or org not in (None, known[1].key.org_id):
                raise CannotRetry(f"there is no delivery {plain(delivery_id)}", is_unknown=True)
            delivery, event = known
            if delivery.state is not DeliveryState.DEAD:
                raise CannotRetry(f"it is {delivery.state}; only dead ones are tried again")
            if delivery.channel not in self._couriers:
                raise CannotRetry(f"the config has no channel {delivery.channel}")
            now_ns = self._clock_ns()
            again = renewed(delivery, now_ns)

            def write(connection: Any) -> None:
                outbox.record(connection, again)
                insert_audit(connection, now_ns, by, "delivery retried", delivery.id, None, None)

            self._write(write)
        self._hand_over(again, event)
        return again

    def _run(self) -> None:
        is_behind = True
        while True:
            self._woken.wait(LOOK_SECONDS)
            if self._stopping:
                return
            is_behind |= self._woken.is_set()
            self._woken.clear()
            try:
                if self._desk is not None:
                    is_behind |= self._desk.settle()
                if self._in_doubt:
                    self._in_doubt = False
                    self._take_up()
                while is_behind and not self._stopping:
                    is_behind = self._plan()
            except Exception as error:  # the ledger cannot be written now; it is all still there
                is_behind = True
                logger.warning("budget events wait: %s", error)

    def _plan(self) -> bool:
        """Decide who is told of new events; whether there may be more of them."""
        events = self._ledger.read(outbox.unplanned)
        now_ns = self._clock_ns()
        new: list[tuple[Delivery, Event]] = []
        for event in events:
            notice = self._describe(event)
            actions = actions_of(notice)
            if Action.NOTIFY in actions and event.event_id not in self._logged:
                logger.warning("%s", text(notice))
                self._logged.add(event.event_id)
            names = [channel.name for channel in self._channels if channel.action in actions]
            new += [(planned(event.event_id, name, now_ns), event) for name in names or [NOBODY]]
        if new:
            self._write(lambda connection: outbox.add(connection, [delivery for delivery, _ in new]))
            self._logged.clear()
        for delivery, event in new:
            if delivery.state is DeliveryState.PENDING:
                self._hand_over(delivery, event)
        return len(events) == MAX_PLANNED

    def _take_up(self) -> None:
        """Have everything sent that the ledger says is not."""
        for delivery, event in self._ledger.read(outbox.pending):
            self._hand_over(delivery, event)

    def _write(self, work: Callable[[Any], None]) -> None:
        try:
            self._ledger.write(work)
        except BaseException:
            self._in_doubt = True
            raise

    def _hand_over(self, delivery: Delivery, event: Event) -> None:
        courier = self._couriers.get(delivery.channel)
        if courier is not None:
            courier.add(delivery, event)
        else:  # the config had it once
            why = "the config has no such channel any more"
            self._record(replace(delivery, state=DeliveryState.DEAD, last_error=why))

    def _record(self, delivery: Delivery) -> None:
        self._ledger.write(lambda connection: outbox.record(connection, delivery))
        self.on_tried(delivery)

    def _describe(self, event: Event) -> Notice:
        rule = next((rule for rule in self._rules() if rule.name == event.key.rule), None)
        ticket = self._desk.get(event.detail) if self._desk is not None and event.detail else None
        return Notice(event, rule, ticket)


def actions_of(notice: Notice) -> tuple[Action, ...]:
    """What a rule wants to happen at an event. Of a raise everybody hears who hears of the budget at all."""
    rule, kind = notice.rule, notice.event.kind
    if rule is None or kind is EventKind.RULE_CHANGED:
        return (Action.NOTIFY,)
    if kind is EventKind.WARN:
        return rule.on_warn
    if kind is EventKind.EXCEED:
        return rule.on_exceed
    return (*rule.on_warn, *rule.on_exceed)
