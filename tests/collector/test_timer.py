"""The published file is refreshed for ever, whatever becomes of one refresh."""

from __future__ import annotations

from threading import Event

import pytest

from collector import telemetry as metrics
from collector.telemetry import Telemetry
from collector.timer import LOOK_SECONDS, PublishTimer

LIMIT_SECONDS = 20.0


def test_a_failed_refresh_is_counted_and_tried_again() -> None:
    """A disk that was full for a while must not leave users with yesterday's file."""
    telemetry, third = Telemetry(), Event()
    calls: list[int] = []

    def publish() -> bool:
        calls.append(len(calls))
        if len(calls) < 3:
            raise OSError("no space left on device")
        third.set()
        return True

    timer = PublishTimer(publish, 0.01, telemetry)
    timer.start()
    try:
        assert third.wait(LIMIT_SECONDS)
    finally:
        timer.stop()
    assert telemetry.value(metrics.PUBLISH_FAILURES) == 2


@pytest.mark.parametrize(("interval_seconds", "quiet_seconds"), [(5.0, LOOK_SECONDS), (0.1, 0.1)])
def test_the_first_change_after_a_quiet_time_is_seen_soon(interval_seconds: float, quiet_seconds: float) -> None:
    """Somebody who tries one call sees it live; a steady stream costs one refresh per interval."""
    changed = [False, True, False]
    timer = PublishTimer(lambda: changed.pop(0), interval_seconds, Telemetry())
    assert [timer.refresh() for _ in range(3)] == [quiet_seconds, interval_seconds, quiet_seconds]
