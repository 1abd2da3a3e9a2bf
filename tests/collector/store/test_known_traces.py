"""What falls out of memory is what was quiet for longest, and the store knows from where on it knows everything."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from collector.store.hashes import Hashes, as_value, from_value, text_hashes
from collector.store.known_traces import BatchTraces, KnownTraces, Responses
from collector.store.seq_index import ABSENT, AgingIndex, SeqIndex
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call


def traces(numbers: range) -> Hashes:
    return np.arange(numbers.start, numbers.stop, dtype=np.uint64) * np.uint64(2)


def remembered(known: KnownTraces, hashes: Hashes, first_seq: int) -> None:
    known.remember(BatchTraces.of_hashes(hashes, np.ones(len(hashes), np.bool_)), first_seq)


def test_an_index_holds_the_newest_value_of_each_key() -> None:
    """Many small puts and few large ones, keys put again among them."""
    index = SeqIndex(1_000_000)
    expected: dict[int, int] = {}
    chance = np.random.default_rng(1)
    for size in (1, 7, 5_000, 3, 20_000, 100, 4_096, 9_000):
        for _ in range(5):
            keys = np.unique(chance.integers(0, 50_000, size, dtype=np.uint64))
            values = chance.integers(0, 1 << 40, len(keys))
            index.put(keys, values)
            expected.update(zip(keys.tolist(), values.tolist(), strict=True))
    wanted = np.arange(60_000, dtype=np.uint64)
    assert index.find(wanted).tolist() == [expected.get(key, ABSENT) for key in range(60_000)]


def test_traces_that_were_quiet_for_longest_fall_out() -> None:
    """A trace that got a span lately stays, however early it began."""
    known = KnownTraces(10_000)
    remembered(known, traces(range(10_000)), 1)
    remembered(known, traces(range(100)), 10_001)
    remembered(known, traces(range(10_000, 20_000)), 10_101)
    places = known.places(traces(range(20_000)))
    assert places.stored[10_000:].all()
    assert not places.stored[:10_000].any()  # the hundred ended before all of those that came after
    assert known.covered_from == 10_101
    remembered(known, traces(range(10_000, 10_100)), 20_101)
    remembered(known, traces(range(20_000, 29_000)), 20_201)
    places = known.places(traces(range(10_000, 10_100)))
    assert places.first_seq.tolist() == list(range(10_101, 10_201))
    assert places.last_seq.tolist() == list(range(20_101, 20_201))


def test_the_newest_response_ids_stay() -> None:
    """Whatever the hash of their traces."""
    known = KnownTraces(10_000)
    for number in range(40):
        ids = pa.array([f"chatcmpl-{number}-{k}" for k in range(1_000)])
        hashes = text_hashes(pa.array(["default"] * 1_000), ids)
        known.remember_responses(Responses(hashes, traces(range(number * 1_000, (number + 1) * 1_000))))
    elsewhere = known.elsewhere(Responses(hashes, np.zeros(1_000, np.uint64)))
    assert elsewhere.tolist() == traces(range(39_000, 40_000)).tolist()


def test_what_ages_falls_out_in_order() -> None:
    index = AgingIndex(100)
    for number in range(1_000):
        index.put(np.array([number], np.uint64), np.array([number]))
    found = index.find(np.arange(1_000, dtype=np.uint64))
    kept = np.flatnonzero(found != ABSENT)
    assert 50 <= len(kept) <= 100
    assert kept.tolist() == list(range(1_000 - len(kept), 1_000))


def test_a_trace_hash_can_be_kept_as_a_value() -> None:
    hashes = text_hashes(pa.array(["default"] * 100), pa.array([str(number) for number in range(100)])) & np.uint64(
        2**64 - 2
    )
    assert (from_value(as_value(hashes)) == hashes).all()


@pytest.mark.parametrize("length", [1, 7, 8, 16, 32, 33, 200])
def test_a_text_has_one_hash_whatever_stands_beside_it(length: int) -> None:
    """Else a resend in another batch would not be known."""
    text = "é" + "x" * length
    alone = text_hashes(pa.array(["a"]), pa.array([text]))
    others = text_hashes(pa.array(["b", "a", "a"]), pa.array(["y", text, "longer" * 50]))
    assert others[1] == alone[0]
    assert len({*others.tolist()}) == 3


def test_resends_are_found_after_their_traces_fell_out_while_running(open_store: OpenStore) -> None:
    """On disk, by their start times."""
    store = open_store(indexed_traces=1_000, recent_bytes=0)
    first = [call(trace, 1) for trace in range(5_000)]
    store.append(batch(first), attribute)
    store.append(batch([call(trace, 1) for trace in range(10_000, 15_000)]), attribute)
    assert store._ledger.known.covered_from > 0
    again = store.append(batch([*first[::7], call(20_000, 1)]), attribute)
    assert (again.accepted, again.changed) == (1, 0)
