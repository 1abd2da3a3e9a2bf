"""Maintenance under a real store: what users see stays the same, and the writer goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector import attribute as stage
from collector.store import Store
from collector.store.checkup import examine
from collector.store.query import query_published
from collector.store.scrub import scrub
from collector.store.upkeep import Archive, Keep, Retention
from tests.collector.store.ledger_rows import attribute, batch, call, span
from tests.collector.store.test_retention import DAY, aged

OpenStore = Callable[..., Store]


def settle(store: Store) -> list[str]:
    did = []
    while work := store.maintain().did:
        did.append(work)
    return did


def seen(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All that the public views say of spans and of attempts."""
    texts = "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM"
    spans = query_published(path, f"{texts} spans ORDER BY seq").to_pylist()
    return spans, query_published(path, f"{texts} attempts ORDER BY seq").to_pylist()


def scattered() -> list[list[dict[str, Any]]]:
    """Sixteen traces whose root, which owns them, comes in a batch after their calls; some calls come twice."""
    first = [[call(trace, 2, 1), call(trace, 3, 1, response_id=f"r{trace // 2}")] for trace in range(16)]
    return [*first, *([span(trace, 1, agent=f"agent {trace % 3}")] for trace in range(16))]


def doubled() -> list[list[dict[str, Any]]]:
    """Calls that two instrumentations record, in one batch or in two: one knows what came from the cache and has no
    parent, the other says the provider and the model of the answer. Roots that name run and customer come last."""
    batches, later, roots = [], [], []
    for trace in range(18):
        values: dict[str, Any] = {"response_id": f"chatcmpl-{trace:012}"}
        kept = call(trace, 2, 1, **values, scope_name="sdk", response_model="gpt-4o-1", cache_read_tokens=None)
        values |= {"provider": None if trace % 3 else "openai", "start_time_ns": kept["start_time_ns"]}
        copy = call(100 + trace, 1, **values, scope_name="http", cache_read_tokens=40, team="red")
        batches.append([kept, copy] if trace % 2 else [kept, call(trace, 3, 1, provider=None)])
        later += [] if trace % 2 else [[copy]]
        roots.append([span(trace, 1, customer=f"customer {trace % 4}", run=f"run {trace}")])
    return [*batches, *later, *roots]


def whole(path: Path, attribute: Callable[[Any], Any] = attribute) -> None:
    """The ledger is sound down to the last column; the store is stopped."""
    checkup, copied = examine(path)
    assert copied is not None
    scrub(checkup, copied, attribute)
    assert [finding.what for finding in checkup.findings if finding.severity != "note"] == []


def test_views_say_the_same_before_and_after(open_store: OpenStore, ledger_path: Path) -> None:
    """Merged files with verdicts taken in, read by the publication; a resend of everything adds nothing."""
    store = open_store()
    for spans in scattered():
        store.append(batch(spans), attribute)
    store.publish()
    before = seen(ledger_path)
    assert settle(store)
    assert store.publish()
    assert seen(ledger_path) == before
    for spans in scattered():
        again = store.append(batch(spans), attribute)
        assert (again.accepted, again.duplicates, again.changed) == (0, len(spans), 0)
    store.stop()
    assert seen(ledger_path) == before
    whole(ledger_path)


def test_late_spans_of_merged_traces_are_judged_with_them(open_store: OpenStore, ledger_path: Path) -> None:
    """Merging between the calls and their roots leads to the same verdicts, also after a restart in between."""
    straight = open_store()
    for spans in scattered():
        straight.append(batch(spans), attribute)
    straight.stop()
    wanted = seen(ledger_path)[1]
    other = ledger_path.with_name("other.duckdb")
    store = open_store(path=other)
    for number, spans in enumerate(scattered()):
        store.append(batch(spans), attribute)
        settle(store)
        if number == 15:
            store.stop()
            store = open_store(path=other)
    store.stop()
    assert seen(other)[1] == wanted
    whole(other)


