"""The published file is refreshed for ever, whatever becomes of one refresh."""

from __future__ import annotations

from threading import Event

from collector import telemetry as metrics
from collector.telemetry import Telemetry
from collector.timer import PublishTimer

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
