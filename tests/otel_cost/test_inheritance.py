"""What a span inherits when it starts: the nearest of its own, the context's, its parent's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import ReadableSpan

from otel_cost import agent, run, tags
from otel_cost.testing import CostRecorder

RUN, AGENT, CUSTOMER, TAG = "otel_cost.run", "otel_cost.agent", "otel_cost.customer", "otel_cost.tag.colour"
AGENT_NAME = "gen_ai.agent.name"


def _said(recorder: CostRecorder) -> dict[str, dict[str, object]]:
    """Attributes by span name."""
    return {span.name: dict(span.attributes or {}) for span in recorder.spans()}


def test_every_span_inside_carries_the_context_whatever_it_is() -> None:
    """Also spans that are no model calls: the call may be further down, in another service."""
    recorder = CostRecorder()
    start = recorder.tracer.start_as_current_span
    with run("r"), tags(customer="c7", colour="blue"), start("outer"), start("inner"):
        pass
    recorder.tracer.start_span("after").end()
    expected = {RUN: "r", CUSTOMER: "c7", TAG: "blue"}
    assert _said(recorder) == {"outer": expected, "inner": expected, "after": {}}


def test_a_parents_own_dimension_reaches_its_children() -> None:
    """Written as plain attributes, at its start or later, and by any tracing library."""
    recorder = CostRecorder()
    with recorder.tracer.start_as_current_span("parent", attributes={RUN: "r"}) as parent:
        recorder.tracer.start_span("before").end()
        parent.set_attribute(CUSTOMER, "c7")
        with recorder.tracer.start_as_current_span("child"):
            recorder.tracer.start_span("grandchild").end()
    said = _said(recorder)
    assert said["before"] == {RUN: "r"}
    assert said["child"] == said["grandchild"] == {RUN: "r", CUSTOMER: "c7"}


def test_an_agent_span_names_the_agent_of_everything_below_it() -> None:
    """`gen_ai.agent.name` of the nearest ancestor, set at its start or later, is the owner of the calls inside."""
    recorder = CostRecorder()
    with recorder.tracer.start_as_current_span("planner", attributes={AGENT_NAME: "planner"}):
        recorder.tracer.start_span("call 1").end()
        with recorder.tracer.start_as_current_span("writer") as writer:
            writer.set_attribute(AGENT_NAME, "writer")
            with recorder.tracer.start_as_current_span("tool"):
                recorder.tracer.start_span("call 2").end()
        recorder.tracer.start_span("call 3").end()
    said = _said(recorder)
    assert [said[name].get(AGENT) for name in ("call 1", "call 2", "call 3")] == ["planner", "writer", "planner"]
    assert said["planner"] == {AGENT_NAME: "planner"}
    assert said["writer"] == {AGENT: "writer", AGENT_NAME: "writer"}


def test_the_nearest_agent_wins_between_context_and_spans() -> None:
    """An agent span inside `agent()` is nearer than it; an `agent()` inside an agent span is nearer still."""
    recorder = CostRecorder()
    with agent("outer"):
        recorder.tracer.start_span("in context").end()
        with recorder.tracer.start_as_current_span("span", attributes={AGENT_NAME: "middle"}):
            recorder.tracer.start_span("in span").end()
            with agent("inner"):
                recorder.tracer.start_span("in inner").end()
            recorder.tracer.start_span("back in span").end()
    said = _said(recorder)
    assert {name: said[name].get(AGENT) for name in ("in context", "in span", "in inner", "back in span")} == {
        "in context": "outer",
        "in span": "middle",
        "in inner": "inner",
        "back in span": "middle",
    }


def test_a_context_entered_inside_a_span_beats_what_that_span_inherited() -> None:
    """run() inside run(), with a span between."""
    recorder = CostRecorder()
    with run("a"), recorder.tracer.start_as_current_span("outer"):
        with run("b"):
            recorder.tracer.start_span("inner").end()
        recorder.tracer.start_span("again").end()
    said = _said(recorder)
    assert [said[name][RUN] for name in ("outer", "inner", "again")] == ["a", "b", "a"]


def test_a_spans_own_attribute_is_never_overwritten() -> None:
    """What the app writes on the span itself is the nearest of all, at its start and later."""
    recorder = CostRecorder()
    with run("context"):
        recorder.tracer.start_span("at start", attributes={RUN: "own"}).end()
        with recorder.tracer.start_as_current_span("later") as span:
            span.set_attribute(RUN, "own")
            recorder.tracer.start_span("child").end()
    assert [span[RUN] for span in _said(recorder).values()] == ["own", "own", "own"]


def test_a_parent_handed_over_explicitly_hands_down_without_the_context() -> None:
    """Threads started without OpenTelemetry context, but with the parent span: common in frameworks."""
    recorder = CostRecorder()
    with run("r"), tags(colour="blue"):
        parent = recorder.tracer.start_span("parent")

    def work() -> None:
        recorder.tracer.start_span("child", context=trace.set_span_in_context(parent, Context())).end()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    parent.end()
    assert _said(recorder)["child"] == {RUN: "r", TAG: "blue"}


def test_another_service_inherits_through_headers() -> None:
    """Parent and baggage cross as W3C headers; the remote child is stamped by its own processor."""
    client, server = CostRecorder(), CostRecorder()
    headers: dict[str, str] = {}
    with run("r"), tags(customer="größe, 7"), client.tracer.start_as_current_span("client"):
        inject(headers)
    context = extract(headers)
    server.tracer.start_span("server", context=context).end()
    [span] = server.spans()
    assert dict(span.attributes or {}) == {RUN: "r", CUSTOMER: "größe, 7"}
    assert _trace(span) == _trace(client.spans()[0])


def _trace(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id


def test_unsampled_parents_and_odd_values_harm_nothing() -> None:
    """A non-recording parent says nothing; an attribute that is no text is no owner."""
    recorder = CostRecorder()
    with trace.use_span(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)):
        recorder.tracer.start_span("root").end()
    with recorder.tracer.start_as_current_span("odd", attributes={RUN: ["a", "b"], AGENT_NAME: 7, CUSTOMER: 5}):
        recorder.tracer.start_span("child").end()
    assert _said(recorder)["root"] == {}
    assert recorder.processor.stats() == {}