@pytest.mark.parametrize("recent_bytes", [64 << 20, 0], ids=["in memory", "on disk"])
@pytest.mark.parametrize("archived", [False, True], ids=["merged", "archived"])
def test_what_second_records_fill_in_survives_being_rewritten(
    open_store: OpenStore, ledger_path: Path, tmp_path: Path, archived: bool, recent_bytes: int
) -> None:
    """Rows that took it in are judged again, and compared with resends, by what their spans said themselves."""
    straight = open_store()
    for spans in doubled():
        straight.append(batch(spans), stage.attribute)
    assert straight.read(lambda reader: reader.rows("SELECT count(*) > 12 FROM _ledger.amendment")) == [(True,)]
    filled = "SELECT count(*) FROM calls JOIN spans USING (seq) WHERE calls.provider <> ifnull(spans.provider, '')"
    assert straight.read(lambda reader: reader.rows(filled)) == [(12,)]
    runs = "SELECT count(*), count_if(run LIKE 'run %') FROM calls"  # at first a trace of no other name
    assert straight.read(lambda reader: reader.rows(runs)) == [(27, 27)]
    straight.stop()
    wanted = seen(ledger_path)
    options: dict[str, Any] = {"path": ledger_path.with_name("other.duckdb"), "recent_bytes": recent_bytes}
    options |= {"archive": Archive(tmp_path / "cold", 30 * DAY)} if archived else {}
    store = open_store(**options)
    for number, spans in enumerate(doubled()):
        store.append(batch(spans), stage.attribute)
        if number % 12 == 11:
            settle(store)
            store.stop()
            store = open_store(**options)
    for spans in doubled():
        again = store.append(batch(spans), stage.attribute)
        assert (again.accepted, again.changed) == (0, 0)
    store.stop()
    assert seen(options["path"]) == wanted
    whole(options["path"], stage.attribute)


def test_no_amendment_outlives_a_merge(open_store: OpenStore, ledger_path: Path) -> None:
    """Also of calls with a second record: the manifest stays small, whatever the apps are instrumented with."""
    store = open_store()
    for spans in doubled():
        store.append(batch(spans), stage.attribute)
    before = store.publish() and seen(ledger_path)
    assert settle(store)
    (count,) = store.read(lambda reader: reader.rows("SELECT count(*) FROM _ledger.amendment"))[0]
    live = store.read(lambda reader: reader.segments)
    later = store.read(
        lambda reader: reader.rows("SELECT count(*) FROM _ledger.amendment WHERE seq > ?", [live[0].last_seq])
    )
    assert [(count,)] == later
    store.publish()
    assert seen(ledger_path) == before


@pytest.mark.parametrize("restart", [False, True])
def test_archived_traces_can_still_be_added_to(
    open_store: OpenStore, ledger_path: Path, tmp_path: Path, restart: bool
) -> None:
    """A root that comes after its calls were archived owns them; a resend of archived spans is known."""
    archive = Archive(tmp_path / "cold", 30 * DAY)
    store = open_store(archive=archive)
    spans = [aged(number, 35 + number % 3, org=f"org {number % 2}") for number in range(12)]
    for start in range(0, 12, 4):
        store.append(batch(spans[start : start + 4]), attribute)
    assert any(did.startswith("archived 12 spans") for did in settle(store))
    if restart:
        store.stop()
        store = open_store(archive=archive)
    again = store.append(batch(spans), attribute)
    assert (again.accepted, again.duplicates, again.changed) == (0, 12, 0)
    late = [{**aged(number, 36, org=f"org {number % 2}"), "span_id": f"{number:016x}", "response_id": None}
            for number in range(12)]  # fmt: skip
    assert store.append(batch(late), attribute).accepted == 12
    store.publish()
    assert query_published(ledger_path, "SELECT count(*) AS n FROM calls").to_pylist() == [{"n": 24}]
    store.stop()
    whole(ledger_path)


def test_expired_spans_leave_the_views_and_may_come_again(open_store: OpenStore, ledger_path: Path) -> None:
    """Removed by age: gone from the views, the sums balance at the next start, a resend is a new span."""
    store = open_store(retention=Retention(Keep(max_age_seconds=90 * DAY)))
    store.append(batch([aged(1, 100), aged(2, 100)]), attribute)
    store.append(batch([aged(3, 1)]), attribute)
    assert settle(store) == ["removed 2 spans by age"]
    store.publish()
    assert query_published(ledger_path, "SELECT count(*) AS n FROM spans").to_pylist() == [{"n": 1}]
    store.stop()
    whole(ledger_path)
    store = open_store()
    assert store.append(batch([aged(1, 100)]), attribute).accepted == 1
    store.stop()
    whole(ledger_path)
