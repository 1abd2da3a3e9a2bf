"""Which spans count: one test per rule of docs/counting.md."""

from __future__ import annotations

from collector.attribute import attribute
from collector.decode.columns import ATTRIBUTION_SCHEMA
from tests.collector.attribute.building import aggregate, counted, failed, leaf, skeleton, span, total, verdicts

RESPONSE = "chatcmpl-C4Gm9xikLXbgE8He0BHWeoM03aa72"


def test_only_genai_spans_get_a_row_in_the_order_of_the_skeleton() -> None:
    """Plain spans are read for the tree and left out of the result, whose schema is the contract's."""
    table = attribute(skeleton([leaf("b", "a", (1, 1)), span("a"), aggregate("c", "a")]))
    assert table.schema.equals(ATTRIBUTION_SCHEMA)
    assert table["span_id"].to_pylist() == ["b", "c"]


def test_nothing_in_nothing_out() -> None:
    """An empty skeleton gives an empty table."""
    assert attribute(skeleton([])).num_rows == 0
    assert attribute(skeleton([span("a")])).num_rows == 0


def test_an_ignored_span_is_never_counted() -> None:
    """Polls, pending spans and count_tokens are ignored even when they carry usage."""
    row = verdicts(leaf("a", None, (5, 5), call_kind="ignore"))["a"]
    assert (row["counted"], row["not_counted_reason"]) == (False, "ignored")


def test_a_call_that_succeeded_without_usage_is_counted() -> None:
    """A stream without usage, a transcription or an image is a call whose price is unknown, not no call."""
    assert counted(leaf("a"), leaf("b", operation="transcription")) == ["a", "b"]


def test_a_failed_call_without_usage_is_not_counted() -> None:
    """Nothing was billed."""
    row = verdicts(failed(leaf("a")))["a"]
    assert (row["counted"], row["not_counted_reason"], row["wasted"]) == (False, "failed", True)


def test_a_failed_call_with_usage_is_counted_and_wasted() -> None:
    """The provider billed it all the same."""
    row = verdicts(failed(leaf("a", None, (10, 2))))["a"]
    assert (row["counted"], row["wasted"]) == (True, True)


def test_a_failed_call_with_a_reported_cost_is_counted() -> None:
    """A cost that the gateway reports is money even without tokens."""
    assert counted(failed(leaf("a", reported_cost_pico_usd=5))) == ["a"]


# --- aggregates


def test_an_agent_that_repeats_its_calls_is_a_wrapper() -> None:
    """At any depth below, in any service."""
    rows = (aggregate("a", None, (30, 3)), span("s", "a"), leaf("x", "s", (10, 1)), leaf("y", "s", (20, 2)))
    assert counted(*rows) == ["x", "y"]
    assert verdicts(*rows)["a"]["not_counted_reason"] == "wrapper"


def test_an_agent_alone_is_counted() -> None:
    """Some frameworks report nowhere else."""
    assert counted(aggregate("a", None, (30, 3)), span("s", "a"), leaf("m", "s", call_kind="ignore")) == ["a"]


def test_an_agent_without_usage_is_not_counted() -> None:
    """There is nothing to count."""
    assert counted(aggregate("a")) == []


def test_an_agent_whose_calls_all_failed_is_counted() -> None:
    """A call that failed without usage explains nothing of what the agent used."""
    assert counted(aggregate("a", None, (30, 3)), failed(leaf("x", "a"))) == ["a"]


def test_an_agent_covers_its_calls_without_usage() -> None:
    """The agent has the usage, its chat children have none: one figure, no unpriced calls beside it."""
    rows = (aggregate("a", None, (30, 3)), leaf("x", "a"), leaf("y", "a"), leaf("z", "a", operation="speech"))
    assert counted(*rows) == ["a", "z"]
    assert verdicts(*rows)["x"]["duplicate_of"] == "a"


