"""Everything of budgets with one lifetime: rules, counters, leases, approvals, and the messages that are sent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from collector.budgets.actions.config import AnyChannel
from collector.budgets.actions.deliveries import Deliveries
from collector.budgets.answers import Surroundings
from collector.budgets.approvals import Approvals
from collector.budgets.claimed_models import counted_model, other_cost, unknown_models, with_counted_models
from collector.budgets.event_rows import events_of
from collector.budgets.keeper import BudgetKeeper
from collector.budgets.lease_log import LeaseLog
from collector.budgets.leases import LeaseBook
from collector.budgets.model import Event, Rule
from collector.budgets.rulebook import RuleBook
from collector.budgets.worst import dearest
from collector.errors import StoreUnavailable
from collector.store import Store
from collector.store.statements import query
from otel_cost.pricing import RateCard

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often leases are looked at whose time may be over. Others are refused so much longer at most."""


class BudgetDesk:
    """Made before the store starts, `start()` after it, `stop()` before it stops.

    `card` gives the rate card in use; `org` is whose a claim is that names nobody.
    """

    def __init__(
        self,
        store: Store,
        rules: Sequence[Rule],
        channels: Sequence[AnyChannel],
        card: Callable[[], RateCard],
        org: str,
    ) -> None:
        self._store = store
        self._card = card
        self.channels: Sequence[AnyChannel] = tuple(channels)
        self.rulebook = RuleBook(store, rules, self._use)
        self.approvals = Approvals(store, lambda: self.rulebook.rules)
        self.keeper = BudgetKeeper(store, rules, self.approvals.raises, lambda: dearest(card()))
        self.deliveries = Deliveries(channels, store, lambda: self.rulebook.rules, self.approvals)
        self.approvals.on_new = self.deliveries.wake
        self.counters = counters = self.keeper.counters
        self.book = LeaseBook(
            counters,
            LeaseLog(store.layout.folder / "leases.log"),
            price=lambda claim, model: other_cost(card(), claim, model),
            ask=self.approvals.asked,
        )
        self.around = Surroundings(org, lambda provider, model: counted_model(card(), provider, model))
        counters.on_applied(self.book.applied, leases=True)
        counters.on_applied(self.deliveries.on_applied)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read what the ledger has, honour leases of before, and begin to tell. Raises StoreUnavailable."""
        self.approvals.start()
        self.rulebook.start()
        self.book.restore()
        self._use(self.rulebook.rules)
        self.deliveries.start()
        self._thread = threading.Thread(target=self._tick, name="otel-cost-leases", daemon=True)
        self._thread.start()

    def events(self, since_ns: int, limit: int, org: str | None = None) -> list[Event]:
        """At most so many from a time on, the newest first; of one organisation, or all. Raises StoreUnavailable."""
        statement = query("budget_events_since")
        return events_of(self._store.read(lambda reader: reader.table(statement, [since_ns, org, org, limit])))

    def stop(self) -> None:
        """Nothing new is sent, and leases are in the log for the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self.deliveries.stop()
        self.book.close()

    def _use(self, rules: Sequence[Rule]) -> None:
        self.keeper.set_rules(rules)
        card = self._card()
        for rule in rules:
            for model, like in unknown_models(rule, card).items():
                meant = f"; did you mean {like}?" if like else ""
                logger.warning("the budget %s: %s is no model of the rate card%s", rule.name, model, meant)
        self.book.set_rules([with_counted_models(rule, card) for rule in rules], self.rulebook.revision)

    def _tick(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.book.expire()
                self.rulebook.catch_up()
                self.keeper.mend()
            except StoreUnavailable as error:
                logger.warning("budgets wait for the ledger: %s", error)
            except Exception:
                logger.exception("leases and rules of budgets could not be looked at")
