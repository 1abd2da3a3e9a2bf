"""The table behind `calls` is true to whole traces, whatever order their spans arrive in."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pyarrow as pa

from collector import attribute as stage
from collector.store import Store
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

VERDICTS = """
SELECT trace_id, span_id, counted, duplicate_of, agent, customer, cost_usd, org_id FROM attempts
ORDER BY org_id, trace_id, span_id
"""


def verdicts(store: Store) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows(VERDICTS))


def pipeline_runs(**values: Any) -> list[dict[str, Any]]:
    """Four traces: agents two levels deep, a response id shared by two of them, calls of their own owners."""
    rows: list[dict[str, Any]] = []
    for trace in range(1, 5):
        rows.append(span(trace, 1, agent=f"root-{trace}", customer="acme", **values))
        rows.append(span(trace, 2, 1, agent="planner", **values))
        rows.extend(call(trace, number, 2, **values) for number in (3, 4))
        rows.append(call(trace, 5, 1, customer="own", **values))
        rows.append(call(trace, 6, 1, response_id=f"response-{trace // 2}", **values))
    return rows


def test_a_parent_that_comes_later_gives_its_owners_to_its_calls(open_store: OpenStore) -> None:
    """Only the rows that change are written again."""
    store = open_store()
    store.append(batch([call(1, 2, 1), call(1, 3, 1, agent="own"), call(2, 2, 1)]), attribute)
    assert [row[4] for row in verdicts(store)] == [None, "own", None]
    store.append(batch([span(1, 1, agent="planner")]), attribute)
    assert [row[4] for row in verdicts(store)] == ["planner", "own", None]
    revisions = store.read(lambda reader: reader.rows("SELECT revision FROM _ledger.call_log ORDER BY seq"))
    assert revisions == [(2,), (1,), (1,)]


def test_two_traces_with_one_response_id_are_judged_together(open_store: OpenStore) -> None:
    """Also when a third batch reopens one of them, and after a restart."""
    store = open_store()
    store.append(batch([call(2, 1, response_id="r")]), attribute)
    store.append(batch([call(1, 1, response_id="r")]), attribute)
    counted = [(True, None), (False, "0000000100000001")]
    assert [row[2:4] for row in verdicts(store)] == counted
    store.stop()
    store = open_store()
    store.append(batch([span(2, 9, customer="acme")]), attribute)
    store.append(batch([span(1, 9, customer="acme")]), attribute)
    assert [row[2:4] for row in verdicts(store)] == counted


def test_two_new_traces_of_one_batch_with_one_response_id_stay_joined(open_store: OpenStore) -> None:
    """A later span of either does not bring the second record back."""
    store = open_store()
    store.append(batch([call(1, 1, response_id="r"), call(2, 1, response_id="r")]), attribute)
    for trace in (1, 2):
        store.append(batch([span(trace, 9)]), attribute)
        assert [row[2] for row in verdicts(store)] == [True, False]


def test_any_order_of_arrival_ends_in_the_same_verdicts(open_store: OpenStore) -> None:
    """Split at random, resent, with restarts in the middle: as if everything had come in one batch.

    Twelve orders side by side: a batch takes the next few spans of each, for an organisation of each one's own.
    """
    chance = random.Random(1)
    organisations = [f"org-{number}" for number in range(12)]
    lanes = []
    for organisation in organisations:
        rows = pipeline_runs(org_id=organisation)
        lane = [*rows, *chance.sample(rows, 8)]
        chance.shuffle(lane)
        lanes.append(lane)
    store = open_store()
    for batches in itertools.count():
        if not any(lanes):
            break
        taken = [lane.pop() for lane in lanes for _ in range(min(len(lane), chance.randint(1, 5)))]
        store.append(batch(taken), attribute)
        if batches % 4 == 2:
            store.stop()
            store = open_store()
    assert verdicts(store) == _in_one_batch(
        open_store, store, [row for org in organisations for row in pipeline_runs(org_id=org)]
    )


def _in_one_batch(open_store: OpenStore, used: Store, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    used.stop()
    path = used.layout.published.with_name("reference.duckdb")
    reference = open_store(path=path)
    reference.append(batch(rows), attribute)
    return verdicts(reference)


def test_spans_without_any_call_never_reach_attribution(open_store: OpenStore) -> None:
    """A trace that holds no model call is a pure append, however often it is added to."""
    store = open_store()

    def never(_: pa.Table) -> pa.Table:
        raise AssertionError

    store.append(batch([span(1, 1), span(1, 2)]), never)
    store.append(batch([span(1, 3), span(2, 1)]), never)
    store.append(batch([call(1, 4, 1, agent="late")]), attribute)
    assert [row[4] for row in verdicts(store)] == ["late"]


def test_the_real_stage_fits_the_store(open_store: OpenStore) -> None:
    """The product's own attribution, with spans in the wrong order and a gap filled from a second record."""
    store = open_store()
    kept = call(1, 3, 2, response_id="r-1", cache_read_tokens=None)
    copy = call(1, 2, 1, response_id="r-1", cache_read_tokens=40, end_time_ns=kept["end_time_ns"] + 10)
    for rows in ([kept], [copy], [span(1, 1, agent="planner")]):
        store.append(batch(rows), stage.attribute)
    counted = store.read(lambda reader: reader.rows("SELECT agent, cache_read_tokens, response_id FROM calls"))
    assert counted == [("planner", 40, "r-1")]
