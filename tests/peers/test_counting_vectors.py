"""Double counts that users of other tools reported, with their figures; each test is named after its thread."""

from __future__ import annotations

from collector.attribute import attribute
from tests.collector.attribute.building import Row, aggregate, counted, failed, leaf, skeleton, span, total


def picodollars(*rows: Row) -> int:
    """What the counted calls cost."""
    return sum(row["cost_pico_usd"] or 0 for row in rows if row["span_id"] in counted(*rows))


def test_openinference_3164() -> None:
    """Arize-ai/openinference#3164: the agent span repeats its child; 29,899 tokens, not 59,798."""
    rows = (aggregate("agent", None, (29_000, 899), dialect="openinference"), leaf("llm", "agent", (29_000, 899)))
    assert sum(total(*rows)) == 29_899


def test_langfuse_14754() -> None:
    """langfuse/langfuse#14754: AI SDK 7, invoke_agent and its child; $0.09526, not $0.19052."""
    cost = {"cost_pico_usd": 95_260_000_000, "dialect": "vercel_7", "scope_name": "gen_ai"}
    rows = (aggregate("agent", None, (30_000, 351), **cost), leaf("chat", "agent", (30_000, 351), **cost))
    assert picodollars(*rows) == 95_260_000_000


def test_agent_framework_4062() -> None:
    """microsoft/agent-framework#4062: the agent says only its last call's 2,569/99; the calls used 4,808/291."""
    rows = (
        aggregate("agent", None, (2_569, 99)),
        leaf("first", "agent", (2_239, 192), at=0),
        span("tool", "agent", at=1),
        leaf("second", "agent", (2_569, 99), at=2),
    )
    assert total(*rows) == (4_808, 291)


def test_agentevals_pr_205() -> None:
    """agentevals-dev/agentevals PR#205: an agent of 600 tokens around an agent of 500; 600, not 1,100.

    The same with the calls recorded, and with the outer agent leaving out what the inner one used.
    """
    outer, inner = aggregate("outer", None, (500, 100)), aggregate("inner", "tool", (420, 80))
    tree = (outer, span("tool", "outer"), inner)
    assert sum(total(*tree)) == 600
    recorded = (*tree, leaf("x", "outer", (80, 20)), leaf("y", "inner", (420, 80)))
    assert sum(total(*recorded)) == 600
    assert counted(*recorded) == ["x", "y"]
    last_only = (aggregate("outer", None, (420, 80)), span("tool", "outer"), aggregate("inner", "tool", (500, 100)))
    assert sum(total(*last_only)) == 600


def test_pdd_509() -> None:
    """promptdriven/pdd#509: a bad answer for X and a retry for Y cost X + Y, and the retry is Y."""
    rows = (
        failed(leaf("bad", "p", (100, 7), at=0, cost_pico_usd=340)),
        leaf("good", "p", (100, 9), at=2, cost_pico_usd=188),
    )
    assert picodollars(*rows) == 528
    by_id = {row["span_id"]: row for row in attribute(skeleton(rows)).to_pylist()}
    assert (by_id["good"]["attempt"], by_id["good"]["retry_of"], by_id["bad"]["wasted"]) == (2, "bad", True)


def test_langfuse_9038() -> None:
    """langfuse/langfuse#9038: rate-limited calls were counted; about a fifth of the $5 shown was billed."""
    refused = [failed(leaf(f"refused{i}", "p", at=2 * i)) for i in range(4)]
    answered = leaf("answered", "p", (10, 1), at=20, cost_pico_usd=10**12)
    assert picodollars(*refused, answered) == 10**12
    assert counted(*refused, answered) == ["answered"]


def test_braintrust_sdk_python_pr_312() -> None:
    """braintrustdata/braintrust-sdk-python PR#312: wrapper spans typed as model calls doubled the figures."""
    one = (leaf("wrapper", None, (120, 30), until=9), leaf("call", "wrapper", (120, 30)))
    assert total(*one) == (120, 30)
    two = (leaf("wrapper", None, (200, 50), until=9), leaf("a", "wrapper", (120, 30)), leaf("b", "wrapper", (80, 20)))
    assert total(*two) == (200, 50)


def test_strands_harness_sdk_1267() -> None:
    """strands-agents harness-sdk#1267: agent and event loop cycle both carry accumulated usage."""
    rows = (
        aggregate("agent", None, (300, 30), dialect="strands"),
        aggregate("cycle", "agent", (300, 30), dialect="strands", operation="execute_event_loop_cycle"),
        leaf("a", "cycle", (100, 10), dialect="strands", at=0),
        leaf("b", "cycle", (200, 20), dialect="strands", at=2),
    )
    assert total(*rows) == (300, 30)


def test_application_insights_workbooks_pr_3208() -> None:
    """microsoft/Application-Insights-Workbooks PR#3208: an agent counts only where its model calls say nothing."""
    rows = (
        aggregate("seen", None, (50, 5)),
        leaf("call", "seen", (50, 5)),
        aggregate("unseen", "seen", (70, 7)),
        span("tool", "unseen"),
    )
    assert counted(*rows) == ["call", "unseen"]
