"""Gauges that are read from the ledger now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.exposition import render
from collector.metering import figures
from collector.metering.config import MeteringConfig
from collector.metering.figures import (
    BUSY_SHARE,
    LONGEST_REST_SECONDS,
    LOOK_SECONDS,
    REST_FACTOR,
    FigureGauges,
    pause_after,
)
from collector.store.query import query_published
from otel_cost.pricing.money import format_usd
from tests.collector.metering.test_meter import Metered
from tests.support.plain_calls import plain_calls


def started(answer: Callable[..., Any]) -> FigureGauges:
    """Gauges that have read, or tried to, once."""
    gauges = FigureGauges(answer, ZoneInfo("UTC"), 300.0, list, lambda: [("ops", 2)])
    gauges.start()
    until = time.monotonic() + 30
    while "otel_cost_budget_dead_letters{" not in render(gauges.families()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return gauges


def test_sums_of_the_ledger_to_the_last_digit(tmp_path: Path) -> None:
    """All calls, and none of today: they were made long ago."""
    metered = Metered(tmp_path, MeteringConfig())
    request, costs = plain_calls(1)
    metered.send(request.SerializeToString())
    metered.store.publish()
    published = metered.store.layout.published
    gauges = started(lambda question, *rest: question(lambda *asked: query_published(published, *asked), *rest))
    gauges.stop()
    lines = render(gauges.families()).splitlines()
    spend = next(line for line in lines if line.startswith('otel_cost_period_spend_usd{period="all"}'))
    assert spend.split()[-1].rstrip("0") == format_usd(sum(costs.values())).rstrip("0")
    assert f'otel_cost_period_calls{{period="all"}} {len(costs)}' in lines
    assert 'otel_cost_period_calls{period="today"} 0' in lines
    assert 'otel_cost_budget_dead_letters{channel="ops"} 2' in lines
    metered.stop()


def test_what_cannot_be_read_is_absent_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Never a zero that nobody has read; the rest is shown."""

    def broken(*_: object) -> None:
        raise OSError("no file")

    gauges = started(broken)
    gauges.stop()
    text = render(gauges.families())
    assert "otel_cost_period_spend_usd{" not in text
    assert [record.message for record in caplog.records if "periods" in record.message] == [
        "metrics of periods cannot be read now: no file"
    ]


def test_reading_rests_and_is_not_slower_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rests are no part of what reading takes, so figures are read as often as without; who stops waits for none."""
    took: list[float] = []

    def pause_as_told(least_seconds: float, took_seconds: float, *, is_first: bool) -> float:
        took.append(took_seconds)
        return 60.0

    def answer(*_: object) -> None:
        for cpu_seconds in (0.05,) * 3:
            gauges.rest(cpu_seconds)
        raise OSError("no file")

    monkeypatch.setattr(figures, "pause_after", pause_as_told)
    gauges = FigureGauges(answer, ZoneInfo("UTC"), 300.0, list, list)
    started_seconds = time.monotonic()
    gauges.start()
    while len(took) < 3:
        assert time.monotonic() < started_seconds + 30
        time.sleep(0.01)
    assert time.monotonic() - started_seconds >= 6 * 0.05 * REST_FACTOR
    assert max(took) < 0.05 * REST_FACTOR
    gauges.stop()
    stopped_seconds = time.monotonic()
    gauges.rest(1_000.0)
    assert time.monotonic() - stopped_seconds < LONGEST_REST_SECONDS


def test_a_slow_start_does_not_keep_figures_from_following_the_ledger() -> None:
    """Only from the second time on it counts how long reading took: by then nothing is loaded any more."""
    assert pause_after(LOOK_SECONDS, 6.0, is_first=True) == LOOK_SECONDS
    assert pause_after(LOOK_SECONDS, 6.0, is_first=False) == 6.0 * BUSY_SHARE
    assert pause_after(LOOK_SECONDS, 0.01, is_first=False) == LOOK_SECONDS
