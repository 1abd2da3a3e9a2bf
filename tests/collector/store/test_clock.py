"""A wrong clock removes nothing: jumps and absences are doubted for a day, and the doubt survives a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.store.clock import BELIEVED_SECONDS, Doubt, Reading, WallClock
from collector.store.maintenance import maintain
from collector.store.upkeep import Keep, Retention
from tests.collector.store.scratch_ledger import ScratchLedger
from tests.collector.store.test_retention import DAY, aged, ids, ledger_with

HOUR = 3_600.0
YEAR = 365 * DAY


@dataclass
class Hands:
    """Two clocks that a test moves."""

    wall_seconds: float = 1_800_000_000.0
    steady_seconds: float = 5.0

    def pass_by(self, seconds: float) -> None:
        self.wall_seconds += seconds
        self.steady_seconds += seconds

    def clock(self, tmp_path: Path) -> WallClock:
        """As a new run makes it."""
        return WallClock(tmp_path / "clock", lambda: self.wall_seconds, lambda: self.steady_seconds)


def test_time_that_passes_is_never_doubted(tmp_path: Path) -> None:
    hands = Hands()
    clock = hands.clock(tmp_path)
    for seconds in (0.2, 5, 50 * HOUR, 400 * DAY):
        hands.pass_by(seconds)
        assert clock.read() == Reading(datetime.fromtimestamp(hands.wall_seconds, UTC))


@pytest.mark.parametrize("seconds", [2 * HOUR, 30 * DAY, 10 * YEAR])
def test_a_jump_ahead_is_believed_after_a_day_or_over_when_it_is_put_right(tmp_path: Path, seconds: float) -> None:
    hands = Hands()
    clock = hands.clock(tmp_path)
    clock.read()
    hands.wall_seconds += seconds
    assert clock.read().doubt is Doubt.JUMPED
    hands.pass_by(BELIEVED_SECONDS - 1)
    assert clock.read().doubt is Doubt.JUMPED
    hands.wall_seconds -= seconds
    assert clock.read().doubt is None
    hands.wall_seconds += seconds
    assert clock.read().doubt is Doubt.JUMPED
    hands.pass_by(BELIEVED_SECONDS)
    assert clock.read().doubt is None


def test_going_back_and_small_corrections_are_no_reason_to_doubt(tmp_path: Path) -> None:
    hands = Hands()
    clock = hands.clock(tmp_path)
    clock.read()
    for seconds in (HOUR - 1, -30 * DAY, 60):
        hands.wall_seconds += seconds
        assert clock.read().doubt is None


def test_a_jump_is_doubted_by_the_next_run_too(tmp_path: Path) -> None:
    """The time of a doubted clock is not kept, so a restart does not make it right."""
    hands = Hands()
    clock = hands.clock(tmp_path)
    clock.read()
    hands.wall_seconds += 10 * YEAR
    assert clock.read().doubt is Doubt.JUMPED
    again = hands.clock(tmp_path)
    assert again.read().doubt is Doubt.ABSENT
    (tmp_path / "clock").unlink()
    assert hands.clock(tmp_path).read().doubt is None


@pytest.mark.parametrize("content", [b"", b"short", b"far too long to be a time"])
def test_a_damaged_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clock").write_bytes(content)
    assert Hands().clock(tmp_path).read().doubt is None


def upkeep(ledger: ScratchLedger, clock: Reading) -> tuple[str, tuple[str, ...]]:
    """One piece of work at a time of the test's choice."""
    done = maintain(ledger.read, ledger.write, ledger.layout.segments, ledger.config, lambda old, new: None, clock)
    return done.did, done.problems


def test_nothing_is_removed_by_the_age_of_a_clock_that_jumped(tmp_path: Path) -> None:
    """The reason names what to do; by size is removed as always."""
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    ledger.append([aged(1, 1), aged(2, 2)])
    later = datetime.now(UTC) + timedelta(days=3_650)
    did, (problem,) = upkeep(ledger, Reading(later, Doubt.JUMPED))
    assert did == ""
    assert str(ledger.layout.clock) in problem
    assert f"{later:%Y-%m-%d}" in problem
    assert upkeep(ledger, Reading(later)) == ("removed 2 spans by age", ())


def test_what_is_too_large_goes_whatever_the_time_is(tmp_path: Path) -> None:
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY, max_size_bytes=1)))
    ledger.append([aged(1, 1)])
    ledger.append([aged(2, 1)])
    later = datetime.now(UTC) + timedelta(days=3_650)
    assert upkeep(ledger, Reading(later, Doubt.JUMPED)) == ("removed 1 spans by size", ())


@pytest.mark.parametrize(("young", "left"), [(1, [1, 2, 3]), (2, [3, 4])])
def test_after_an_absence_most_spans_do_not_go_at_once(tmp_path: Path, young: int, left: list[int]) -> None:
    """Two of three would go: they stay. Two of four: they go."""
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    ledger.append([aged(1, 100), aged(2, 120)])
    ledger.append([aged(3 + number, 1) for number in range(young)])
    upkeep(ledger, Reading(datetime.now(UTC), Doubt.ABSENT))
    assert ids(ledger) == left
