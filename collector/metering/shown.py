"""Everything about money and this process, beside what the collector's parts count by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from collector.budgets.actions.deliveries import Deliveries
from collector.budgets.actions.outbox import NOBODY, Delivery
from collector.budgets.counters import Counters, Moves
from collector.budgets.leases import LeaseBook
from collector.budgets.rulebook import RuleBook
from collector.config import Config
from collector.errors import StoreUnavailable
from collector.metering import table
from collector.metering.budgets import BudgetGauges, events_of
from collector.metering.figures import FigureGauges, budgets_now
from collector.metering.meter import Meter
from collector.process_metrics import show_process
from collector.questions.asking import Asking
from collector.store import Store
from collector.store.query_sums import sums_of_published
from collector.store.statements import query
from collector.telemetry import Telemetry


class Desk(Protocol):
    """`collector.budget_desk.BudgetDesk`."""

    counters: Counters
    book: LeaseBook
    rulebook: RuleBook
    deliveries: Deliveries


def figures_of(store: Store, config: Config, desk: Desk, asking: Callable[[], Asking | None]) -> FigureGauges:
    """What is read from the published file, apart from everything else.

    `asking` answers the API's questions in a process of its own, which knows sums of past days; None: it is not there,
    since nobody looks. Gauges alone do not start it: its sums cost some hundred MB and half a CPU under load.
    """

    def ask(statement: str, parameters: Mapping[str, object]) -> pa.Table:
        # In the process that takes spans in: nobody waits for gauges, and a second thread takes 30 MB more meanwhile.
        return sums_of_published(store.layout.published, statement, parameters, threads=1, rest=figures.rest)

    def answer(question: Callable[..., Any], *arguments: Any) -> Any:
        found = asking()
        if found is not None:
            with suppress(StoreUnavailable):  # it is not up, or has too much to do
                return asyncio.run(found.answer(question, *arguments)).value
        return question(ask, *arguments)

    def dead_letters() -> Sequence[tuple[str, int]]:
        rows: list[tuple[str, int]] = store.read(lambda reader: reader.rows(query("dead_letters")))
        return rows

    figures = FigureGauges(
        answer,
        ZoneInfo(config.api.time_zone if config.api is not None else "UTC"),
        config.metering.refresh_seconds,
        lambda: budgets_now(desk.rulebook.rules, desk.counters, time.time_ns()),
        dead_letters,
    )
    return figures


def show_metrics(telemetry: Telemetry, meter: Meter, figures: FigureGauges, desk: Desk) -> None:
    """Before any of them starts."""

    def on_applied(moves: Moves) -> None:
        for labels, count in events_of(moves).items():
            telemetry.add(table.BUDGET_EVENTS, count, *labels)

    def on_tried(delivery: Delivery) -> None:
        if delivery.channel != NOBODY:
            telemetry.add(table.BUDGET_DELIVERIES, 1, delivery.channel, delivery.state.value)

    show_process(telemetry)
    telemetry.source(meter.families)
    telemetry.source(figures.families)
    telemetry.source(BudgetGauges(lambda: desk.rulebook.rules, desk.counters, desk.book).families)
    desk.counters.on_applied(on_applied)
    desk.deliveries.on_tried = on_tried
