"""What is on a span of ours: whole answers, streams to the end and cut off, errors, what else is billed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider, sampling
from opentelemetry.trace import SpanKind, StatusCode

import otel_cost
from otel_cost import attributes as k
from otel_cost.instrument import stats
from otel_cost.instrument.instrumentor import OtelCostInstrumentor
from otel_cost.instrument.observe import MAX_HELD_CHUNKS, begin
from otel_cost.instrument.wire.types import Request
from otel_cost.ratios import tokens_in
from otel_cost.spans import starts_unseen
from tests.otel_cost.instrument.observing import MODEL, USAGE, answer, chat, events, observed, refusal
from tests.otel_cost.instrument.scripted_server import Script


def test_a_call_is_a_client_span_of_the_conventions() -> None:
    with observed(answer(service_tier="priority")) as app:
        chat(app.client())
        (span,) = app.spans()
    assert span.name == f"chat {MODEL}"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    said = dict(span.attributes or {})
    assert (
        said.items()
        >= {
            k.GEN_AI_OPERATION_NAME: "chat",
            k.GEN_AI_PROVIDER_NAME: "openai",
            k.GEN_AI_REQUEST_MODEL: MODEL,
            k.GEN_AI_RESPONSE_MODEL: f"{MODEL}-2026-03-17",
            k.GEN_AI_RESPONSE_ID: "chatcmpl-first0001",
            k.GEN_AI_RESPONSE_FINISH_REASONS: ("stop",),
            k.SERVER_ADDRESS: "127.0.0.1",
            k.GEN_AI_USAGE_INPUT_TOKENS: 100,
            k.GEN_AI_USAGE_OUTPUT_TOKENS: 20,
            k.GEN_AI_USAGE_CACHE_READ: 40,
            k.OTEL_COST_SERVICE: "priority",
            k.OPENAI_RESPONSE_SERVICE_TIER: "priority",
            k.OTEL_COST_COST_STATUS: "priced",
        }.items()
    )
    assert not {k.GEN_AI_REQUEST_STREAM, k.OTEL_COST_STREAM, k.OTEL_COST_WIRE, k.ERROR_TYPE} & said.keys()


@pytest.mark.parametrize(
    ("script", "encoding"),
    [
        (answer(), None),
        (answer(), "gzip"),
        (refusal(400), None),
        (Script(events("Hello", usage=USAGE)), None),
        (Script(events("Hello", is_done=False)), None),
    ],
)
def test_a_last_piece_is_read_as_one_that_the_end_follows(script: Script, encoding: str | None) -> None:
    """Also where it is the only one; here of the whole body, and of its second half."""
    asked = Request("POST", "https://api.openai.com/v1/chat/completions", {}, json.dumps({"model": MODEL}).encode())
    body = script.body if encoding is None else gzip.compress(script.body)
    told = []
    for pieces, has_last in (([body], True), ([body], False), ([body[:99], body[99:]], True)):
        with observed() as app:
            exchange = begin(asked, "aiohttp")
            assert exchange is not None
            exchange.leave()
            exchange.responded(script.status, {"content-type": script.content_type}, encoding)
            for piece in pieces[: len(pieces) - has_last]:
                exchange.chunk(piece)
            if has_last:
                exchange.last(pieces[-1])
            else:
                exchange.ended()
            told.append(
                {key: value for key, value in app.only().items() if key != k.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK}
            )
    assert told[0] == told[1] == told[2]
    assert k.GEN_AI_RESPONSE_MODEL in told[0] or k.ERROR_TYPE in told[0]


def test_a_stream_says_its_usage_and_when_its_first_chunk_came() -> None:
    with observed(Script(events("Hel", "lo", usage=USAGE))) as app:
        list(chat(app.client(), stream=True, stream_options={"include_usage": True}))
        said = app.only()
    assert (said[k.GEN_AI_USAGE_INPUT_TOKENS], said[k.GEN_AI_USAGE_OUTPUT_TOKENS]) == (100, 20)
    assert said[k.GEN_AI_REQUEST_STREAM] is True
    assert said[k.OTEL_COST_STREAM] == "complete"
    assert 0 < said[k.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] < 60


def test_a_stream_without_usage_is_estimated_and_says_so() -> None:
    with observed(Script(events("Hello", " to", " you"))) as app:
        list(chat(app.client(), stream=True))
        said = app.only()
    assert not {k.GEN_AI_USAGE_INPUT_TOKENS, k.GEN_AI_USAGE_OUTPUT_TOKENS} & said.keys()
    assert said[k.OTEL_COST_ESTIMATED_OUTPUT] == 3  # 12 characters at 4.6 a token
    assert said[k.OTEL_COST_ESTIMATED_INPUT] == 10  # 10 characters, and 7 tokens of the format
    assert said[k.OTEL_COST_COST_STATUS] == "estimated"


def test_what_an_abandoned_stream_delivered_is_counted_and_flagged() -> None:
    with observed(Script(events("Hello to you", " and others", usage=USAGE), is_gated=True)) as app:
        stream = chat(app.client(), stream=True)
        next(iter(stream))
        stream.close()
        said = app.only()
    assert said[k.OTEL_COST_STREAM] == "abandoned"
    assert said[k.OTEL_COST_ESTIMATED_OUTPUT] == 3
    assert said[k.OTEL_COST_COST_STATUS] == "estimated"


def test_chunks_that_were_not_read_yet_are_counted_when_the_app_stops() -> None:
    """They are read some at a time: as many as the app got are counted, and not one more."""
    many = Script(events(*["Hello to you"] * 40, usage=USAGE))
    counts = (5, MAX_HELD_CHUNKS, 2 * MAX_HELD_CHUNKS + 3)
    with observed(*[many] * len(counts)) as app:
        for taken in counts:
            stream = chat(app.client(), stream=True)
            for _ in range(taken):
                next(iter(stream))
            stream.close()
            said = app.only()
            app.recorder.clear()
            assert said[k.OTEL_COST_ESTIMATED_OUTPUT] == tokens_in(f"{MODEL}-2026-03-17", ["Hello to you" * taken])


class _Curious(SpanProcessor):
    """Looks at spans as they start."""

    def __init__(self) -> None:
        self.seen: list[dict[str, object]] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.seen.append(dict(span.attributes or {}))


def test_what_a_call_asks_is_there_for_whoever_looks_when_its_span_starts() -> None:
    """Where nobody does, it is written just after, and the span is the same."""
    with observed(answer(), answer("chatcmpl-other0001")) as app:
        chat(app.client())
        expected = {**app.only(), k.GEN_AI_RESPONSE_ID: "chatcmpl-other0001"}
        curious = _Curious()
        app.recorder.provider.add_span_processor(curious)
        app.recorder.clear()
        chat(app.client())
        assert app.only() == expected
    asked = {k.GEN_AI_OPERATION_NAME, k.GEN_AI_PROVIDER_NAME, k.GEN_AI_REQUEST_MODEL, k.SERVER_ADDRESS, k.SERVER_PORT}
    (seen,) = curious.seen
    assert seen == {key: expected[key] for key in asked}


class _Choosy(sampling.StaticSampler):
    """Decides by what is asked."""

    def should_sample(self, *args: Any, **asked: Any) -> sampling.SamplingResult:
        return sampling.ALWAYS_ON.should_sample(*args, **asked)


@pytest.mark.parametrize(
    ("sampler", "is_unseen"),
    [
        (sampling.ALWAYS_ON, True),
        (sampling.DEFAULT_ON, True),
        (sampling.ParentBasedTraceIdRatio(0.5), True),
        (_Choosy(sampling.Decision.RECORD_AND_SAMPLE), False),
        (sampling.ParentBased(_Choosy(sampling.Decision.RECORD_AND_SAMPLE)), False),
    ],
)
def test_a_sampler_that_may_decide_by_attributes_gets_them(sampler: sampling.Sampler, is_unseen: bool) -> None:
    assert starts_unseen(TracerProvider(sampler=sampler, shutdown_on_exit=False)) is is_unseen


def test_a_stream_that_the_app_never_reads_is_abandoned_with_its_input() -> None:
    with observed(Script(events("Hello", usage=USAGE), is_gated=True)) as app:
        chat(app.client(), stream=True).close()
        said = app.only()
    assert said[k.OTEL_COST_STREAM] == "abandoned"
    assert said[k.OTEL_COST_ESTIMATED_INPUT] == 10
    assert k.OTEL_COST_ESTIMATED_OUTPUT not in said


def test_a_stream_that_breaks_off_has_failed_with_the_apps_error() -> None:
    with observed(Script(events("Hello", " you", usage=USAGE), ending="cut")) as app:
        with pytest.raises(openai.APIConnectionError):
            list(chat(app.client(max_retries=0), stream=True))
        (span,) = app.spans()
    said = dict(span.attributes or {})
    assert said[k.OTEL_COST_STREAM] == "failed"
    assert span.status.status_code is StatusCode.ERROR
    assert str(said[k.ERROR_TYPE]).endswith(".RemoteProtocolError")
    assert said[k.GEN_AI_USAGE_OUTPUT_TOKENS] == 20  # it was said before


def test_an_error_that_nobody_repeats_ends_the_span_at_once() -> None:
    with observed(refusal(400, "context_length_exceeded")) as app:
        with pytest.raises(openai.BadRequestError):
            chat(app.client())
        (span,) = app.recorder._exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})[k.ERROR_TYPE] == "context_length_exceeded"


def test_agents_and_owners_around_a_call_are_on_it() -> None:
    with observed(answer()) as app, otel_cost.run("invoice-42"), otel_cost.agent("reader"):
        chat(app.client())
        said = app.only()
    assert (said[k.OTEL_COST_RUN], said[k.OTEL_COST_AGENT]) == ("invoice-42", "reader")


def test_what_the_provider_charged_is_the_exact_cost() -> None:
    usage = {**USAGE, "cost": 0.00012345}
    with observed(answer(usage=usage)) as app:
        app_hosts = {app.server.url.partition("://")[2]: "openrouter"}
        OtelCostInstrumentor().instrument(hosts=app_hosts)
        chat(app.client())
        said = app.only()
    assert said[k.OTEL_COST_REPORTED_COST_USD] == "0.00012345"
    assert said[k.GEN_AI_USAGE_COST_AMOUNT] == 0.00012345
    assert said[k.GEN_AI_USAGE_COST_SOURCE] == "provider"
    assert (said[k.OTEL_COST_COST_STATUS], said[k.OTEL_COST_COST_USD]) == ("reported", "0.00012345")


def test_other_requests_are_none_of_ours() -> None:
    before = stats()
    with observed(answer()) as app:
        app.client().get("/anything", cast_to=object)
        assert app.spans() == ()
    assert stats() == before


def test_usage_is_asked_for_only_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_COST_INCLUDE_USAGE", "true")
    with observed(Script(events("Hello", usage=USAGE))) as app:
        list(chat(app.client(), stream=True))
        said = app.only()
    assert json.loads(app.server.bodies[0])["stream_options"] == {"include_usage": True}
    assert said[k.GEN_AI_USAGE_INPUT_TOKENS] == 100
    monkeypatch.delenv("OTEL_COST_INCLUDE_USAGE")
    with observed(Script(events("Hello"))) as app:
        list(chat(app.client(), stream=True))
    assert "stream_options" not in json.loads(app.server.bodies[0])


def test_an_app_that_refuses_usage_is_not_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_COST_INCLUDE_USAGE", "true")
    with observed(Script(events("Hello"))) as app:
        list(chat(app.client(), stream=True, stream_options={"include_usage": False}))
    assert json.loads(app.server.bodies[0])["stream_options"] == {"include_usage": False}


def test_content_is_kept_out_unless_asked_for_and_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    with observed(answer()) as app:
        chat(app.client())
        assert not {k.GEN_AI_INPUT_MESSAGES, k.GEN_AI_OUTPUT_MESSAGES} & app.only().keys()
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    with observed(answer(), redact=lambda text: text.replace("hello", "[gone]")) as app:
        chat(app.client())
        said = app.only()
    assert "Say [gone]." in said[k.GEN_AI_INPUT_MESSAGES]
    assert "Hello to you, too." in said[k.GEN_AI_OUTPUT_MESSAGES]


def test_a_redaction_that_raises_shows_nothing_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> str:
        raise KeyError(text)

    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    before = stats().get("failed.content.KeyError", 0)
    with observed(answer(), redact=refuse) as app:
        chat(app.client())
        said = app.only()
    assert k.GEN_AI_INPUT_MESSAGES not in said
    assert said[k.GEN_AI_USAGE_INPUT_TOKENS] == 100
    assert stats()["failed.content.KeyError"] == before + 1
