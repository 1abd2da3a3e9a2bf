"""Attribution depends on the set of spans, not on how they arrived; and it stays linear on hostile trees."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.attribute import attribute
from tests.collector.attribute.building import Row, aggregate, failed, leaf, skeleton, span

IDS = ("msg_0123456789", "chatcmpl-0123456789", "short", None, None, None)
MODELS = ("gpt-4o", "gpt-4o-2024-08-06", "claude-3-5-haiku", None)
TOKENS = ((10, 5), (10, 6), (20, 10), (30, 15), None)


def random_span(rng: random.Random, number: int, names: list[str]) -> Row:
    """Any kind of span, under any parent: known, missing, itself, or one that arrives later."""
    parent = rng.choice([None, "missing", *names])
    at = rng.randrange(6) / 2
    values: Row = {
        "trace_id": rng.choice(("t1", "t1", "t1", "t2")),
        "at": at,
        "until": at + rng.choice((0, 0.5, 1, 4)),
        "scope_name": rng.choice("abc"),
        "agent": rng.choice((None, None, "planner", "writer")),
        "resource_user": rng.choice((None, "u")),
    }
    shape = rng.randrange(8)
    if shape == 0:
        return span(names[number], parent, **values)
    if shape == 1:
        return aggregate(names[number], parent, rng.choice(TOKENS), **values)
    row = leaf(
        names[number],
        parent,
        rng.choice(TOKENS),
        dialect=rng.choice(("official", "traceloop", "openlit")),
        response_id=rng.choice(IDS),
        request_model=rng.choice(MODELS),
        **values,
    )
    return failed(row) if rng.random() < 0.2 else row


def judged(rows: list[Row]) -> list[tuple[str, Row]]:
    """Attribution by span, sorted."""
    return sorted((row["trace_id"] + row["span_id"], row) for row in attribute(skeleton(rows)).to_pylist())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 24))
@example(24673238, 9)  # siblings under two parents, joined across them by an id
def test_any_order_of_arrival_gives_the_same_verdicts(seed: int, size: int) -> None:
    """Random trees with missing parents, cycles, shared ids and failures, shuffled."""
    rng = random.Random(seed)
    names = [f"s{number:02d}" for number in range(size)]
    rows = [random_span(rng, number, names) for number in range(size)]
    expected = judged(rows)
    for _ in range(3):
        rng.shuffle(rows)
        assert judged(rows) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 24))
def test_every_call_is_counted_at_most_once_and_duplicates_point_at_their_record(seed: int, size: int) -> None:
    """A duplicate names a span that exists; a counted span names none and has no reason."""
    rng = random.Random(seed)
    names = [f"s{number:02d}" for number in range(size)]
    got = attribute(skeleton([random_span(rng, number, names) for number in range(size)])).to_pylist()
    by_id = {row["span_id"]: row for row in got}
    assert len(by_id) == len(got)
    for row in got:
        assert row["counted"] == (row["not_counted_reason"] is None)
        assert (row["duplicate_of"] is not None) == (row["not_counted_reason"] == "duplicate")
        if row["duplicate_of"] is not None:
            assert by_id[row["duplicate_of"]]["not_counted_reason"] != "duplicate"
        if row["retry_of"] is not None:
            assert row["attempt"] >= 2
            assert by_id[row["retry_of"]]["wasted"]


HOSTILE = {
    "a chain of plain spans": lambda n: [span(f"{i}", f"{i - 1}", at=i) for i in range(n)],
    "a chain of calls": lambda n: [leaf(f"{i}", f"{i - 1}", (i, 1), at=i) for i in range(n)],
    "a chain of equal calls": lambda n: [leaf(f"{i}", f"{i - 1}", (5, 1), at=0, until=n - i) for i in range(n)],
    "a chain of agents": lambda n: [aggregate(f"{i}", f"{i - 1}", (5, 1), at=i) for i in range(n)],
    "a ring": lambda n: [leaf(f"{i}", f"{(i - 1) % n}", (i, 1), at=i) for i in range(n)],
    "one response id": lambda n: [leaf(f"{i}", "p", (i, 1), at=i, response_id="chatcmpl-1234567") for i in range(n)],
    "failures under one parent": lambda n: [failed(leaf(f"{i}", "p", at=2 * i)) for i in range(n)],
    "parallel calls of two instrumentations": lambda n: [
        leaf(f"{i}", "p", (5, 5), until=9, scope_name="ab"[i % 2]) for i in range(n)
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_trace_takes_linear_time(name: str) -> None:
    """10,000 spans in the worst shape we know: within a few seconds of CPU, without recursion."""
    table = skeleton(HOSTILE[name](10_000))
    begin = time.process_time()
    attribute(table)
    assert time.process_time() - begin < 5
