"""What is said of a stored call later stands beside its segment; any way of sending ends in the same ledger."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from collector import attribute as stage
from collector.decode.columns import OWNER_COLUMNS
from collector.store import Store
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import SECOND_NS, START_NS, batch, call, span

OWNERS = ", ".join(f'"{name}"' for name in OWNER_COLUMNS)
EVERYTHING = {
    "spans": "SELECT * EXCLUDE (seq, start_time, end_time), epoch_ns(start_time), epoch_ns(end_time) FROM spans",
    "attempts": f"SELECT trace_id, span_id, counted, not_counted_reason, duplicate_of, {OWNERS}, attempt, retry_of, "
    "wasted, provider, request_model, response_model, response_id, cache_read_tokens, cost_usd FROM attempts",
    "total": "SELECT count(*), sum(cost_usd) FROM calls",
    "customers": "SELECT customer, calls, cost_usd FROM customers",
}


TOTAL = "SELECT count(*), sum(cost_usd)::VARCHAR, max(cache_read_tokens) FROM calls"


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: store.read(lambda reader, sql=sql: sorted(reader.rows(sql), key=repr))  # type: ignore[misc]
        for name, sql in EVERYTHING.items()
    }


def counted(store: Store) -> list[tuple[Any, ...]]:
    sql = "SELECT span_id, counted, agent, customer FROM attempts ORDER BY span_id"
    return store.read(lambda reader: reader.rows(sql))


def amended(store: Store) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows("SELECT seq, revision FROM _ledger.amendment ORDER BY seq"))


def run(trace: int, chance: random.Random) -> list[dict[str, Any]]:
    """A root that names the customer, a wrapper that repeats its calls, calls, and second records of some of them."""
    calls = range(3, 3 + chance.randint(1, 6))
    rows = [span(trace, 1, customer=f"customer-{trace % 3}", scope_name="web")]
    wrapper = {"call_kind": "aggregate", "input_tokens": 1000 * len(calls), "output_tokens": 100 * len(calls)}
    rows.append(
        call(trace, 2, 1, agent=f"agent-{trace % 4}", operation="invoke_agent", scope_name="framework", **wrapper)
    )
    for number in calls:
        values: dict[str, Any] = {"response_id": f"chatcmpl-{trace:08}-{number:08}", "scope_name": "sdk"}
        rows.append(call(trace, number, 2, **values))
        if chance.random() < 0.4:  # in the same trace, or in one that knows of no parent
            second = values | {
                "scope_name": "second",
                "cache_read_tokens": 40,
                "start_time_ns": rows[-1]["start_time_ns"],
            }
            other = trace if chance.random() < 0.5 else 1000 * trace + number
            rows.append(call(other, number + 100, 2 if other == trace else None, **second))
    return rows


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (1, {}),
        (2, {"recent_bytes": 0}),
        (3, {"recent_bytes": 20_000}),
        (4, {"indexed_traces": 100_000, "recent_bytes": 0}),
    ],
    ids=["in memory", "on disk", "both", "on disk again"],
)
def test_any_way_of_sending_ends_in_the_same_ledger(open_store: OpenStore, seed: int, options: dict[str, int]) -> None:
    """Shuffled, in many small appends, a third of it twice, with restarts: spans, calls, owners, cost, rollups."""
    chance = random.Random(seed)
    rows = [row for trace in range(1, 13) for row in run(trace, chance)]
    sent = [*rows, *chance.sample(rows, len(rows) // 3)]
    chance.shuffle(sent)
    store = open_store(**options)
    accepted = at = 0
    while at < len(sent):
        size = chance.choice([1, 1, 2, 3, 8, 20])
        accepted += store.append(batch(sent[at : at + size]), stage.attribute).accepted
        at += size
        if chance.random() < 0.05:
            store.stop()
            store = open_store(**options)
    assert accepted == len(rows)
    found = everything(store)
    store.stop()
    reference = open_store(path=store.layout.published.with_name("reference.duckdb"))
    reference.append(batch(rows), stage.attribute)
    assert found == everything(reference)


@pytest.mark.parametrize("recent_bytes", [64 << 20, 0], ids=["in memory", "on disk"])
def test_a_late_parent_changes_the_owner_of_stored_calls(open_store: OpenStore, recent_bytes: int) -> None:
    """Once per change: what stays as it was is not written again, and a newer amendment replaces the older."""
    store = open_store(recent_bytes=recent_bytes)
    store.append(batch([call(1, 3, 2), call(1, 4, 2, customer="own")]), stage.attribute)
    assert amended(store) == []
    store.append(batch([span(1, 2, 1, agent="planner")]), stage.attribute)
    assert amended(store) == [(1, 2), (2, 2)]
    store.append(batch([span(1, 1, customer="acme")]), stage.attribute)
    assert amended(store) == [(1, 3), (2, 2)]
    expected = [("0000000100000003", True, "planner", "acme"), ("0000000100000004", True, "planner", "own")]
    assert counted(store) == expected
    store.stop()
    assert counted(open_store()) == expected


@pytest.mark.parametrize("recent_bytes", [64 << 20, 0], ids=["in memory", "on disk"])
def test_a_wrapper_that_arrives_late_is_not_counted(
    open_store: OpenStore, ledger_path: Path, recent_bytes: int
) -> None:
    """It repeats its call's usage; if it came first, it counts until its call is there."""
    inner, outer = call(1, 2, 1, scope_name="sdk"), call(1, 1, scope_name="framework", agent="planner")
    outer |= {"start_time_ns": inner["start_time_ns"] - 1, "end_time_ns": inner["end_time_ns"] + 1}
    for rows, path in (([inner, outer], "late"), ([outer, inner], "early")):
        store = open_store(path=ledger_path.with_name(f"{path}.duckdb"), recent_bytes=recent_bytes)
        store.append(batch(rows[:1]), stage.attribute)
        assert [row[1] for row in counted(store)] == [True]
        store.append(batch(rows[1:]), stage.attribute)
        assert [(row[0][-1], row[1]) for row in counted(store)] == [("1", False), ("2", True)]


