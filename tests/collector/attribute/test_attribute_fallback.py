"""When the rules fail on a trace: who is judged how."""

from __future__ import annotations

import pyarrow as pa
import pytest

from collector.attribute import attribute
from collector.attribute.fallback import Attribute, alone, attribute_or_fall_back
from tests.collector.attribute.building import Row, aggregate, failed, leaf, skeleton, span


def failing_on(*traces: str) -> Attribute:
    """Rules with a fault that these traces show."""

    def stage(table: pa.Table) -> pa.Table:
        if set(traces) & set(table.column("trace_id").to_pylist()):
            raise ZeroDivisionError
        return attribute(table)

    return stage


def by_id(table: pa.Table) -> dict[str, Row]:
    return {row["span_id"]: row for row in table.to_pylist()}


def test_rules_that_hold_are_used_as_they_are() -> None:
    table = skeleton([leaf("a", tokens=(1, 1)), leaf("b", tokens=(1, 1), trace_id="t2")])
    judged = attribute_or_fall_back(table, 0, attribute)
    assert judged.verdicts.equals(attribute(table))
    assert judged.failed_traces == []


def test_only_new_spans_of_a_failing_trace_get_a_verdict() -> None:
    """What is stored of it keeps the verdict that it has."""
    table = skeleton([leaf("old", tokens=(1, 1)), leaf("new", tokens=(1, 1))])
    judged = attribute_or_fall_back(table, 1, failing_on("t1"))
    assert list(by_id(judged.verdicts)) == ["new"]
    assert (judged.failed_traces, [type(error) for error in judged.reasons]) == (["t1"], [ZeroDivisionError])


def test_the_other_traces_are_judged_together() -> None:
    """Two records of one call in two traces stay one call, wherever the failing traces lie between them."""
    shared = {"response_id": "chatcmpl-0123456789"}
    rows = [leaf(f"s{number}", tokens=(1, 1), trace_id=f"t{number}", at=100 * number) for number in range(8)]
    rows[0] |= shared
    rows[7] |= shared
    judged = attribute_or_fall_back(skeleton(rows), 0, failing_on("t3", "t5"))
    found = by_id(judged.verdicts)
    assert sorted(judged.failed_traces) == ["t3", "t5"]
    assert sorted(name for name, row in found.items() if row["counted"]) == [f"s{number}" for number in range(7)]
    assert found["s7"]["duplicate_of"] == "s0"


def test_traces_that_fail_only_together_are_judged_apart() -> None:
    def stage(table: pa.Table) -> pa.Table:
        if len(set(table.column("trace_id").to_pylist())) > 1:
            raise ZeroDivisionError
        return attribute(table)

    judged = attribute_or_fall_back(skeleton([leaf("a"), leaf("b", trace_id="t2"), leaf("c", trace_id="t3")]), 0, stage)
    assert sorted(by_id(judged.verdicts)) == ["a", "b", "c"]
    assert judged.failed_traces == []


def test_a_lack_of_memory_is_no_fault_of_a_trace() -> None:
    """Its sender is told to come back."""

    def stage(table: pa.Table) -> pa.Table:
        raise MemoryError

    with pytest.raises(MemoryError):
        attribute_or_fall_back(skeleton([leaf("a"), leaf("b", trace_id="t2")]), 0, stage)


def test_alone_agrees_with_the_rules_where_a_span_stands_alone() -> None:
    """One span a trace: nothing that another span could change."""
    rows = [
        leaf("priced", tokens=(1, 1), agent="a", resource_team="growth"),
        leaf("silent", run="r"),
        failed(leaf("failed")),
        failed(leaf("failed and billed", tokens=(1, 1))),
        failed(leaf("failed, says a cost", reported_cost_pico_usd=5)),
        aggregate("silent agent"),
        span("ignored", call_kind="ignore"),
        span("plain"),
    ]
    table = skeleton(row | {"trace_id": f"t{number}"} for number, row in enumerate(rows))
    assert alone(table).to_pylist() == attribute(table).to_pylist()
    assert alone(table.slice(0, 0)).num_rows == 0
