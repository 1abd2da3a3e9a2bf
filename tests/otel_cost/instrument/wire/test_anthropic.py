"""Anthropic's API: what an answer says of its price, in steps, streams, batches, and on other hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_cost.instrument.wire import asked
from otel_cost.instrument.wire.types import Reading, Request
from tests.otel_cost.instrument.wire.answers import read, read_chunks, read_events, request

HOST = "https://api.anthropic.com/v1/"
MODEL = "claude-opus-4-6"
SENT: dict[str, Any] = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "How are you?"}]}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I am "}}
MORE = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "well"}}
STOP = {"type": "message_stop"}


def messages(path: str = "messages", **more: Any) -> Request:
    return request(path, {**SENT, **more}, host=HOST)


def message(**usage: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "model": MODEL, "content": [], "stop_reason": "end_turn", "usage": usage}


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "model": MODEL, "usage": usage}}


def delta(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def step(kind: str, given: int, made: int, model: str | None = None) -> dict[str, Any]:
    said = {"type": kind, "input_tokens": given, "output_tokens": made}
    return said | ({"model": model} if model else {})


def billed(reading: Reading) -> list[tuple[str | None, int, int]]:
    return [(part.model, part.usage["input_tokens"], part.usage["output_tokens"]) for part in reading.parts]


def test_the_advisor_is_billed_by_its_own_model_at_the_usual_speed() -> None:
    steps = [step("message", 10, 1), step("advisor_message", 30, 3, "claude-opus-4-8"), step("message", 20, 2)]
    reading = read(messages(), message(input_tokens=30, output_tokens=3, iterations=steps, speed="fast"))
    assert billed(reading) == [(MODEL, 10, 1), ("claude-opus-4-8", 30, 3), (MODEL, 20, 2)]
    assert [part.context.get("speed") for part in reading.parts] == ["fast", None, "fast"]
    assert reading.usage == {"input_tokens": 30, "output_tokens": 3}


def test_searches_are_billed_once_with_the_last_step_of_the_answers_own_model() -> None:
    steps = [step("message", 10, 1), step("message", 20, 2), step("advisor_message", 30, 3, "claude-opus-4-8")]
    tools = {"web_search_requests": 2, "web_fetch_requests": 1}
    reading = read(messages(), message(input_tokens=30, output_tokens=3, iterations=steps, server_tool_use=tools))
    assert [part.usage.get("web_searches") for part in reading.parts] == [None, 2, None]
    assert reading.usage["web_searches"] == 2
    assert reading.extra["web_fetch_requests"] == 1


def test_one_step_that_is_all_there_is_makes_no_parts() -> None:
    reading = read(messages(), message(input_tokens=10, output_tokens=1, iterations=[step("message", 10, 1)]))
    assert reading.parts == ()


def test_an_answer_that_only_compacts_is_billed_for_compacting() -> None:
    reading = read(messages(), message(input_tokens=0, output_tokens=0, iterations=[step("compaction", 500, 40)]))
    assert billed(reading) == [(MODEL, 500, 40)]


def test_thinking_is_part_of_the_output() -> None:
    reading = read(messages(), message(input_tokens=1, output_tokens=9, output_tokens_details={"thinking_tokens": 7}))
    assert reading.usage == {"input_tokens": 1, "output_tokens": 9, "output_reasoning_tokens": 7}


@pytest.mark.parametrize(
    ("said", "context"),
    [
        (
            {"speed": "fast", "inference_geo": "us", "service_tier": "priority"},
            {"speed": "fast", "inference_geo": "us"},
        ),
        ({"speed": "standard", "inference_geo": "not_available"}, {}),
        ({"inference_geo": "global"}, {}),
    ],
)
def test_only_what_changes_the_price_is_context(said: dict[str, str], context: dict[str, str]) -> None:
    reading = read(messages(), message(input_tokens=1, output_tokens=1, **said))
    assert reading.context == context
    assert reading.service_tier == said.get("service_tier")


def test_speed_and_place_are_as_served_and_only_else_as_asked() -> None:
    asking = messages(speed="fast", inference_geo="us")
    assert read(asking, message(input_tokens=1)).context == {"speed": "fast", "inference_geo": "us"}
    assert read(asking, message(input_tokens=1, speed="standard", inference_geo="global")).context == {}


def test_the_last_event_overrides_what_the_first_one_said() -> None:
    cached = {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 0}
    events = [start(input_tokens=5, output_tokens=1, **cached), TEXT, delta(input_tokens=7, output_tokens=3), STOP]
    reading = read_events(messages(stream=True), events)
    assert reading.usage["input_tokens"] == 107
    assert reading.usage["output_tokens"] == 3
    assert reading.finish_reasons == ("end_turn",)
    assert reading.is_stream


@pytest.mark.parametrize("is_named", [True, False])
def test_a_stream_that_breaks_off_knows_its_input_and_gives_what_it_delivered(is_named: bool) -> None:
    """The first event's count of output is a beginning, not a total: it would pass for all that was made."""
    reading = read_events(
        messages(stream=True), [start(input_tokens=5, output_tokens=1), TEXT, MORE], is_named=is_named
    )
    assert reading.usage == {"input_tokens": 5}
    assert reading.said is not None
    assert reading.said() == (["How are you?"], ["I am well"])


def test_an_error_amid_a_stream_is_an_error_and_what_was_used_is_billed() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reading = read_events(messages(stream=True), [start(input_tokens=5, output_tokens=1), TEXT, error])
    assert reading.error_type == "overloaded_error"
    assert reading.is_billable
    assert reading.usage == {"input_tokens": 5}
    assert not read_events(messages(stream=True), [error]).is_billable