def test_an_agent_is_a_wrapper_when_one_of_its_calls_says_its_usage() -> None:
    """The other call stays an unpriced call; the agent's total is not split by guesswork."""
    assert counted(aggregate("a", None, (30, 3)), leaf("x", "a", (10, 1)), leaf("y", "a")) == ["x", "y"]


def test_an_agent_is_a_wrapper_of_a_call_whose_kept_record_is_elsewhere() -> None:
    """The call below the agent is a duplicate of a record in another trace; the agent still repeats it."""
    rows = (
        aggregate("a", None, (10, 1)),
        leaf("x", "a", (10, 1), dialect="openlit", scope_name="o", response_id=RESPONSE),
        leaf("n", None, (10, 1), dialect="official", trace_id="t2", response_id=RESPONSE),
    )
    assert counted(*rows) == ["n"]


def test_an_agent_is_a_wrapper_of_a_call_whose_usage_is_recorded_elsewhere() -> None:
    """Below the agent the call says no usage; its other record, in another trace, does."""
    rows = (
        aggregate("a", None, (10, 1)),
        leaf("x", "a", response_id=RESPONSE),
        leaf("n", None, (10, 1), trace_id="t2", response_id=RESPONSE),
    )
    assert counted(*rows) == ["n"]


def test_nested_agents_without_calls_count_the_inner_ones() -> None:
    """Equal or smaller outer numbers add nothing."""
    assert counted(aggregate("a", None, (10, 1)), aggregate("b", "a", (10, 1))) == ["b"]
    assert counted(aggregate("a", None, (10, 1)), aggregate("b", "a", (10, 1)), aggregate("c", "a", (5, 1))) == [
        "b",
        "c",
    ]


def test_nested_agents_without_calls_count_the_outer_one_when_it_says_more() -> None:
    """The outer agent's total holds its own calls, which nobody recorded, and the inner agent's."""
    rows = (aggregate("a", None, (500, 100)), span("t", "a"), aggregate("b", "t", (400, 100)))
    assert counted(*rows) == ["a"]
    assert total(*rows) == (500, 100)


def test_a_remote_agent_beside_calls_is_counted() -> None:
    """Only its own subtree decides."""
    assert counted(aggregate("a", None, (600, 3)), leaf("x", "a", (10, 1)), aggregate("r", "a", (590, 2))) == ["r", "x"]


# --- malformed trees


def test_a_parent_that_has_not_arrived_makes_a_root() -> None:
    """The verdict is corrected when it arrives."""
    call, agent = leaf("x", "a", (10, 1)), aggregate("a", None, (10, 1), agent="planner")
    assert verdicts(call)["x"]["agent"] is None
    assert verdicts(call, agent)["x"]["agent"] == "planner"


def test_a_span_that_is_its_own_parent_is_a_root() -> None:
    """It is counted like any other."""
    assert counted(leaf("x", "x", (1, 1))) == ["x"]


def test_a_cycle_ends() -> None:
    """The earliest span of the cycle is its root; the calls below are counted."""
    rows = (
        aggregate("a", "c", (3, 3), at=1, agent="first"),
        aggregate("b", "a", (3, 3), at=2),
        aggregate("c", "b", (3, 3), at=3),
        leaf("x", "c", (3, 3), at=4),
    )
    assert counted(*rows) == ["x"]
    assert verdicts(*rows)["x"]["agent"] == "first"


def test_span_ids_may_repeat_across_traces_and_organisations() -> None:
    """A parent is looked for in the span's own trace only."""
    rows = skeleton(
        [
            aggregate("a", None, (5, 5), agent="one"),
            leaf("x", "a", (5, 5)),
            aggregate("a", None, (5, 5), trace_id="t2", agent="two"),
            leaf("x", "a", (5, 5), trace_id="t2"),
            leaf("x", "a", (5, 5), org_id="other"),
        ]
    )
    got = attribute(rows).to_pylist()
    assert [(row["agent"], row["counted"]) for row in got] == [
        ("one", False),
        ("one", True),
        ("two", False),
        ("two", True),
        (None, True),
    ]
