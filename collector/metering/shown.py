"""Everything about money and this process, beside what the collector's parts count by themselves."""

from __future__ import annotations

from typing import Protocol

from collector.budgets.actions.deliveries import Deliveries
from collector.budgets.actions.outbox import NOBODY, Delivery
from collector.budgets.counters import Counters, Moves
from collector.budgets.leases import LeaseBook
from collector.budgets.rulebook import RuleBook
from collector.metering import table
from collector.metering.budgets import BudgetGauges, events_of
from collector.metering.meter import Meter
from collector.process_metrics import show_process
from collector.telemetry import Telemetry


class Desk(Protocol):
    """`collector.budget_desk.BudgetDesk`."""

    counters: Counters
    book: LeaseBook
    rulebook: RuleBook
    deliveries: Deliveries


def show_metrics(telemetry: Telemetry, meter: Meter, desk: Desk) -> None:
    """Before any of them starts."""

    def on_applied(moves: Moves) -> None:
        for labels, count in events_of(moves).items():
            telemetry.add(table.BUDGET_EVENTS, count, *labels)

    def on_tried(delivery: Delivery) -> None:
        if delivery.channel != NOBODY:
            telemetry.add(table.BUDGET_DELIVERIES, 1, delivery.channel, delivery.state.value)

    show_process(telemetry)
    telemetry.source(meter.families)
    telemetry.source(BudgetGauges(lambda: desk.rulebook.rules, desk.counters, desk.book).families)
    desk.counters.on_applied(on_applied)
    desk.deliveries.on_tried = on_tried
