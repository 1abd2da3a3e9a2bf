"""What becomes of appended spans: stored once, in order, priced exactly."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from collector.errors import StoreUnavailable
from collector.store import Appended
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import SECOND_NS, START_NS, attribute, batch, call, span

COUNT = "SELECT count(*), count(DISTINCT (org_id, trace_id, span_id)) FROM spans"


def test_a_span_is_stored_with_every_column(open_store: OpenStore) -> None:
    """Ids, times to the nanosecond, exact money, tokens, texts: as appended; what is not said is NULL."""
    store = open_store()
    store.append(
        batch(
            [
                call(1, 2, 1, start_time_ns=START_NS + 1, cost_pico_usd=1, cache_read_tokens=0, usage_json='{"x":1}'),
                span(1, 1, kind=3, status_code=2, status_message="late", events="[]"),
            ]
        ),
        attribute,
    )
    rows = store.read(
        lambda reader: reader.rows(
            "SELECT span_id, parent_span_id, epoch_ns(start_time), cost_usd, cache_read_tokens, cache_write_tokens, "
            "usage_json, kind, status, status_message, events FROM spans ORDER BY seq"
        )
    )
    first = ("0000000100000002", "0000000100000001", START_NS + 1, Decimal("0.000000000001"), 0, None, '{"x":1}')
    assert rows[0] == (*first, "unspecified", "unset", None, None)
    assert rows[1][3:] == (None, None, None, None, "client", "error", "late", "[]")


def test_a_resend_is_kept_out_and_counted(open_store: OpenStore) -> None:
    """The first wins; a resend that says something else is counted as changed and kept out."""
    store = open_store()
    assert store.append(batch([call(1, 1), call(1, 2)]), attribute) == Appended(2, 0, 0)
    again = [call(1, 2), call(1, 1, input_tokens=5), call(1, 3)]
    assert store.append(batch(again), attribute) == Appended(1, 2, 1)
    assert store.read(lambda reader: reader.rows(COUNT)) == [(3, 3)]
    assert store.read(lambda reader: reader.rows("SELECT input_tokens FROM spans WHERE seq = 1")) == [(1000,)]


def test_a_span_twice_in_one_batch_is_stored_once(open_store: OpenStore) -> None:
    """The first of them wins, and a later one that differs is counted as changed."""
    store = open_store()
    rows = [call(1, 1), call(1, 1), span(1, 2, name="first"), span(1, 2, name="second")]
    assert store.append(batch(rows), attribute) == Appended(2, 2, 1)
    assert store.read(lambda reader: reader.rows("SELECT name FROM spans ORDER BY seq")) == [("span 1",), ("first",)]


def test_resends_are_known_after_a_restart_and_in_any_order(open_store: OpenStore) -> None:
    """Idempotence needs nothing but the file."""
    rows = [call(trace, number) for trace in range(1, 6) for number in range(1, 5)]
    store = open_store()
    store.append(batch(rows[::2]), attribute)
    store.stop()
    store = open_store()
    assert store.append(batch(rows[::-1]), attribute) == Appended(10, 10, 0)
    store.stop()
    assert open_store().append(batch(rows), attribute) == Appended(0, 20, 0)


def test_the_same_ids_of_two_organisations_are_two_spans(open_store: OpenStore) -> None:
    store = open_store()
    assert store.append(batch([call(1, 1), call(1, 1, org_id="other")]), attribute) == Appended(2, 0, 0)
    assert store.append(batch([call(1, 1, org_id="other")]), attribute) == Appended(0, 1, 0)


def test_old_spans_in_a_batch_are_found_again(open_store: OpenStore) -> None:
    """Start times years apart in one batch do not hide a resend."""
    store = open_store()
    starts = [START_NS, START_NS - 10**17, 0, START_NS + 10**17, START_NS + 3, 5 * SECOND_NS, START_NS - 10**15]
    rows = [call(1, number, start_time_ns=at, end_time_ns=at) for number, at in enumerate(starts)]
    assert store.append(batch(rows), attribute) == Appended(7, 0, 0)
    assert store.append(batch([*rows, call(1, 99)]), attribute) == Appended(1, 7, 0)


def test_resends_are_found_when_more_traces_are_stored_than_are_remembered(open_store: OpenStore) -> None:
    """The memory of traces saves look-ups; it never decides what is new once something fell out of it."""
    store = open_store(indexed_traces=3)
    rows = [call(trace, 1) for trace in range(1, 20)]
    store.append(batch(rows), attribute)
    store.stop()
    store = open_store(indexed_traces=3)
    assert store.append(batch(rows), attribute) == Appended(0, 19, 0)


def test_a_cost_that_does_not_fit_is_unpriced_and_its_batch_is_kept(open_store: OpenStore) -> None:
    """A million dollars for one call is an anomaly: said so, never cut, and no reason to lose the others."""
    store = open_store()
    store.append(batch([call(1, 1, cost_pico_usd=10**18), call(1, 2, cost_pico_usd=10**18 - 1)]), attribute)
    rows = store.read(lambda reader: reader.rows("SELECT cost_usd, cost_status FROM calls ORDER BY seq"))
    assert rows == [(None, "unpriced"), (Decimal("999999.999999999999"), "priced")]


def test_a_failing_attribution_stores_nothing(open_store: OpenStore) -> None:
    """The batch is refused whole, the error is the stage's own, and the ledger takes the next batch."""

    def broken(_: pa.Table) -> pa.Table:
        raise ZeroDivisionError

    store = open_store()
    with pytest.raises(ZeroDivisionError):
        store.append(batch([call(1, 1)]), broken)
    assert store.read(lambda reader: reader.rows(COUNT)) == [(0, 0)]
    assert store.append(batch([call(1, 1)]), attribute) == Appended(1, 0, 0)


def test_little_disk_space_is_a_retryable_refusal(open_store: OpenStore) -> None:
    """Nothing is accepted below the floor, before anything can fail half-way."""
    store = open_store(free_space_floor_bytes=1 << 62)
    with pytest.raises(StoreUnavailable, match="MiB of disk left"):
        store.append(batch([call(1, 1)]), attribute)


def test_a_stopped_store_refuses_retryably(open_store: OpenStore) -> None:
    store = open_store()
    store.stop()
    with pytest.raises(StoreUnavailable):
        store.append(batch([call(1, 1)]), attribute)
    with pytest.raises(StoreUnavailable):
        store.read(lambda reader: reader.rows(COUNT))


def test_appends_from_many_threads_are_all_stored(open_store: OpenStore) -> None:
    """One writer, any number of callers; reads in between see whole batches."""
    store = open_store()
    futures = [store.submit(batch([call(n, k) for k in range(1, 6)]), attribute) for n in range(1, 21)]
    counts = [store.read(lambda reader: reader.rows(COUNT))[0][0] for _ in range(10)]
    assert [future.result() for future in futures] == [Appended(5, 0, 0)] * 20
    assert all(count % 5 == 0 for count in counts)
    assert store.read(lambda reader: reader.rows(COUNT)) == [(100, 100)]
