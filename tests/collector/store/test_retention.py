"""Removing what is too old or too much: exactly those rows, with books that still balance."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.store import retention, rewrite
from collector.store.retention import org_facts
from collector.store.upkeep import Keep, Retention
from tests.collector.store.ledger_rows import call
from tests.collector.store.scratch_ledger import ScratchLedger

DAY = 86_400.0
NOW_NS = int(datetime.now(UTC).timestamp()) * 10**9


def aged(number: int, days: float, org: str = "default", **values: Any) -> dict[str, Any]:
    """A call that started so many days ago."""
    start_ns = NOW_NS - int(days * DAY) * 10**9
    return call(number, 1, start_time_ns=start_ns, end_time_ns=start_ns + 10**9, org_id=org, **values)


def ledger_with(tmp_path: Path, kept: Retention) -> ScratchLedger:
    return ScratchLedger(tmp_path / "it's a ledger.duckdb", retention=kept)


def written_long_ago(ledger: ScratchLedger) -> None:
    """As if every segment had been written two days ago."""
    ledger.connection.execute("UPDATE _ledger.segment SET written_at = written_at - INTERVAL 2 DAY")


def ids(ledger: ScratchLedger) -> list[int]:
    return [row[0] for row in ledger.ask("SELECT seq FROM spans ORDER BY seq")]


def test_nothing_is_removed_by_default(tmp_path: Path) -> None:
    """Spans from the last century stay where nobody has asked for anything else."""
    ledger = ledger_with(tmp_path, Retention())
    ledger.append([aged(1, 10_000)])
    assert ledger.settle() == []


def test_segments_whose_rows_are_all_too_old_are_dropped(tmp_path: Path) -> None:
    """Without being rewritten; expiry says what went, and sums, amendments and rows agree afterwards."""
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    ledger.append([aged(1, 100), aged(2, 95)])
    ledger.append([aged(3, 10)])
    ledger.amend("seq IN (1, 3)", team="'red'")
    assert ledger.settle() == ["removed 2 spans by age"]
    assert ids(ledger) == [3]
    rows = ledger.connection.execute("SELECT org_id, spans, cost_usd, reason FROM _ledger.expiry").fetchall()
    assert rows == [("default", 2, Decimal("0.025"), "age")]
    assert ledger.connection.execute("SELECT seq FROM _ledger.amendment").fetchall() == [(3,)]
    promised, accounted = ledger.balance()
    assert promised == accounted
    assert ledger.swaps[0][1] == []


def test_a_segment_with_some_old_rows_is_rewritten_once_a_day(tmp_path: Path) -> None:
    """Not at once: the rows go when the file is a day old. Verdicts of those that stay are taken in on the way."""
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    ledger.append([aged(1, 100), aged(2, 10), aged(3, 91), aged(4, 1)])
    ledger.amend("seq IN (1, 2)", team="'red'")
    assert ledger.settle() == []
    written_long_ago(ledger)
    assert ledger.settle() == ["removed 2 spans by age"]
    (segment,) = ledger.live
    assert (segment.first_seq, segment.last_seq, segment.rows) == (2, 4, 2)
    assert ledger.ask("SELECT seq, team FROM spans") == [(2, "red"), (4, None)]
    assert ledger.connection.execute("SELECT count(*) FROM _ledger.amendment").fetchall() == [(0,)]
    promised, accounted = ledger.balance()
    assert promised == accounted


def test_each_organisation_has_its_own_age(tmp_path: Path) -> None:
    """Longer for one, shorter for another, in the same segment; ids with odd characters are ids like any other."""
    kept = Retention(
        Keep(max_age_seconds=90 * DAY),
        (("acme's", Keep(max_age_seconds=365 * DAY)), ("brief", Keep(max_age_seconds=5 * DAY))),
    )
    ledger = ledger_with(tmp_path, kept)
    ledger.append([aged(1, 100), aged(2, 100, "acme's"), aged(3, 10, "brief"), aged(4, 10), aged(5, 400, "acme's")])
    written_long_ago(ledger)
    ledger.settle()
    assert ids(ledger) == [2, 4]
    rows = ledger.connection.execute("SELECT org_id, spans FROM _ledger.expiry ORDER BY org_id").fetchall()
    assert rows == [("acme's", 1), ("brief", 1), ("default", 1)]
    assert ledger.settle() == []


def test_large_row_groups_without_old_rows_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a segment of two row groups, only the one with expired rows is written anew; the rest keeps its bytes."""
    monkeypatch.setattr(rewrite, "COPIED_ROWS", 2)
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    for number in range(16):
        ledger.append([aged(2 * number, 100 if number == 3 else 1), aged(2 * number + 1, 1)])
    ledger.settle()
    written_long_ago(ledger)
    assert ledger.settle() == ["removed 1 spans by age"]
    assert ids(ledger) == [seq for seq in range(1, 33) if seq != 7]
    promised, accounted = ledger.balance()
    assert promised == accounted


