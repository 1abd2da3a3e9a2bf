"""One span per logical call, over all attempts of the SDK; a call that nobody repeats ends when it failed."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

from otel_cost import attributes as k
from otel_cost.instrument.retries import MAX_PENDING, RETRIES, Retries, is_retryable
from otel_cost.instrument.wire.types import Request
from tests.otel_cost.instrument.observing import MESSAGES, MODEL, Observed, answer, chat, observed, refusal


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """SDKs need not wait between attempts here."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.002)


def ended(app: Observed) -> list[str]:
    """Names of the spans that have ended by themselves."""
    return [span.name for span in app.recorder._exporter.get_finished_spans()]


def test_all_attempts_are_one_span_with_an_event_each() -> None:
    with observed(refusal(429), refusal(500, "server_error"), answer()) as app:
        chat(app.client())
        (span,) = app.spans()
    said = dict(span.attributes or {})
    assert said[k.HTTP_REQUEST_RESEND_COUNT] == 2
    assert said[k.GEN_AI_USAGE_INPUT_TOKENS] == 100
    assert span.status.status_code is StatusCode.UNSET
    assert k.ERROR_TYPE not in said
    assert [dict(event.attributes or {}) for event in span.events] == [
        {k.HTTP_RESPONSE_STATUS_CODE: 429, k.ERROR_TYPE: "rate_limit_exceeded"},
        {k.HTTP_RESPONSE_STATUS_CODE: 500, k.ERROR_TYPE: "server_error"},
    ]


def test_a_call_that_the_sdk_gives_up_ends_with_the_time_and_error_of_its_last_attempt() -> None:
    with observed(refusal(500, "server_error")) as app:
        with pytest.raises(openai.InternalServerError):
            chat(app.client(max_retries=1))
        assert ended(app) == []
        (span,) = app.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})[k.ERROR_TYPE] == "server_error"
    assert (span.attributes or {})[k.HTTP_REQUEST_RESEND_COUNT] == 1
    assert span.end_time == span.events[-1].timestamp


def test_the_next_call_of_the_thread_ends_one_that_was_given_up() -> None:
    with observed(refusal(500), answer()) as app:
        with pytest.raises(openai.InternalServerError):
            chat(app.client(max_retries=0))
        chat(app.client())
        first, second = app.recorder._exporter.get_finished_spans()
    assert first.status.status_code is StatusCode.ERROR
    assert k.HTTP_REQUEST_RESEND_COUNT not in (second.attributes or {})


def test_a_call_that_the_app_itself_repeats_is_another_call() -> None:
    """The SDK says that it is no repetition of its own."""
    with observed(refusal(429), answer()) as app:
        with pytest.raises(openai.RateLimitError):
            chat(app.client(max_retries=0))
        chat(app.client(max_retries=0))
        assert [span.status.status_code for span in app.spans()] == [StatusCode.ERROR, StatusCode.UNSET]


def test_connection_errors_are_attempts_too() -> None:
    with observed(answer()) as app:
        client = app.client(max_retries=2)
        client.base_url = "http://127.0.0.1:9/v1"  # nobody listens there
        with pytest.raises(openai.APIConnectionError):
            chat(client)
        (span,) = app.spans()
    assert [list(event.attributes or {}) for event in span.events] == [[k.ERROR_TYPE]] * 3
    assert str((span.attributes or {})[k.ERROR_TYPE]).endswith(".ConnectError")


def test_parallel_calls_that_are_repeated_keep_apart() -> None:
    async def both(app: Observed) -> None:
        client = app.async_client()
        call = client.chat.completions.create
        await asyncio.gather(*(call(model=MODEL, messages=MESSAGES, user=f"u{number}") for number in range(8)))

    with observed(*[refusal(429)] * 8, answer()) as app:
        asyncio.run(both(app))
        spans = app.spans()
    assert len(spans) == 8
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)
    said: list[dict[str, Any]] = [dict(span.attributes or {}) for span in spans]
    assert sum(attributes.get(k.HTTP_REQUEST_RESEND_COUNT, 0) for attributes in said) == 8


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (408, {}, True),
        (409, {}, True),
        (429, {}, True),
        (503, {}, True),
        (400, {}, False),
        (200, {}, False),
        (429, {"x-should-retry": "false"}, False),
        (400, {"x-should-retry": "true"}, True),
    ],
)
def test_which_answers_are_repeated(status: int, headers: dict[str, str], expected: bool) -> None:
    assert is_retryable(status, headers, None) is expected


def test_what_is_cancelled_is_not_repeated() -> None:
    assert not is_retryable(None, {}, asyncio.CancelledError())
    assert is_retryable(None, {}, TimeoutError())


class Kept:
    """A pending call."""

    def __init__(self) -> None:
        self.is_over = False

    def give_up(self) -> None:
        self.is_over = True


def request(body: bytes = b"{}", **headers: str) -> Request:
    return Request("POST", "https://api.openai.com/v1/chat/completions", headers, body)


def put(retries: Retries, call: Any, asked: Request) -> None:
    retries.put(call, asked, otel_context.get_current(), {})


def test_only_the_same_request_is_a_repetition() -> None:
    retries, call = Retries(), Kept()
    put(retries, call, request(b"one"))
    assert retries.take(request(b"other"), otel_context.get_current()) is None
    assert call.is_over


def test_what_another_thread_or_task_asks_again_is_another_call() -> None:
    """Also where it begins when the first one has ended, and gets its id."""
    retries, calls, taken = Retries(), [Kept() for _ in range(40)], list[object]()

    def fail(call: Kept) -> None:
        taken.append(retries.take(request(), otel_context.get_current()))
        put(retries, call, request())

    async def fail_in_a_task(call: Kept) -> None:
        fail(call)

    async def fail_in_tasks() -> None:
        for call in calls[20:]:
            await asyncio.create_task(fail_in_a_task(call))

    for call in calls[:20]:
        thread = threading.Thread(target=fail, args=(call,))
        thread.start()
        thread.join()
    asyncio.run(fail_in_tasks())
    retries.flush()
    assert taken == [None] * 40
    assert all(call.is_over for call in calls)


def test_more_than_can_be_kept_end_at_once() -> None:
    retries = Retries()
    calls = [Kept() for _ in range(MAX_PENDING + 1)]
    for call in calls:
        put(retries, call, request())
    assert [call.is_over for call in calls] == [False] * MAX_PENDING + [True]
    retries.flush()
    assert all(call.is_over for call in calls)


def test_one_that_nobody_repeats_in_time_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waited(Kept):
        done = threading.Event()

        def give_up(self) -> None:
            super().give_up()
            self.done.set()

    monkeypatch.setattr("otel_cost.instrument.retries.USUAL_WAIT_SECONDS", 0.01)
    retries, call = Retries(), Waited()
    put(retries, call, request())
    assert call.done.wait(20)


def test_a_forked_child_leaves_what_its_parent_keeps_open() -> None:
    with observed(refusal(500)) as app:
        with pytest.raises(openai.InternalServerError):
            chat(app.client(max_retries=0))
        child = os.fork()
        if not child:
            os._exit(len(RETRIES.pending))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(app.spans()) == 1
