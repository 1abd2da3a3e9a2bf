"""The clock of maintenance: as often as there is work, quiet about what was said, alive after a failure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from queue import Queue
from threading import Event

import pytest

from collector.store.maintenance import FAILED_PAUSE_SECONDS, IDLE_PAUSE_SECONDS, Maintained
from collector.store.rewrite import Pause
from collector.upkeep_timer import LONGEST_REST_SECONDS, REST_FACTOR, UpkeepTimer


def test_pauses_follow_the_work_and_failures_are_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Work: again soon. Nothing: later. A failure: later still. The same problem is logged once until it is over."""
    caplog.set_level(logging.WARNING)
    answers: Iterator[Maintained | Exception] = iter(
        [
            Maintained("merged", 0.2),
            OSError("no space left"),
            OSError("no space left"),
            Maintained("", 5.0, ("the archive is not there",)),
            Maintained("", 5.0, ("the archive is not there",)),
            OSError("no space left"),
        ]
    )
    over, pauses = Event(), Queue[float]()

    def maintain(_: Pause) -> Maintained:
        answer = next(answers, None)
        if answer is None:
            over.set()
            return Maintained("", 5.0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def no_pause(seconds: float) -> float:
        pauses.put(seconds)
        return 3600.0 if over.is_set() else 0.0

    timer = UpkeepTimer(maintain, no_pause)
    timer.start()
    assert over.wait(30)
    timer.stop()
    wanted = [IDLE_PAUSE_SECONDS, 0.2, FAILED_PAUSE_SECONDS, FAILED_PAUSE_SECONDS, 5.0, 5.0, FAILED_PAUSE_SECONDS]
    assert [pauses.get_nowait() for _ in wanted] == wanted
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [
        "maintenance of the ledger failed, it is tried again: no space left",
        "the archive is not there",
        "maintenance of the ledger failed, it is tried again: no space left",
    ]


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 3), (3600.0, 0)])
def test_free_memory_goes_back_after_work_but_not_each_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, times: int
) -> None:
    monkeypatch.setattr("collector.upkeep_timer.GIVE_BACK_SECONDS", seconds)
    given_back, over = Queue[None](), Event()
    monkeypatch.setattr("collector.memory.give_back", lambda: given_back.put(None))
    pieces = iter(range(3))

    def maintain(_: Pause) -> Maintained:
        if next(pieces, None) is None:
            over.set()
            raise OSError("no space left")  # nothing goes back after a failure
        return Maintained("merged", 0.2)

    timer = UpkeepTimer(maintain, lambda _: 3600.0 if over.is_set() else 0.0)
    timer.start()
    assert over.wait(30)
    timer.stop()
    assert given_back.qsize() == times


def test_a_timer_that_never_started_stops() -> None:
    """As after a service that could not start."""
    UpkeepTimer(lambda _: Maintained("", 5.0)).stop()


def test_a_piece_rests_after_each_step_by_what_the_step_took() -> None:
    """The rest is asked for in proportion to the CPU of the step."""
    asked, over = Queue[float](), Event()

    def maintain(rest: Pause) -> Maintained:
        for cpu_seconds in (0.001, 0.02):
            rest(cpu_seconds)
        over.set()
        return Maintained("merged", 3600.0)

    def no_pause(seconds: float) -> float:
        asked.put(seconds)
        return 3600.0 if seconds == 3600.0 else 0.0

    timer = UpkeepTimer(maintain, no_pause)
    timer.start()
    assert over.wait(30)
    timer.stop()
    assert [asked.get_nowait() for _ in range(3)] == [IDLE_PAUSE_SECONDS, 0.001 * REST_FACTOR, 0.02 * REST_FACTOR]


def test_a_stop_does_not_wait_for_rests() -> None:
    """A merge under way ends as fast as it can once the collector is told to stop."""
    begun, ended = Event(), Event()
    steps = 0

    def maintain(rest: Pause) -> Maintained:
        nonlocal steps
        begun.set()
        for _ in range(int(3600 / LONGEST_REST_SECONDS)):  # an hour of rests
            rest(3600.0)
            steps += 1
        ended.set()
        return Maintained("merged", 3600.0)

    timer = UpkeepTimer(maintain, lambda seconds: 0.0 if seconds == IDLE_PAUSE_SECONDS else seconds)
    timer.start()
    assert begun.wait(30)
    timer.stop()
    assert ended.is_set()
    assert steps == int(3600 / LONGEST_REST_SECONDS)