def test_beyond_the_size_the_oldest_go_first(tmp_path: Path) -> None:
    """Whole segments by arrival, until the rest fits; the newest one always stays."""
    ledger = ledger_with(tmp_path, Retention())
    for number in range(6):
        ledger.append([aged(number, 1)])
    sizes = [segment.size_bytes for segment in ledger.live]
    object.__setattr__(ledger.config, "retention", Retention(Keep(max_size_bytes=sum(sizes[-3:]))))
    assert ledger.settle() == ["removed 1 spans by size"] * 3
    assert ids(ledger) == [4, 5, 6]
    object.__setattr__(ledger.config, "retention", Retention(Keep(max_size_bytes=1)))
    ledger.settle()
    assert ids(ledger) == [6]
    promised, accounted = ledger.balance()
    assert promised == accounted


def test_beyond_the_size_of_an_organisation_only_its_rows_go(tmp_path: Path) -> None:
    """Others in the same segments keep theirs."""
    ledger = ledger_with(tmp_path, Retention())
    for number in range(4):
        ledger.append([aged(2 * number, 1, "loud"), aged(2 * number + 1, 1, "quiet")])
    half_bytes = sum(segment.size_bytes for segment in ledger.live[-2:]) // 2
    object.__setattr__(ledger.config, "retention", Retention(Keep(), (("loud", Keep(max_size_bytes=half_bytes)),)))
    ledger.settle()
    assert [row[0] for row in ledger.ask("SELECT seq FROM spans WHERE org_id = 'quiet'")] == [2, 4, 6, 8]
    loud = [row[0] for row in ledger.ask("SELECT seq FROM spans WHERE org_id = 'loud' ORDER BY seq")]
    assert loud in ([5, 7], [7])
    promised, accounted = ledger.balance()
    assert promised == accounted


def test_spans_from_the_future_and_the_far_past(tmp_path: Path) -> None:
    """A clock that was wrong: what says 1970 is old, what says 2200 stays, and neither breaks the rest."""
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    ledger.append([aged(1, 1), call(2, 1, start_time_ns=0, end_time_ns=1), aged(3, -60_000)])
    written_long_ago(ledger)
    ledger.settle()
    assert ids(ledger) == [1, 3]


def test_what_a_file_holds_of_each_organisation_is_read_once(tmp_path: Path) -> None:
    """Files never change, so a daily look at thousands of them costs nothing after the first."""
    ledger = ledger_with(tmp_path, Retention(Keep(max_age_seconds=90 * DAY)))
    segment = ledger.append([aged(1, 100), aged(2, 1, "acme")])
    retention.org_facts.cache_clear()
    for _ in range(3):
        assert ledger.settle() == []
    assert retention.org_facts.cache_info().misses == 1
    facts = {fact.org_id: fact.rows for fact in org_facts(ledger.layout.segments / segment.file)}
    assert facts == {"default": 1, "acme": 1}
