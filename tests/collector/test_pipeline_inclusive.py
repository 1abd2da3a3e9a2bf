"""What forwarded spans say of the calls below them, in whichever order the spans come."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.decode.request import Request
from collector.store import Store, StoreConfig
from otel_cost import attributes
from tests.collector.test_pipeline import CHAT, COST_USD, USAGE, Forwarded, of_trace, pipeline, request

ROOT, AGENT, CALL, OTHER, TOOL = (bytes([number]) * 8 for number in range(1, 6))
AGENT_SPAN = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "writer"}
SPANS: dict[bytes, dict[str, Any]] = {
    ROOT: {"id": ROOT, "name": "POST /notes"},
    AGENT: {"id": AGENT, "parent": ROOT, "name": "invoke_agent writer", **AGENT_SPAN, **USAGE},
    TOOL: {"id": TOOL, "parent": AGENT, "name": "search"},
    CALL: {"id": CALL, "parent": TOOL, **CHAT, **USAGE, "gen_ai.response.id": "one"},
    OTHER: {"id": OTHER, "parent": ROOT, **CHAT, **USAGE, "gen_ai.response.id": "two"},
}


def told(span: Span) -> tuple[str | None, str | None]:
    """Amount and status of what is below a span."""
    said = {pair.key: pair.value.string_value for pair in span.attributes}
    return said.get(attributes.OTEL_COST_INCLUSIVE_USD), said.get(attributes.OTEL_COST_INCLUSIVE_STATUS)


def forwarded(folder: Path, *requests: Request) -> dict[bytes, tuple[str | None, str | None]]:
    """What each span says when the requests come one after the other."""
    store = Store(StoreConfig(folder / "costs.duckdb"))
    store.start()
    target = Forwarded()
    stages, _ = pipeline(store, target)
    try:
        for each in requests:
            stages.process([each])
        return {span.span_id: told(span) for span in target.spans()}
    finally:
        store.stop()


TWICE = f"{(Decimal(COST_USD) * 2).normalize():f}"


def test_spans_of_one_request_know_everything_below(tmp_path: Path) -> None:
    """The root has the cost of all calls, the agent and the tool that of theirs; calls have their own cost only."""
    assert forwarded(tmp_path, request(*SPANS.values())) == {
        ROOT: (TWICE, "complete"),
        AGENT: (COST_USD, "complete"),
        TOOL: (COST_USD, "complete"),
        CALL: (None, None),
        OTHER: (None, None),
    }


def test_a_span_that_ends_after_its_children_is_exact_though_they_came_in_earlier_requests(tmp_path: Path) -> None:
    """The order in which SDKs export: a span is sent when it has ended."""
    found = forwarded(tmp_path, *(request(SPANS[each]) for each in (CALL, TOOL, AGENT, OTHER, ROOT)))
    assert found[TOOL] == found[AGENT] == (COST_USD, "complete")
    assert found[ROOT] == (TWICE, "complete")


def test_in_any_order_what_is_said_is_no_more_than_the_truth_and_the_last_to_come_is_exact(tmp_path: Path) -> None:
    """A root that comes first knows nothing, one in between a part; complete is never said of what is known to lack."""
    truth = {ROOT: TWICE, AGENT: COST_USD}
    orders = list(permutations((ROOT, AGENT, CALL, OTHER)))
    steps = [
        [
            of_trace(number, named(SPANS[order[step]] | ({"parent": AGENT} if order[step] == CALL else {}), number))
            for number, order in enumerate(orders, 1)
        ]
        for step in range(4)
    ]
    store = Store(StoreConfig(tmp_path / "costs.duckdb"))
    store.start()
    target = Forwarded()
    stages, _ = pipeline(store, target)
    for requests in steps:
        stages.process(requests)
    found = {(int.from_bytes(span.trace_id, "big"), span.span_id): told(span) for span in target.spans()}
    store.stop()
    for number, order in enumerate(orders, 1):
        for span_id, expected in truth.items():
            amount, _ = found[number, span_id]
            assert amount is None or Decimal(amount) <= Decimal(expected), order
        if order[-1] in truth:
            assert found[number, order[-1]] == (truth[order[-1]], "complete"), order


def named(span: dict[str, Any], number: int) -> dict[str, Any]:
    """The same span of another trace: its response is another one."""
    return span | (
        {"gen_ai.response.id": f"{span['gen_ai.response.id']}-{number}"} if "gen_ai.response.id" in span else {}
    )


def test_what_hangs_on_a_parent_that_is_missing_makes_the_root_a_lower_bound(tmp_path: Path) -> None:
    """It may belong to the root through a span that has not come."""
    found = forwarded(tmp_path, request(SPANS[CALL], SPANS[OTHER], SPANS[ROOT]))
    assert found[ROOT] == (COST_USD, "partial")


def test_a_call_without_a_price_makes_it_a_lower_bound(tmp_path: Path) -> None:
    """Nothing is said of an amount that nobody knows."""
    unknown = SPANS[OTHER] | {"gen_ai.request.model": "nobody-knows-it"}
    found = forwarded(tmp_path, request(SPANS[ROOT], SPANS[AGENT], SPANS[TOOL], SPANS[CALL], unknown))
    assert found[ROOT] == (COST_USD, "partial")
    assert found[AGENT] == (COST_USD, "complete")
    (tmp_path / "alone").mkdir()
    assert forwarded(tmp_path / "alone", request(SPANS[ROOT], unknown))[ROOT] == (None, "partial")


def test_spans_of_traces_without_calls_are_passed_on_as_they_are(tmp_path: Path) -> None:
    """No attribute, no zero."""
    assert forwarded(tmp_path, request(SPANS[ROOT], SPANS[TOOL])) == {ROOT: (None, None), TOOL: (None, None)}
