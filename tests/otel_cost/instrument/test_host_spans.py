"""Spans of other instrumentations get our facts; nothing is recorded twice, and what they cannot hold is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from otel_cost import attributes as k
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from tests.otel_cost.instrument.observing import MODEL, USAGE, Observed, answer, chat, events, observed, refusal
from tests.otel_cost.instrument.scripted_server import Script

COST = Decimal("0.000138")  # (60 * 0.75 + 40 * 0.075 + 20 * 4.5) / 1e6, gpt-5.4-mini


@contextmanager
def official(*scripts: Script) -> Iterator[Observed]:
    """OpenTelemetry's own instrumentation of openai beside ours."""
    with observed(*scripts) as app:
        instrumentor = OpenAIInstrumentor()
        instrumentor.instrument(tracer_provider=app.recorder.provider)
        try:
            yield app
        finally:
            instrumentor.uninstrument()


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def scopes(app: Observed) -> list[bool]:
    """Whether each span is ours."""
    return [
        span.instrumentation_scope is not None and span.instrumentation_scope.name == WIRE_SCOPE for span in app.spans()
    ]


def test_the_official_span_gets_our_facts_under_our_own_names() -> None:
    with official(answer()) as app:
        chat(app.client())
        found = app.only()
        assert app.recorder.total_usd() == COST
    assert (
        found.items()
        >= {
            k.OTEL_COST_WIRE: 1,
            k.OTEL_COST_OPERATION: "chat",
            k.OTEL_COST_PROVIDER: "openai",
            k.OTEL_COST_REQUEST_MODEL: MODEL,
            k.OTEL_COST_RESPONSE_ID: "chatcmpl-first0001",
            k.OTEL_COST_USAGE_PREFIX + "input_tokens": 100,
            k.OTEL_COST_USAGE_PREFIX + "output_tokens": 20,
            k.OTEL_COST_USAGE_PREFIX + "cache_read_tokens": 40,
        }.items()
    )


def test_the_facts_of_a_stream_are_there_before_the_official_span_ends() -> None:
    with official(Script(events("Hello", usage=USAGE))) as app:
        list(chat(app.client(), stream=True, stream_options={"include_usage": True}))
        found = app.only()
    assert found[k.OTEL_COST_USAGE_PREFIX + "input_tokens"] == 100
    assert found[k.OTEL_COST_STREAM] == "complete"


def test_a_stream_without_usage_is_estimated_on_the_official_span() -> None:
    with official(Script(events("Hello to you"))) as app:
        list(chat(app.client(), stream=True))
        found = app.only()
    assert (found[k.OTEL_COST_ESTIMATED_OUTPUT], found[k.OTEL_COST_COST_STATUS]) == (3, "estimated")


def test_what_an_abandoned_stream_delivered_is_on_a_span_of_ours_below_the_official_one() -> None:
    with official(Script(events("Hello to you", " all", usage=USAGE), is_gated=True)) as app:
        stream = chat(app.client(), stream=True)
        next(iter(stream))
        stream.close()
        spans = app.spans()
        ours = [span for span, own in zip(spans, scopes(app), strict=True) if own]
        theirs = [span for span, own in zip(spans, scopes(app), strict=True) if not own]
    assert len(ours) == len(theirs) == 1
    assert ours[0].parent is not None
    assert ours[0].parent.span_id == theirs[0].context.span_id
    assert said(ours[0])[k.OTEL_COST_STREAM] == "abandoned"
    assert said(ours[0])[k.OTEL_COST_COST_STATUS] == "estimated"
    assert k.OTEL_COST_COST_USD not in said(theirs[0])


def test_all_attempts_lie_in_the_official_span() -> None:
    with official(refusal(500), answer()) as app:
        chat(app.client())
        found = app.only()
        assert app.recorder.total_usd() == COST
    assert found[k.HTTP_REQUEST_RESEND_COUNT] == 1


def test_a_failed_call_is_known_on_the_official_span_and_bills_nothing() -> None:
    with official(refusal(400)) as app:
        with pytest.raises(Exception, match="400"):
            chat(app.client())
        found = app.only()
        assert app.recorder.total_usd() == 0
    assert found[k.OTEL_COST_REQUEST_MODEL] == MODEL
    assert not [key for key in found if key.startswith(k.OTEL_COST_USAGE_PREFIX)]


@contextmanager
def framework(attributes: dict[str, Any], name: str = "chat alias", scope: str = "some.framework") -> Iterator[None]:
    """A span that is current while the app calls."""
    with trace.get_tracer(scope).start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes):
        yield


LEAF = {k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_REQUEST_MODEL: "alias"}


def test_a_second_call_inside_one_span_is_a_call_of_its_own() -> None:
    with observed(answer("chatcmpl-first0001"), answer("chatcmpl-second002")) as app:
        with framework(LEAF):
            chat(app.client())
            chat(app.client())
        assert scopes(app) == [True, False]
        assert app.recorder.statuses() == ["priced", "priced"]
        assert app.recorder.total_usd() == 2 * COST


def test_another_model_after_a_failed_one_takes_its_place_in_the_framework_span() -> None:
    with observed(refusal(400), answer()) as app:
        with framework(LEAF):
            with pytest.raises(Exception, match="400"):
                chat(app.client())
            chat(app.client())
        assert scopes(app) == [False]
        assert app.recorder.total_usd() == COST


@pytest.mark.parametrize(
    "attributes",
    [
        {k.GEN_AI_OPERATION_NAME: "invoke_agent", k.GEN_AI_AGENT_NAME: "reader"},
        {k.OPENINFERENCE_SPAN_KIND: "CHAIN"},
        {k.GEN_AI_OPERATION_NAME: "embeddings", k.GEN_AI_REQUEST_MODEL: "text-embedding-3-small"},
        {"http.request.method": "GET"},
    ],
)
def test_a_span_that_is_no_such_call_gets_ours_as_its_child(attributes: dict[str, Any]) -> None:
    with observed(answer()) as app:
        with framework(attributes, name="something"):
            chat(app.client())
        ours, around = app.spans()
        assert scopes(app) == [True, False]
        assert ours.parent is not None
        assert ours.parent.span_id == around.context.span_id
        assert app.recorder.total_usd() == COST


def test_an_instrumentation_that_says_everything_at_the_end_is_known_by_its_spans_name() -> None:
    with observed(answer()) as app:
        with framework({}, name=f"chat {MODEL}", scope="openlit.otel.tracing"):
            chat(app.client())
        assert scopes(app) == [False]
        assert app.only()[k.OTEL_COST_WIRE] == 1