def test_cache_writes_that_a_loop_of_tools_adds_keep_the_lifetime_of_all_others() -> None:
    def written(split: dict[str, int], total: int) -> Reading:
        first = start(input_tokens=1, cache_creation_input_tokens=10, cache_creation=split)
        return read_events(messages(stream=True), [first, delta(output_tokens=1, cache_creation_input_tokens=total)])

    hour = written({"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10}, 15).usage
    assert hour["cache_write_1h_tokens"] == hour["cache_write_tokens"] == 15
    short = written({"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0}, 15).usage
    assert (short["cache_write_5m_tokens"], short["cache_write_tokens"]) == (10, 15)
    none = written({"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0}, 0).usage
    assert "cache_write_5m_tokens" not in none


def test_results_of_a_batch_are_parts_at_batch_rates_and_errors_among_them_cost_nothing() -> None:
    done = {"type": "succeeded", "message": message(input_tokens=3, output_tokens=2)}
    broken = {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error"}}}
    lines = [{"custom_id": "a", "result": done}, {"custom_id": "b", "result": broken}]
    lines.append({"custom_id": "c", "result": {"type": "expired"}})
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    fetch = request("messages/batches/msgbatch_1/results", host=HOST)
    reading = read_chunks(fetch, [body[:30], body[30:]], content_type="application/octet-stream")
    assert [(part.usage, part.error_type, part.extra["custom_id"]) for part in reading.parts] == [
        ({"input_tokens": 3, "output_tokens": 2}, None, "a"),
        ({}, "invalid_request_error", "b"),
        ({}, "expired", "c"),
    ]
    assert reading.parts[0].service_tier == "batch"
    assert (reading.is_billable, reading.counts_once) == (False, True)


@pytest.mark.parametrize(
    ("url", "provider", "model", "is_stream"),
    [
        ("https://gateway.example.com/anthropic/v1/messages", "anthropic", MODEL, False),
        ("http://localhost:4000/v1/messages", "anthropic", MODEL, False),
        ("https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages", "aws.bedrock", MODEL, False),
        ("https://r.services.ai.azure.com/anthropic/v1/messages?beta=true", "azure.ai.inference", MODEL, False),
        ("https://openrouter.ai/api/v1/messages", "openrouter", MODEL, False),
        ("https://aws-external-anthropic.us-east-1.api.aws/v1/messages", "anthropic", MODEL, False),
    ],
)
def test_the_same_api_on_other_hosts(url: str, provider: str, model: str, is_stream: bool) -> None:
    sent = Request("POST", url, {}, json.dumps(SENT).encode())
    wanted = asked(sent)
    assert wanted is not None
    assert (wanted.provider, wanted.model, wanted.is_stream) == (provider, model, is_stream)
    assert read(sent, message(input_tokens=1, output_tokens=1)).usage["input_tokens"] == 1


@pytest.mark.parametrize(("action", "is_stream"), [("rawPredict", False), ("streamRawPredict", True)])
def test_on_vertex_the_path_says_model_place_and_stream(action: str, is_stream: bool) -> None:
    path = f"projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-6@default:{action}"
    sent = Request("POST", f"https://us-east5-aiplatform.googleapis.com/v1/{path}", {}, b'{"messages": []}')
    wanted = asked(sent)
    assert wanted is not None
    assert (wanted.provider, wanted.model) == ("gcp.vertex_ai", "claude-opus-4-6@default")
    assert (wanted.is_stream, wanted.context) == (is_stream, {"location": "us-east5"})


def test_on_bedrocks_mantle_the_host_says_the_region() -> None:
    wanted = asked(Request("POST", "https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages", {}, b"{}"))
    assert wanted is not None
    assert wanted.context == {"region": "eu-west-1"}


def test_counting_tokens_is_no_model_call() -> None:
    on_vertex = (
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/"
    )
    for sent in (
        messages("messages/count_tokens"),
        Request("POST", f"{on_vertex}count-tokens:rawPredict", {}, json.dumps(SENT).encode()),
    ):
        reading = read(sent, {"input_tokens": 7})
        assert (reading.operation, reading.request_model, reading.is_billable) == (None, MODEL, False)
        assert reading.extra["counted_tokens"] == 7


def test_assistants_messages_at_openai_are_not_anthropics() -> None:
    sent = Request("POST", "https://api.openai.com/v1/threads/thread_1/messages", {}, b'{"role": "user"}')
    wanted = asked(sent)
    assert wanted is None or not wanted.api.name.startswith("anthropic")


def test_a_streamed_completion_says_no_usage_but_its_text() -> None:
    sent = request("complete", {"model": "claude-2.1", "prompt": "Hi", "stream": True}, host=HOST)
    events: list[dict[str, Any]] = [
        {"type": "completion", "id": "compl_1", "completion": " Hel", "stop_reason": None, "model": "claude-2.1"},
        {"type": "completion", "id": "compl_1", "completion": "lo", "stop_reason": "stop_sequence"},
    ]
    reading = read_events(sent, events)
    assert (reading.operation, reading.usage, reading.finish_reasons) == ("text_completion", {}, ("stop_sequence",))
    assert (reading.response_id, reading.response_model) == ("compl_1", "claude-2.1")
    assert reading.said is not None
    assert reading.said() == (["Hi"], [" Hello"])
