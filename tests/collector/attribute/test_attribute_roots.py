"""Records of one call that each began a trace of their own."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.collector.attribute.building import Row, aggregate, counted, leaf, verdicts


def root(name: str, scope: str, at: float = 0, until: float = 10, **values: object) -> Row:
    """A call without a parent, in a trace named like itself. Scope `n` says response ids, others do not."""
    ids = {"response_id": f"msg_{name}"} if scope == "n" else {}
    dialect = "anthropic_native" if scope == "n" else "openinference"
    facts: Row = {"trace_id": name, "scope_name": scope, "dialect": dialect, "at": at, "until": until}
    return leaf(name, None, (100, 50), **(facts | ids | values))


def test_roots_of_two_instrumentations_are_one_call() -> None:
    """The more trusted record is kept and takes over what the other one knows."""
    got = verdicts(root("o", "oi", user="u1"), root("n", "n", at=0.001, until=9.9))
    assert (got["n"]["counted"], got["n"]["user"]) == (True, "u1")
    assert (got["o"]["not_counted_reason"], got["o"]["duplicate_of"]) == ("duplicate", "n")


def test_roots_without_any_id_are_one_call() -> None:
    """Two instrumentations of an embedding, which has no id."""
    values: Row = {"operation": "embeddings", "output_tokens": None}
    assert len(counted(root("a", "x", **values), root("b", "y", at=0.001, **values))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"scope_name": "n"},
        {"scope_name": None},
        {"service_name": "worker"},
        {"service_name": None},
        {"org_id": "other"},
        {"response_id": "chatcmpl-another"},
        {"parent_span_id": "p"},
        {"start_time_ns": 460_000_000},
        {"end_time_ns": 700_000_000},
        {"input_tokens": 101},
        {"output_tokens": 55},
        {"request_model": "gpt-4o-mini"},
        {"request_model": None},
        {"operation": "moderation"},
    ],
    ids=lambda changes: next(iter(changes)) + "=" + str(next(iter(changes.values()))),
)
def test_roots_that_differ_are_two_calls(changes: Row) -> None:
    """Any difference is a second call; also ids on both, a parent on one, starts too far apart."""
    assert counted(root("n", "n", at=0.2), root("o", "oi") | changes) == ["n", "o"]


def test_roots_without_usage_are_two_calls() -> None:
    """Nothing but the time in common."""
    silent: Row = {"has_usage": False, "input_tokens": None, "output_tokens": None, "cost_pico_usd": None}
    assert counted(root("n", "n") | silent, root("o", "oi") | silent) == ["n", "o"]


def parallel(calls: int) -> list[Row]:
    """Identical calls 10 ms apart, each recorded by both instrumentations half a millisecond apart."""
    starts = [(number, 0.01 * number) for number in range(calls)]
    outer = [root(f"o{number}", "oi", at=at, until=10 + at) for number, at in starts]
    return outer + [root(f"n{number}", "n", at=at + 0.0005, until=9.9 + at) for number, at in starts]


def test_parallel_identical_calls_recorded_twice_stay_as_many() -> None:
    """Each record finds the one of its own call, in any order."""
    rows = parallel(2)
    for order in itertools.permutations(rows):
        got = verdicts(*order)
        assert {name: row["duplicate_of"] for name, row in got.items() if not row["counted"]} == {
            "o0": "n0",
            "o1": "n1",
        }
    many = parallel(200)
    random.Random(7).shuffle(many)
    assert counted(*many) == sorted(f"n{number}" for number in range(200))


def test_a_record_is_not_taken_from_the_call_below_it() -> None:
    """Beside a call recorded as parent and child runs an identical one recorded as two roots."""
    created = root("o1", "oi"), leaf("n1", "o1", (100, 50), trace_id="o1", scope_name="n", response_id="msg_n1")
    streamed = root("o2", "oi", at=0.002), root("n2", "n", at=0.001)
    got = verdicts(*created, *streamed)
    assert got["o1"]["duplicate_of"] == "n1"
    assert got["o2"]["duplicate_of"] == "n2"


def test_three_records_are_one_call_and_two_ids_are_two() -> None:
    """A record without an id joins one of two calls with ids, never both into one."""
    assert counted(root("n", "n"), root("x", "x"), root("y", "y")) == ["n"]
    other = root("m", "other", at=0.001, response_id="msg_m", dialect="traceloop")
    assert counted(root("n", "n"), other, root("x", "x")) == ["m", "n"]


def test_one_call_takes_one_record_of_each_instrumentation() -> None:
    """The closer one; the other is a call that the first instrumentation missed."""
    assert counted(root("n", "n"), root("near", "oi", at=0.001), root("far", "oi", at=0.002)) == ["far", "n"]


def test_a_wrapper_is_no_record_of_a_call() -> None:
    """A root that holds the sum of two calls leaves an equal root of another trace alone."""
    wrapper = root("w", "n"), *(leaf(name, "w", (50, 25), trace_id="w", scope_name="n") for name in ("a", "b"))
    assert counted(*wrapper, root("o", "oi")) == ["a", "b", "o"]


def test_an_agent_without_a_parent_is_no_record_of_a_call() -> None:
    """Only model calls are paired."""
    agent = aggregate("a", None, (100, 50), trace_id="a", scope_name="x", until=10, request_model="gpt-4o")
    assert counted(agent, root("n", "n")) == ["a", "n"]
