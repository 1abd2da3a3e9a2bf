"""A budget that is used up lets calls through again when its window ends, from end to end: a collector whose clock is
moved, spans over OTLP, the guard here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import otel_cost
from otel_cost.guard import gate
from tests.crash.sender import HttpTransport
from tests.faults.ledger import injected, wait_for
from tests.support.calls import call_request
from tests.support.collector_process import CollectorProcess

DOLLAR_TOKENS = 400_000
"""Input tokens of gpt-4o that cost a dollar."""
BEGINS = datetime(2026, 10, 24, 10, 20, tzinfo=UTC)
"""A Saturday; clocks in Berlin change the night after."""
RESETS = {
    "5h": datetime(2026, 10, 24, 15, 20, tzinfo=UTC),
    "24h": datetime(2026, 10, 25, 10, tzinfo=UTC),
    "hour": datetime(2026, 10, 24, 11, tzinfo=UTC),
    "day": datetime(2026, 10, 24, 22, tzinfo=UTC),
    "week": datetime(2026, 10, 25, 23, tzinfo=UTC),
    "month": datetime(2026, 10, 30, 23, tzinfo=UTC),
}
"""Window -> when it ends in Berlin, or no longer counts what was spent at the beginning: those of some hours go on in
steps of five minutes, those of days in steps of an hour. Months begin on their last day."""
ROLLING = ("5h", "24h")
NEVER = "total"
SPENT_USD, LIMIT_USD = 9, 10


def _rule(window: str) -> str:
    limit = f"limit: {LIMIT_USD} USD/{window}, on_exceed: [block]"
    when = "time_zone: Europe/Berlin, week_start: monday, billing_day: 31"
    return f"      - {{name: {window}, scope: {{customer: {window}}}, {limit}, {when}}}"


WINDOWS = (*RESETS, NEVER)
RULES = "\n".join(("  budget:", "    rules:", *map(_rule, WINDOWS)))


class Clock:
    """The collector's time of day."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock_seconds"
        self.set(BEGINS)

    def set(self, now: datetime) -> None:
        self._ahead_seconds = round(now.timestamp() - time.time())
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._ahead_seconds}")
        new.replace(self._file)

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self._ahead_seconds, UTC)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def collector(clock: Clock, tmp_path: Path) -> Iterator[CollectorProcess]:
    with injected(tmp_path, processors=RULES, has_api=True) as running:
        gate.switch_on(running.api_url)
        try:
            yield running
        finally:
            gate.switch_off()


def refused(window: str, usd: str = "2") -> otel_cost.BudgetExceeded | None:
    """What the guard says to a call, which costs nothing if it is made."""
    try:
        with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd=usd, customer=window) as guarded:
            guarded.settle(cost_usd="0")
    except otel_cost.BudgetExceeded as error:
        return error
    return None


def spent(collector: CollectorProcess, window: str, usd: int, at: datetime, name: str) -> None:
    """Somebody spent it then; returns when it is in the ledger."""
    otlp = HttpTransport(collector.http_port)
    request = call_request(f"{window}-{name}", window, usd * DOLLAR_TOKENS, int(at.timestamp()) * 10**9)
    before = collector.metric("otel_cost_spans_stored_total")
    assert otlp.send(request) == ""
    otlp.close()
    wait_for(lambda: collector.metric("otel_cost_spans_stored_total") > before, "it is in the ledger")


def counted(collector: CollectorProcess, window: str) -> str:
    """What is spent of the window of now."""
    (counter,) = collector.asked(f"budgets/{window}")["counters"]
    return str(counter["spent"])


def test_what_is_used_up_is_blocked_until_its_window_ends_and_no_longer(
    collector: CollectorProcess, clock: Clock
) -> None:
    """The refusal names the moment. A late call of the window that has ended changes nothing of the next, which is
    used up by calls of its own."""
    for window in WINDOWS:
        spent(collector, window, SPENT_USD, clock.now(), "first")
        said = refused(window)
        assert said is not None, window
        assert said.resets_at == RESETS.get(window), window
        assert refused(window, "0.5") is None  # there is room for less

    ends = sorted(RESETS.items(), key=lambda each: each[1])
    for number, (window, end) in enumerate(ends):
        clock.set(end - timedelta(seconds=30))
        assert refused(window) is not None, window
        clock.set(end + timedelta(seconds=1))
        assert refused(window) is None, window
        if window not in ROLLING:
            spent(collector, window, SPENT_USD, end - timedelta(seconds=60), "late")
            assert refused(window) is None, window
        spent(collector, window, SPENT_USD, clock.now(), "next")
        assert counted(collector, window) == f"{SPENT_USD}"
        assert refused(window) is not None, window
        assert all(refused(longer) for longer, _ in ends[number + 1 :]), window
    assert refused(NEVER) is not None
