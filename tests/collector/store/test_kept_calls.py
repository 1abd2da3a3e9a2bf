"""Calls that are kept in memory for questions are those of the publication that is asked, and no more are kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.questions.breakdown import Grouping, breakdown
from collector.questions.selection import Ask, Filter, Selection, Window
from collector.questions.spend import spend
from collector.store import kept_calls
from collector.store.generations import Generations
from collector.store.store import Store
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import SECOND_NS, START_NS, attribute, batch, call, span

ZONE = ZoneInfo("UTC")
DAY_NS = 86_400 * SECOND_NS
CALL = Decimal("0.0125")
START = datetime.fromtimestamp(START_NS / 1e9, UTC)


@pytest.fixture
def generations(ledger_path: Path) -> Iterator[Generations]:
    """That sum nothing up."""
    opened = Generations(ledger_path, ZONE, unsummed_rows=10**9)
    opened.open()
    yield opened
    opened.close()


def calls_of(ask: Ask, since: datetime | None = None, *filters: Filter) -> int:
    return spend(ask, Selection(None, Window(since, None, ZONE), filters)).total.calls


def tables(ask: Any) -> list[str]:
    said = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'kept' ORDER BY table_name"
    return ask(said, {}).column(0).to_pylist()  # type: ignore[no-any-return]


def come(store: Store, *rows: dict[str, Any]) -> None:
    store.append(batch(list(rows)), attribute)
    store.publish()


def test_each_publication_adds_what_is_new_and_older_ones_do_not_see_it(
    open_store: OpenStore, generations: Generations
) -> None:
    store = open_store()
    come(store, call(1, 1))
    with generations.current():  # somebody asks: from now on calls are kept
        pass
    found, known = [], set()
    for number in range(2, 5):
        come(store, call(number, 1), call(number, 2, agent="a"))
        generations.step()
        with generations.current() as ask:
            before = calls_of(ask)
            come(store, call(10 * number, 1))
            generations.step()
            assert calls_of(ask) == before
            found.append((before, calls_of(ask, None, Filter("agent", ("a",)))))
            known |= set(tables(ask))
    assert found == [(3, 1), (6, 2), (9, 3)]
    assert len(known) == 2  # rows, and their sums


def test_calls_whose_owner_is_learned_later_are_not_counted_twice(
    open_store: OpenStore, generations: Generations
) -> None:
    store = open_store()
    come(store, call(1, 2, 1), call(2, 2, 1))
    with generations.current():
        pass
    found = []
    for late in ([span(1, 1, customer="a")], [span(2, 1, customer="b")]):
        come(store, *late)
        generations.step()
        with generations.current() as ask:
            rows = breakdown(ask, Selection(None, Window(None, None, ZONE)), Grouping(("customer",), sort="name")).rows
            found.append({row.key[0]: row.measures.cost_usd for row in rows})
    assert found == [{"a": CALL, None: CALL}, {"a": CALL, "b": CALL}]


def test_segments_that_are_read_together_are_told_apart_when_one_changes(
    open_store: OpenStore, generations: Generations
) -> None:
    store = open_store()
    for number in range(1, 5):
        come(store, call(number, 2, 1), call(10 * number, 2, 1))
    with generations.current():
        pass
    found = []
    for late in (span(5, 1), span(1, 1, customer="a"), span(30, 1, customer="b")):
        come(store, late)
        generations.step()
        with generations.current() as ask:
            found.append((calls_of(ask), calls_of(ask, None, Filter("customer", ("a", "b")))))
    assert found == [(8, 0), (8, 1), (8, 2)]


def test_calls_of_segments_that_were_merged_are_let_go(
    open_store: OpenStore, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_calls, "MOST_GONE_ROWS", 3)
    store = open_store()
    come(store, call(1, 1))
    with generations.current():
        pass
    for number in range(2, 8):
        come(store, call(number, 1))
        generations.step()
    store.maintain()
    come(store, call(8, 1))
    generations.step()
    generations.step()
    with generations.current() as ask:
        assert calls_of(ask) == 8
        rows, sums = tables(ask)
        assert ask(f"SELECT count(*) AS n FROM kept.main.{rows}", {}).column(0).to_pylist() == [8]
        assert sums == f"{rows}_summed"


def test_more_calls_than_may_be_kept_are_read_where_they_are(
    open_store: OpenStore, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_calls, "MOST_ROWS", 2)
    store = open_store()
    come(store, call(1, 1))
    for number in range(2, 6):
        with generations.current():
            pass
        come(store, call(number, 1))
        generations.step()
        generations.step()
    with generations.current() as ask:
        assert calls_of(ask) == 5
        assert tables(ask) == []


def test_a_day_that_is_pushed_out_stays_for_questions_that_know_it(
    open_store: OpenStore, ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    for day in range(4):
        start_ns = START_NS + day * DAY_NS
        come(store, *(call(10 * day + number, 1, start_time_ns=start_ns, end_time_ns=start_ns) for number in range(3)))
    generations = Generations(ledger_path, ZONE, unsummed_rows=0)
    generations.open()
    generations.step()
    generations.step()
    monkeypatch.setattr(kept_calls, "MOST_ROWS_OF_DAYS", 6)
    before = timedelta(minutes=5)
    with generations.current() as ask:
        rolled = ask.rolled
        assert rolled is not None
        first = rolled.covered(START - before, START + before)
        for day in range(1, 4):
            with generations.current() as other:
                since = START + timedelta(days=day) - before
                assert calls_of(other, since) == 3 * (4 - day)
        generations.step()
        assert ask(f"SELECT count(*) AS n FROM {first}", {}).column(0).to_pylist() == [3]
    generations.step()
    with generations.current() as ask:
        assert len(tables(ask)) == 2
    monkeypatch.setattr(kept_calls, "MOST_ROWS_OF_DAYS", 2)
    with generations.current() as ask:
        assert calls_of(ask, START - before) == 12
    generations.close()
