"""Gauges that are read from the ledger now and then: what periods have cost so far, and what is expected."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from collector.budgets.counters import Counters
from collector.budgets.model import CounterKey, Rule
from collector.budgets.windows import Interval, window_at
from collector.exposition import Family, Metric, Sample, number
from collector.metering import table
from collector.metering.budgets import MAX_RULES, MAX_SCOPES, is_shown, scope_label
from collector.questions import buckets
from collector.questions.measures import Measures
from collector.questions.outlook import BudgetNow, Outlook, projections
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection, Window

logger = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""How soon sums of periods follow the ledger. Shorter: it is read more often."""
BUSY_SHARE = 50
"""Reading takes at most one part in so many of the time, however large the ledger is."""
REST_FACTOR = 4.0
"""After each statement over some segments nothing is read for so many times the CPU that it took. Lower: a second of
whoever asks the ledger meanwhile has three threads on two cores."""
LONGEST_REST_SECONDS = 0.5
"""A publication has to be read while its segments are there, however many they are."""

Answer = Callable[..., Any]
"""Runs a question, such as `periods`, with its arguments after the first, which is an `Ask`. May raise."""
DeadLetters = Callable[[], Sequence[tuple[str, int]]]
"""How many messages were given up, by channel."""


@dataclass(frozen=True, slots=True)
class Periods:
    """What was spent until now."""

    today: Measures
    month: Measures
    all: Measures


def periods(ask: Ask, selection: Selection, now: datetime) -> Periods:
    """`now` is aware; the window's zone says where days and months begin."""
    zone = selection.window.zone
    scope = Scope(ask, selection)
    today, month = (buckets.start(each, buckets.number(each, now, zone), zone) for each in (buckets.DAY, buckets.MONTH))
    return Periods(scope.within(today, None).total(), scope.within(month, None).total(), scope.total())


class FigureGauges:
    """Reads from a thread of its own between `start()` and `stop()`. What cannot be read keeps its last value."""

    def __init__(
        self,
        answer: Answer,
        zone: ZoneInfo,
        refresh_seconds: float,
        budgets: Callable[[], Sequence[BudgetNow]],
        dead_letters: DeadLetters,
    ) -> None:
        self._answer = answer
        self._selection = Selection(None, Window(None, None, zone))
        self._refresh_seconds = refresh_seconds
        self._budgets = budgets
        self._dead_letters = dead_letters
        self._read_at = 0.0
        self._rested_seconds = 0.0
        self._of: dict[str, list[tuple[Metric, Sample]]] = {}
        self._told: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel-cost-figures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is being read is finished."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def rest(self, cpu_seconds: float) -> None:
        """Step back for whoever waits for an answer. In the thread that reads; not once it is to stop."""
        started_seconds = time.monotonic()
        self._stopped.wait(min(cpu_seconds * REST_FACTOR, LONGEST_REST_SECONDS))
        self._rested_seconds += time.monotonic() - started_seconds

    def families(self) -> Iterator[Family]:
        """All of it as it was last read."""
        yield table.FIGURES_READ_AT, [Sample((), number(self._read_at))]
        for found in list(self._of.values()):
            for metric, sample in found:
                yield metric, [sample]

    def _run(self) -> None:
        next_seconds = {"periods": 0.0, "projections": 0.0, "dead letters": 0.0}
        reads = {"periods": self._periods, "projections": self._projections, "dead letters": self._given_up}
        pauses = {"periods": LOOK_SECONDS, "projections": self._refresh_seconds, "dead letters": LOOK_SECONDS}
        while True:
            for name, read in reads.items():
                if time.monotonic() >= next_seconds[name] and not self._stopped.is_set():
                    started_seconds, is_first = time.monotonic(), not next_seconds[name]
                    self._rested_seconds = 0.0
                    least_seconds = pauses[name] if self._note(name, read) else LOOK_SECONDS
                    ended_seconds = time.monotonic()
                    took_seconds = ended_seconds - started_seconds - self._rested_seconds
                    next_seconds[name] = ended_seconds + pause_after(least_seconds, took_seconds, is_first=is_first)
            if self._stopped.wait(max(0.5, min(next_seconds.values()) - time.monotonic())):
                return

    def _note(self, name: str, read: Callable[[], list[tuple[Metric, Sample]]]) -> bool:
        try:
            self._of[name] = read()
            self._read_at = time.time()
            self._told.discard(name)
            return True
        except Exception as error:
            if name not in self._told:
                self._told.add(name)
                logger.warning("metrics of %s cannot be read now: %s", name, error)
            return False

    def _periods(self) -> list[tuple[Metric, Sample]]:
        found: Periods = self._answer(periods, self._selection, datetime.now(UTC))
        samples = []
        for name, measures in (("today", found.today), ("month", found.month), ("all", found.all)):
            label = (("period", name),)
            samples += [
                (table.PERIOD_SPEND, Sample(label, f"{measures.cost_usd:f}")),
                (table.PERIOD_CALLS, Sample(label, str(measures.calls))),
                (table.PERIOD_UNPRICED, Sample(label, str(measures.unpriced_calls + measures.partial_calls))),
            ]
        return samples

    def _projections(self) -> list[tuple[Metric, Sample]]:
        budgets = self._budgets()
        found: Outlook = self._answer(projections, self._selection, datetime.now(UTC), budgets)
        return list(_shown(found))

    def _given_up(self) -> list[tuple[Metric, Sample]]:
        return [
            (table.BUDGET_DEAD_LETTERS, Sample((("channel", channel),), str(count)))
            for channel, count in self._dead_letters()
        ]


