"""Sums of the published file, read a few segments at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from collector.questions import buckets
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection, Window
from collector.store.errors import QueryFailed
from collector.store.pieces import Piece, calls_of
from collector.store.query import query_published
from collector.store.query_sums import sums_of_published
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import START_NS, attribute, batch, call, span

ZONE = ZoneInfo("Asia/Kolkata")


def grown(open_store: OpenStore) -> None:
    """Ten segments; agents come after their calls, so that most of them are amended; some calls have no price."""
    store = open_store()
    for trace in range(1, 50, 10):
        calls = [
            call(at, number, 1, cost_pico_usd=None if number == 5 else 10**12 + at)
            for at in (trace, trace + 1)
            for number in (2, 5)
        ]
        store.append(batch(calls), attribute)
        store.append(batch([span(at, 1, agent=f"agent {at % 3}") for at in (trace, trace + 1)]), attribute)
    store.publish()


def answers(ask: Ask) -> tuple[object, ...]:
    selection = Selection(None, Window(None, None, ZONE))
    scope, at = Scope(ask, selection), datetime.fromtimestamp(START_NS // 10**9 + 2_000, UTC)
    named = "key_0, bucket"
    return (
        scope.total(),
        scope.within(at, None).total(),
        scope.table("amounts", bucket=buckets.HOUR, named="bucket"),
        scope.table("amounts", keys=["agent"], bucket=buckets.DAY, named=named).sort_by([("key_0", "ascending")]),
        scope.having().within(at, at).table("amounts", bucket=buckets.DAY, named="bucket"),
    )


@pytest.mark.parametrize("rows_at_once", [1, 7, 1_000])
def test_sums_are_those_of_one_statement(open_store: OpenStore, ledger_path: Path, rows_at_once: int) -> None:
    """To the last digit and in the same types, with amendments and without, whatever is read at once."""
    grown(open_store)

    def few(statement: str, parameters: Mapping[str, object]) -> pa.Table:
        return sums_of_published(ledger_path, statement, parameters, threads=1, rows_at_once=rows_at_once)

    assert answers(few) == answers(lambda statement, given: query_published(ledger_path, statement, given))


def test_a_statement_reads_few_segments(
    open_store: OpenStore, ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each there is time for others, as much as its CPU says."""
    grown(open_store)
    read: list[int] = []
    rested: list[float] = []

    def counted(some: Sequence[Piece], name: str, *, amendments: bool) -> str:
        read.append(len(some))
        return calls_of(some, name, amendments=amendments)

    monkeypatch.setattr("collector.store.query_sums.calls_of", counted)
    count = "SELECT count(*) AS calls FROM calls"
    sums_of_published(ledger_path, count, {}, threads=1, rest=rested.append, rows_at_once=1)
    assert read == [1] * 10
    assert len(rested) == 10
    assert all(0 < cpu_seconds < 1 for cpu_seconds in rested)


def test_an_empty_ledger_has_sums(open_store: OpenStore, ledger_path: Path) -> None:
    open_store()
    found = sums_of_published(ledger_path, "SELECT count(*) AS calls FROM calls", {}, threads=1)
    assert found.to_pylist() == [{"calls": 0}]


def test_what_is_no_sum_is_refused(open_store: OpenStore, ledger_path: Path) -> None:
    """Names would be added up, or one of them chosen."""
    grown(open_store)
    with pytest.raises(QueryFailed, match="agent"):
        sums_of_published(ledger_path, "SELECT agent FROM calls", {}, threads=1, rows_at_once=1)


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_threads_are_taken_than_given(open_store: OpenStore, ledger_path: Path, threads: int) -> None:
    grown(open_store)
    said = "SELECT current_setting('threads') AS threads"
    found = sums_of_published(ledger_path, said, {}, threads=threads, rows_at_once=1_000)
    assert found.to_pylist() == [{"threads": threads}]


def test_a_statement_that_fails_is_said(open_store: OpenStore, ledger_path: Path) -> None:
    grown(open_store)
    with pytest.raises(QueryFailed, match="nothing"):
        sums_of_published(ledger_path, "SELECT nothing FROM calls", {}, threads=1)
    with duckdb.connect(str(ledger_path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM calls").fetchall() == [(True,)]
