"""What was read on the wire beside what other instrumentations recorded of the same call."""

from __future__ import annotations

import pytest

from tests.collector.attribute.building import Row, counted, failed, leaf, verdicts

ESTIMATED = 1 << 13
OWN: Row = {"scope_name": "otel_cost.instrument", "dialect": "otel_cost", "operation": "generate_content"}
OTHER: Row = {"scope_name": "other", "dialect": "openlit"}


def at(trace: str, start: float, end: float, **values: object) -> Row:
    """Where a root call lies."""
    return {"trace_id": trace, "at": start, "until": end, **values}


def test_what_was_delivered_counts_not_what_somebody_measured_before() -> None:
    """A stream that was left early: the SDK's own span says a placeholder, ours what came, partly estimated."""
    host = leaf("host", None, (43, 1), response_id="msg_01ALwQ87", dialect="anthropic_native", scope_name="native")
    ours = leaf("ours", "host", (43, 55), response_id="msg_01ALwQ87", flags=ESTIMATED, **OWN)
    got = verdicts(host, ours)
    assert got["ours"]["counted"]
    assert (got["host"]["not_counted_reason"], got["host"]["duplicate_of"]) == ("duplicate", "ours")


def test_two_exchanges_inside_each_other_are_two_calls() -> None:
    """A loop over tools: the first exchange is told on the span around it, the second by a span below that."""
    first = leaf("first", None, (45, 23), dialect="otel_cost_enriched", scope_name="official")
    second = leaf("second", "first", (45, 23), **OWN)
    assert counted(first, second) == ["first", "second"]
    third = leaf("third", "first", (45, 23), at=2, **OWN)
    total = leaf("total", None, (90, 46), dialect="otel_cost_enriched", scope_name="official")
    below = [row | {"parent_span_id": "total"} for row in (second, third)]
    assert counted(total, *below) == ["second", "third", "total"]


def test_a_record_that_comes_after_the_stream_has_the_same_id() -> None:
    """It is a trace of its own, begins when the stream is over, and leaves out the reasoning."""
    ours = leaf("ours", None, (18, 115), response_id="ru1garvBEoOi", **at("a", 0, 1), **OWN)
    late = leaf("late", None, (18, 80), response_id="ru1garvBEoOi", **at("b", 1.1, 1.2), **OTHER)
    assert counted(ours, late) == ["ours"]
    much_later = late | {"start_time_ns": 9_000_000_000, "end_time_ns": 9_100_000_000}
    assert counted(ours, much_later) == ["late", "ours"]


def test_reasoning_may_be_left_out_of_an_output() -> None:
    """The same call, by a record that knows nothing of reasoning; other differences are another call."""
    ours = leaf("ours", None, (18, 115), output_reasoning_tokens=35, **at("a", 0, 1), **OWN)
    spoken = leaf("other", None, (18, 80), **at("b", 0, 1), **OTHER)
    assert counted(ours, spoken) == ["ours"]
    assert counted(ours, spoken | {"output_tokens": 90}) == ["other", "ours"]


@pytest.mark.parametrize(("late_seconds", "calls"), [(0.02, ["ours"]), (0.2, ["other", "ours"])])
def test_short_records_may_be_shifted_by_a_busy_machine(late_seconds: float, calls: list[str]) -> None:
    """Two roots of one call of 40 ms, of which one begins later than a fifth of that."""
    ours = leaf("ours", None, (18, 80), **at("a", 0, 0.04), **OWN)
    other = leaf("other", None, (18, 80), **at("b", late_seconds, late_seconds + 0.04), **OTHER)
    assert counted(ours, other) == calls


def test_a_failure_that_two_record_is_one_failed_attempt() -> None:
    """Roots of two traces, without tokens and ids: equal model, instrumentation and time tell."""
    ours = failed(leaf("ours", None, **at("a", 0, 1), **OWN))
    other = failed(leaf("other", None, **at("b", 0, 1), **OTHER))
    got = verdicts(ours, other)
    assert [got[name]["not_counted_reason"] for name in ("ours", "other")] == ["failed", "duplicate"]
    apart = other | {"start_time_ns": 500_000_000}
    assert verdicts(ours, apart)["other"]["not_counted_reason"] == "failed"
    assert verdicts(ours, other | {"request_model": "gpt-5"})["other"]["not_counted_reason"] == "failed"
