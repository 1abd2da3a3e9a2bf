"""Leases of a killed collector, and files that are torn, full or missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collector.budgets import lease_log
from collector.budgets.held import Amounts, CallUnderWay, SettledCall
from collector.budgets.lease_log import LeaseLog
from collector.budgets.lease_table import GRACE_NS, LEASE_NS
from collector.budgets.leases import LeaseBook
from collector.budgets.model import Lease
from tests.collector.budgets.leasing import NOON_NS, SECOND_NS, Clocks, Spending, claim_of, rule_of

RULE = rule_of("r", 1000)
RESERVED = Amounts(10, 10, 1)


def open_book(path: Path, clocks: Clocks) -> LeaseBook:
    book = LeaseBook(Spending((RULE,)), LeaseLog(path), steady_ns=clocks.steady)
    book.restore()
    book.set_rules([RULE], "1")
    return book


def granted(book: LeaseBook) -> Lease:
    found = book.lease(claim_of(10), "h", NOON_NS)
    assert isinstance(found, Lease)
    return found


def kept(book: LeaseBook) -> int:
    return book.leased(Spending((RULE,)).keys(claim_of(), NOON_NS)["r"])


def test_leases_of_a_killed_collector_are_honoured_until_they_end(tmp_path: Path) -> None:
    clocks = Clocks()
    granted(open_book(tmp_path / "log", clocks))
    clocks.advance(0.5)
    after = open_book(tmp_path / "log", clocks)
    assert kept(after) == 10
    clocks.advance(LEASE_NS / SECOND_NS)
    assert kept(after) == 0


def test_what_is_held_for_a_job_is_held_after_a_kill_and_free_once_it_is_read(tmp_path: Path) -> None:
    clocks = Clocks()
    book = open_book(tmp_path / "log", clocks)
    assert book.hold(granted(book).lease_id, "batch-1", 3600 * SECOND_NS)
    after = open_book(tmp_path / "log", clocks)
    clocks.advance(1800)
    assert kept(after) == 10
    assert after.read("batch-1")
    clocks.advance(GRACE_NS / SECOND_NS - 1)
    last = open_book(tmp_path / "log", clocks)
    assert kept(last) == 10
    clocks.advance(GRACE_NS / SECOND_NS)
    assert kept(last) == 0
    assert not last.read("batch-1")


def test_what_was_said_of_a_lease_is_not_forgotten(tmp_path: Path) -> None:
    """Settled calls, calls under way and stored spans: each is kept once, after one kill or several."""
    clocks = Clocks()
    book = open_book(tmp_path / "log", clocks)
    lease_id = granted(book).lease_id
    other_id = granted(book).lease_id
    book.settle(lease_id, [SettledCall(0, RESERVED, Amounts(7, 7, 1))], NOON_NS)
    book.release(lease_id, [CallUnderWay(1, RESERVED)])
    before = kept(book)
    assert before > 17
    for _ in range(2):
        clocks.steady_ns = 77
        book = open_book(tmp_path / "log", clocks)
        assert kept(book) == before
    book.settle(lease_id, [SettledCall(0, RESERVED, Amounts(7, 7, 1))], NOON_NS)
    assert kept(book) == before
    book.release(other_id)
    assert kept(book) == 17
    clocks.advance(GRACE_NS / SECOND_NS)
    assert kept(open_book(tmp_path / "log", clocks)) == 17, "time in which nobody could be heard does not count"


def test_a_lease_that_has_ended_does_not_come_back(tmp_path: Path) -> None:
    """Even if nothing else was written after its end."""
    clocks = Clocks()
    book = open_book(tmp_path / "log", clocks)
    granted(book)
    clocks.advance(LEASE_NS / SECOND_NS)
    book.expire()
    assert kept(open_book(tmp_path / "log", clocks)) == 0


def test_a_torn_last_line_costs_that_line(tmp_path: Path) -> None:
    clocks, path = Clocks(), tmp_path / "log"
    book = open_book(path, clocks)
    granted(book)
    one = path.read_bytes()
    granted(book)
    for end in range(len(one), path.stat().st_size):
        path.with_name("torn").write_bytes(path.read_bytes()[:end])
        torn = LeaseBook(Spending((RULE,)), LeaseLog(path.with_name("torn")), steady_ns=clocks.steady)
        assert torn.restore() == (2 if end == path.stat().st_size - 1 else 1)
        torn.close()


@pytest.mark.parametrize(
    "line",
    ["", "x", "[]", "{}", "7", '["lease",1]', '["lease",1,2,3,4,5,6,7,8,9,10,11,12,13,14]', '["stored",1,[[1]]]'],
)
def test_lines_that_nobody_wrote_are_passed_over(tmp_path: Path, line: str) -> None:
    clocks, path = Clocks(), tmp_path / "log"
    granted(open_book(path, clocks))
    path.write_text(f"{line}\n{path.read_text()}{line}\n")
    assert kept(open_book(path, clocks)) == 10


def test_a_long_log_is_begun_anew_with_the_leases_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_log, "ROTATED_AT_BYTES", 2000)
    clocks, path = Clocks(), tmp_path / "log"
    book = open_book(path, clocks)
    granted(book)
    for _ in range(500):
        book.release(granted(book).lease_id)
    assert path.stat().st_size < 3000
    assert kept(open_book(path, clocks)) == 10


def test_leases_go_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = LeaseLog(tmp_path / "file" / "log")
    book = LeaseBook(Spending((RULE,)), log, steady_ns=Clocks().steady)
    assert book.restore() == 0
    book.set_rules([RULE], "1")
    granted(book)
    assert kept(book) == 10
    assert log.failures > 0


def test_a_disk_that_is_full_for_a_while_costs_the_lines_of_that_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks, path = Clocks(), tmp_path / "log"
    book = open_book(path, clocks)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]))
    granted(book)
    monkeypatch.setattr(os, "write", real)
    granted(book)
    assert kept(book) >= 20
    assert 10 <= kept(open_book(path, clocks)) < kept(book)