def test_a_duplicate_in_another_trace_is_one_call(open_store: OpenStore, ledger_path: Path) -> None:
    """Whichever comes first; what only the second record says is filled in."""
    values: dict[str, Any] = {"response_id": "chatcmpl-0000000001", "provider": "openai", "scope_name": "a"}
    first = call(1, 1, **values)
    second = call(
        2, 1, **values | {"scope_name": "b", "cache_read_tokens": 40, "start_time_ns": first["start_time_ns"]}
    )
    for rows in ([first, second], [second, first]):
        store = open_store(path=ledger_path.with_name(f"{rows[0]['trace_id']}.duckdb"))
        for row in rows:
            store.append(batch([row]), stage.attribute)
        assert store.read(lambda reader: reader.rows(TOTAL)) == [(1, "0.012500000000", 40)]
        assert sum(row[1] for row in counted(store)) == 1


def test_spans_of_absurd_times_do_not_hide_resends(open_store: OpenStore) -> None:
    """1970 and 2200 in one segment with today: each span is looked for by its own start, also when its trace has
    fallen out of memory."""
    starts = [0, 1, START_NS, START_NS + SECOND_NS, START_NS + 10**9 * SECOND_NS * 5, 2**62]
    rows = [call(trace, 1, start_time_ns=at, end_time_ns=at) for trace, at in enumerate(starts, 1)]
    store = open_store()
    for row in rows:
        store.append(batch([row]), stage.attribute)
    store.append(
        batch([{**row, "trace_id": f"{99:032x}", "span_id": f"{n:016x}"} for n, row in enumerate(rows)]),
        stage.attribute,
    )
    store.stop()
    store = open_store(indexed_traces=1, recent_bytes=0)
    assert store._ledger.known.covered_from > 0
    again = store.append(batch([*reversed(rows), call(200, 1)]), stage.attribute)
    assert (again.accepted, again.duplicates, again.changed) == (1, 6, 0)
    (today,) = {row["start_time_ns"] for row in rows[2:3]}
    candidates = [segment for segment in store._ledger.catalog.segments if segment.overlaps([(today, today)])]
    assert len(candidates) <= 3