def pause_after(least_seconds: float, took_seconds: float, *, is_first: bool) -> float:
    """How long what took so long to read is not read again.

    The first time says nothing of the others: whatever reads is loaded or started then, while the collector's own
    start takes all CPUs. Figures of an empty ledger would be shown for minutes.
    """
    return least_seconds if is_first else max(least_seconds, took_seconds * BUSY_SHARE)


def _shown(found: Outlook) -> Iterator[tuple[Metric, Sample]]:
    for name, period in (("day", found.day), ("week", found.week), ("month", found.month)):
        label = (("period", name),)
        amounts: dict[Metric, Decimal | None] = {
            table.PROJECTED: period.value_usd,
            table.PROJECTED_LOW: period.low_usd,
            table.PROJECTED_HIGH: period.high_usd,
            table.PROJECTION_ERROR: None if period.back_test is None else period.back_test.median_error_ratio,
        }
        for metric, amount in amounts.items():
            if amount is not None:
                yield metric, Sample(label, f"{amount:f}")
    yield from _hits(found)


def _hits(found: Outlook) -> Iterator[tuple[Metric, Sample]]:
    shown: set[tuple[tuple[str, str], ...]] = set()
    for each in found.budgets:
        labels = (
            ("budget", each.budget.rule),
            ("scope", scope_label(*(value or "" for _, value in each.budget.scope))),
        )
        if each.hit_at is not None and labels not in shown:
            shown.add(labels)
            yield table.BUDGET_HIT_AT, Sample(labels, number(each.hit_at.timestamp()))


def budgets_now(rules: Sequence[Rule], counters: Counters, now_ns: int) -> list[BudgetNow]:
    """The counters that have gauges of their own, as projections want them."""
    found = []
    for rule in sorted(rules, key=lambda rule: rule.name)[:MAX_RULES]:
        if not is_shown(rule):
            continue
        window = window_at(rule.window, now_ns)
        held = [(key, spent.of(rule.unit)) for key, spent in counters.of_rule(rule.name, now_ns)]
        for key, spent in sorted(held, key=lambda pair: (-pair[1], pair[0]))[:MAX_SCOPES]:
            found.append(_now(rule, key, spent, counters.limit(rule, key, now_ns), window))
    return found


def _now(rule: Rule, key: CounterKey, spent: int, limit: int, window: Interval) -> BudgetNow:
    names = [name for name, _ in rule.scope]
    values = [key.scope_value] if len(names) == 1 else json.loads(key.scope_value)
    is_rolling = rule.window.rolling_ns > 0
    return BudgetNow(
        rule=rule.name,
        scope=tuple(zip(names, values, strict=True)),
        org_id=key.org_id,
        spent=spent,
        limit=limit,
        unit=rule.unit.value,
        kind=rule.window.kind.value,
        window_start=None if window.end_ns is None else _instant(window.start_ns),
        window_end=None if is_rolling or window.end_ns is None else _instant(window.end_ns),
        rolling_seconds=rule.window.rolling_ns // 10**9,
    )


def _instant(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // 10**9, UTC)
