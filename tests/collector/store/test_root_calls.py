"""Two records of one call that each began a trace: found in whatever batch and order they come, and after a restart."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from collector import attribute as stage
from collector.attribute.roots import ROOT_START_WINDOW_NS
from collector.store import Store
from collector.store.root_calls import START_WINDOW_NS, RootCalls, RootIndex
from collector.store.rows import span_rows
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import SECOND_NS, START_NS, batch, call

MS_NS = 1_000_000
COUNTED = "SELECT dialect, count(*), sum(cost_usd)::VARCHAR FROM calls GROUP BY ALL ORDER BY ALL"
DUPLICATES = "SELECT span_id, duplicate_of FROM attempts WHERE not_counted_reason = 'duplicate' ORDER BY ALL"


def records(number: int, at_ns: int = 0, **values: Any) -> list[dict[str, Any]]:
    """The SDK's own record of a call, and another instrumentation's around it, in traces of their own."""
    start_ns = START_NS + at_ns
    native = {"dialect": "anthropic_native", "scope_name": "native", "response_id": f"msg_{number:08}"}
    other = {"dialect": "openinference", "scope_name": "other"}
    inner = {"start_time_ns": start_ns + MS_NS, "end_time_ns": start_ns + 9 * SECOND_NS}
    outer = {"start_time_ns": start_ns, "end_time_ns": start_ns + 9 * SECOND_NS + MS_NS}
    return [
        call(2 * number, 1, **(native | inner | values)),
        call(2 * number + 1, 1, **(other | outer | values)),
    ]


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows(sql))


def asked(store: Store, rows: list[dict[str, Any]]) -> list[bool]:
    """Whether the store would look for other records of these calls."""
    flags = store._ledger.known.roots.may_pair(RootCalls.of(span_rows(batch(rows), 1)))
    return [bool(flag) for flag in flags]


def loaded(reads: list[int]) -> Any:
    """The product's attribution, noting how many spans it was given each time."""

    def attribute(skeleton: pa.Table) -> pa.Table:
        reads.append(skeleton.num_rows)
        return stage.attribute(skeleton)

    return attribute


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("first", [0, 1], ids=["native first", "native last"])
@pytest.mark.parametrize("at_ns", [0, START_WINDOW_NS - MS_NS // 2], ids=["one cell", "two cells"])
def test_records_in_two_batches_are_one_call(open_store: OpenStore, first: int, restart: bool, at_ns: int) -> None:
    """Also where the two are kept under different times."""
    both = records(1, at_ns)
    store = open_store()
    store.append(batch([both[first]]), stage.attribute)
    if restart:
        store.stop()
        store = open_store()
    store.append(batch([both[1 - first]]), stage.attribute)
    assert rows(store, COUNTED) == [("anthropic_native", 1, "0.012500000000")]
    assert rows(store, DUPLICATES) == [(both[1]["span_id"], both[0]["span_id"])]
    store.append(batch([call(3, 9, 1, input_tokens=5), call(2, 9, 1, input_tokens=5)]), stage.attribute)
    assert rows(store, DUPLICATES) == [(both[1]["span_id"], both[0]["span_id"])]


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_records_of_a_failure_in_two_batches_are_one_attempt(open_store: OpenStore, restart: bool) -> None:
    """They have neither tokens nor an id."""
    silent: dict[str, Any] = {"input_tokens": None, "output_tokens": None, "cost_pico_usd": 0, "response_id": None}
    native, other = records(1, failed=True, status_code=2, **silent)
    store = open_store()
    store.append(batch([native]), stage.attribute)
    if restart:
        store.stop()
        store = open_store()
    store.append(batch([other]), stage.attribute)
    reasons = "SELECT span_id, not_counted_reason FROM attempts ORDER BY not_counted_reason"
    assert rows(store, reasons) == [(other["span_id"], "duplicate"), (native["span_id"], "failed")]


def test_records_of_two_services_are_two_calls(open_store: OpenStore) -> None:
    """Nothing is looked up for them, nor for two organisations."""
    native, other = records(1)
    store = open_store()
    store.append(batch([native]), stage.attribute)
    elsewhere = [other | {"service_name": "worker"}, other | {"org_id": "else"}]
    assert asked(store, [*elsewhere, other]) == [False, False, True]
    store.append(batch(elsewhere), stage.attribute)
    assert rows(store, "SELECT count(*) FROM calls") == [(3,)]


def test_one_instrumentation_is_never_looked_up(open_store: OpenStore) -> None:
    """Embeddings of equal length, each a trace of its own: the stored ones are not read again."""
    reads: list[int] = []
    store = open_store()
    jobs = [call(number, 1, scope_name="one", start_time_ns=START_NS + number * MS_NS) for number in range(50)]
    for at in range(0, 50, 10):
        assert not any(asked(store, jobs[at : at + 10]))
        store.append(batch(jobs[at : at + 10]), loaded(reads))
    assert reads == [10] * 5


def test_two_instrumentations_that_both_know_the_id_are_never_looked_up(open_store: OpenStore) -> None:
    """Their ids tell. One call without an id, of any instrumentation, makes the difference."""
    native, other = records(1)
    store = open_store()
    store.append(batch([native]), stage.attribute)
    assert asked(store, [other | {"response_id": "msg_another"}, other]) == [False, True]
    store.append(batch([native | {"trace_id": f"{9:032x}", "response_id": None}]), stage.attribute)
    assert asked(store, [other | {"response_id": "msg_another"}]) == [True]


@pytest.mark.parametrize("seed", range(4))
def test_parallel_identical_calls_stay_as_many(open_store: OpenStore, seed: int) -> None:
    """Two of each record in any order, one by one, with a restart in the middle."""
    chance = random.Random(seed)
    sent = [*records(1), *records(2, 3 * MS_NS)]
    chance.shuffle(sent)
    store = open_store()
    for row in sent[:2]:
        store.append(batch([row]), stage.attribute)
    store.stop()
    store = open_store()
    for row in sent[2:]:
        store.append(batch([row]), stage.attribute)
    assert rows(store, COUNTED) == [("anthropic_native", 2, "0.025000000000")]
    native, other = ([f"{2 * number + odd:08x}00000001" for number in (1, 2)] for odd in (0, 1))
    assert rows(store, DUPLICATES) == list(zip(other, native, strict=True))


@pytest.mark.parametrize("seed", range(2))
def test_an_endless_chain_of_identical_calls_is_counted_right(open_store: OpenStore, seed: int) -> None:
    """A constant prompt, 16 calls a second for 4 seconds, in batches that come in any order."""
    chance = random.Random(seed)
    sent = [row for number in range(1, 65) for row in records(number, number * SECOND_NS // 16)]
    chance.shuffle(sent)
    reads: list[int] = []
    store = open_store()
    for at in range(0, len(sent), 16):
        store.append(batch(sent[at : at + 16]), loaded(reads))
    assert rows(store, COUNTED) == [("anthropic_native", 64, "0.800000000000")]
    store.append(batch(records(200, 0)[:1]), loaded(reads))
    assert rows(store, COUNTED) == [("anthropic_native", 65, "0.812500000000")]
    assert reads[-1] < len(sent) / 2


def test_the_store_looks_as_far_as_attribution_pairs() -> None:
    """Closer, and two records could meet in one order of arrival only."""
    assert START_WINDOW_NS >= ROOT_START_WINDOW_NS


def test_the_index_keeps_the_newest() -> None:
    """Beyond its capacity the oldest calls fall out."""
    index = RootIndex(100)
    at = range(0, 400 * SECOND_NS, SECOND_NS)
    ours, others = (
        RootCalls.of(span_rows(batch([records(1 + i, at_ns)[which] for i, at_ns in enumerate(at)]), 1))
        for which in (0, 1)
    )
    index.load(ours)
    found = index.may_pair(others).tolist()
    assert found == sorted(found)
    assert 100 <= sum(found) <= 102
