"""A refusal is known to health for a while and to the log once; what is taken ends it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from collector.refusals import LOG_AGAIN_SECONDS, REMEMBERED_SECONDS, Refusals


@dataclass
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_refusal_is_a_reason_until_something_is_taken_or_it_is_long_ago() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    assert refusals.why() is None
    refusals.refused("the disk is full")
    assert refusals.why() == "the disk is full"
    refusals.taken()
    assert refusals.why() is None
    refusals.refused("again")
    clock.seconds += REMEMBERED_SECONDS - 1
    assert refusals.why() == "again"
    clock.seconds += 1
    assert refusals.why() is None


def test_the_log_tells_once_and_when_it_goes_on_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """A full collector takes some and refuses some: that is one trouble, not hundreds."""
    clock = Clock()
    refusals = Refusals(clock)
    for _ in range(100):
        refusals.refused("full")
        refusals.taken()
    assert [record.message for record in caplog.records] == ["spans are refused, senders are told to come back: full"]
    clock.seconds += LOG_AGAIN_SECONDS
    refusals.refused("still full")
    clock.seconds += REMEMBERED_SECONDS
    refusals.taken()
    refusals.taken()
    assert [record.message for record in caplog.records][1:] == [
        "spans are refused, senders are told to come back: still full",
        "spans are taken again",
    ]
