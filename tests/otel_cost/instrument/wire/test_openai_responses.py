"""Responses: what is billed beside the model's tokens, and what a poll, a cancel or a broken stream says."""

from __future__ import annotations

from typing import Any

import pytest

from otel_cost.instrument.wire.types import Reading
from otel_cost.pricing.units import UNITS

from .answers import read, read_chunks, read_events, request

USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}
TOKENS = {"input_tokens": 100, "cache_read_tokens": 40, "output_tokens": 30, "output_reasoning_tokens": 20}


def response(**changes: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "background": False,
        "model": "gpt-5-2025-08-07",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello."}]}],
        "service_tier": "default",
        "tools": [],
        "usage": USAGE,
    } | changes


def made(output: list[dict[str, Any]] | None = None, **changes: Any) -> Reading:
    """The reading of a response that a create answered with."""
    answer = response(**changes) if output is None else response(output=output, **changes)
    return read(request("responses", {"model": "gpt-5", "input": "Hi"}), answer)


def test_cache_writes_of_twelve_hours_are_apart_from_short_ones() -> None:
    details = {"cached_tokens": 0, "cache_write_tokens": 90}
    ttls = {"cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 70}}
    usage = USAGE | {"input_tokens_details": details | ttls}
    assert made(usage=usage).usage == {
        "input_tokens": 100,
        "output_tokens": 30,
        "output_reasoning_tokens": 20,
        "cache_read_tokens": 0,
        "cache_write_tokens": 90,
        "cache_write_12h_tokens": 70,
    }


def search(kind: str | None) -> dict[str, Any]:
    return {"type": "web_search_call", "status": "completed"} | ({"action": {"type": kind}} if kind else {})


def test_only_searches_are_billed_not_pages_that_were_opened() -> None:
    tools = [{"type": "web_search", "search_context_size": "high"}]
    reading = made([search("search"), search("open_page"), search(None), search("find_in_page")], tools=tools)
    assert reading.usage["web_searches"] == 2
    assert reading.context == {"search_context_size": "high"}
    assert reading.extra["web_search_calls"] == 4


def test_the_count_of_billed_searches_wins_over_the_calls() -> None:
    told = {"web_search": {"num_requests": 1}}
    assert made([search("search"), search("search")], tool_usage=told).usage["web_searches"] == 1
    assert "web_searches" not in made([], tool_usage={"web_search": {"num_requests": 0}}).usage


def test_failed_calls_of_tools_are_not_billed() -> None:
    calls = [{"type": "file_search_call", "status": status} for status in ("completed", "failed", "completed")]
    assert made(calls).usage["storage_searches"] == 2


def code(container: str | None) -> dict[str, Any]:
    return {"type": "code_interpreter_call", "status": "completed", "container_id": container}


def test_a_container_is_one_session_however_often_it_is_used() -> None:
    reading = made([code("cntr_1"), code("cntr_1"), code("cntr_2")])
    assert reading.usage["code_interpreter_sessions"] == 2
    assert reading.extra["container_ids"] == ("cntr_1", "cntr_2")
    assert made([code(None), code(None)]).usage["code_interpreter_sessions"] == 1


def test_a_container_with_more_memory_costs_as_many_sessions_as_gigabytes() -> None:
    tools = [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]
    assert made([code("cntr_1")], tools=tools).usage["code_interpreter_sessions"] == 4


def test_a_hosted_shell_uses_a_container_and_a_local_one_does_not() -> None:
    hosted = {"type": "shell_call", "environment": {"type": "container_reference", "container_id": "cntr_1"}}
    assert made([hosted]).usage["code_interpreter_sessions"] == 1
    assert made([{"type": "shell_call", "environment": {"type": "local"}}]).usage == TOKENS


PICTURE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0KGgo="}


def test_a_picture_is_billed_by_the_tokens_of_the_model_that_made_it() -> None:
    made_by = [{"type": "image_generation", "model": "gpt-image-1.5"}]
    image_gen = {
        "input_tokens": 70,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 70},
        "output_tokens": 1056,
        "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
        "cached_tokens": 10,
        "cached_tokens_details": {"cached_image_tokens": 4, "cached_text_tokens": 6},
    }
    reading = made([PICTURE], tools=made_by, tool_usage={"image_gen": image_gen})
    model, picture = reading.parts
    assert (model.model, model.usage, model.response_id) == ("gpt-5-2025-08-07", TOKENS, "resp_1")
    assert (picture.model, picture.response_id) == ("gpt-image-1.5", "ig_1")
    assert picture.usage == {
        "input_tokens": 70,
        "input_image_tokens": 0,
        "output_tokens": 1056,
        "output_image_tokens": 1056,
        "cache_read_tokens": 10,
        "cache_image_read_tokens": 4,
    }
    assert reading.images == 1
    assert reading.usage == TOKENS


def test_a_picture_without_tokens_is_counted_by_size_and_quality() -> None:
    """The item's own words win over the tool's, which may be `auto`."""
    tools = [{"type": "image_generation", "size": "auto", "quality": "low"}]
    picture = made([PICTURE | {"size": "1536x1024"}], tools=tools).parts[1]
    assert picture.usage == {"output_images": 1}
    assert picture.context == {"size": "1536x1024", "quality": "low"}


def test_a_picture_that_failed_or_is_empty_is_not_counted() -> None:
    reading = made([PICTURE | {"status": "failed"}, PICTURE | {"result": None}])
    assert (reading.images, reading.parts) == (0, ())


def test_a_drawing_is_billed_to_the_text_model_that_wrote_it() -> None:
    drawn = {"model": "gpt-5.6", "input_tokens": 10, "output_tokens": 90, "reasoning_tokens": 50, "total_tokens": 100}
    part = made([PICTURE | {"svg_usage": drawn}]).parts[-1]
    assert part.model == "gpt-5.6"
    assert part.usage == {"input_tokens": 10, "output_tokens": 90, "output_reasoning_tokens": 50}


def test_xai_reports_the_cost_and_its_own_tools() -> None:
    tools = {"web_search_calls": 3, "x_search_calls": 2, "code_interpreter_calls": 1, "document_search_calls": 4}
    usage = USAGE | {"cost_in_usd_ticks": 5409000, "server_side_tool_usage_details": tools}
    sent = request("responses", {"model": "grok-4.3", "input": "Hi"}, host="https://api.x.ai/v1/")
    reading = read(sent, response(usage=usage, output=[search(None)]))
    assert reading.reported_cost_pico_usd == 540_900_000
    assert {unit: reading.usage[unit] for unit in reading.usage if "_tokens" not in unit} == {
        "web_searches": 3,
        "social_searches": 2,
        "code_executions": 1,
        "storage_searches": 4,
    }


def test_tools_of_xai_are_counted_by_their_calls_where_nothing_else_says_them() -> None:
    sent = request("responses", {"model": "grok-4.3", "input": "Hi"}, host="https://api.x.ai/v1/")
    calls = [code(None), {"type": "x_search_call"}, {"type": "file_search_call"}, search("search"), PICTURE]
    reading = read(sent, response(output=calls))
    assert {unit: reading.usage[unit] for unit in reading.usage if "_tokens" not in unit} == {
        "web_searches": 1,
        "social_searches": 1,
        "code_executions": 1,
        "storage_searches": 1,
    }
    assert (reading.images, reading.parts) == (1, ())


@pytest.mark.parametrize(
    ("cost", "pico_usd"), [(0.00010625, 106_250_000), ({"total_cost": 0.006, "input_cost": 0.001}, 6_000_000_000)]
)
def test_costs_that_are_reported_in_dollars_are_exact(cost: object, pico_usd: int) -> None:
    assert made(usage=USAGE | {"cost": cost}).reported_cost_pico_usd == pico_usd


def test_a_background_response_is_counted_by_the_poll_that_finds_it_finished() -> None:
    sent = request("responses", {"model": "gpt-5", "input": "Hi", "background": True})
    queued = read(sent, response(status="queued", background=True, output=[], usage=None))
    assert (queued.operation, queued.status, queued.usage, queued.counts_once) == ("chat", "queued", {}, False)
    poll = request("responses/resp_1")
    waiting = read(poll, response(status="in_progress", background=True, output=[], usage=None))
    done = read(poll, response(background=True))
    assert (waiting.counts_once, waiting.is_billable) == (False, False)
    assert (done.operation, done.usage, done.counts_once, done.is_billable) == (None, TOKENS, True, False)
    assert done.extra["counts_as"] == "chat"


def test_a_poll_of_a_response_that_was_not_made_in_background_repeats_what_its_create_told() -> None:
    assert not read(request("responses/resp_1"), response()).counts_once


def test_a_cancelled_background_response_is_counted_if_it_says_usage() -> None:
    sent = request("responses/resp_1/cancel", {})
    assert read(sent, response(status="cancelled", background=True)).counts_once
    assert not read(sent, response(status="cancelled", background=True, usage=None)).counts_once


def test_a_resumed_stream_of_a_background_response_is_counted_once() -> None:
    sent = request("responses/resp_1?stream=true&starting_after=7")
    reading = read_events(sent, [{"type": "response.completed", "response": response(background=True)}])
    assert (reading.operation, reading.counts_once, reading.usage) == (None, True, TOKENS)


def test_counting_tokens_is_no_model_call_and_compacting_is_one() -> None:
    counted = read(
        request("responses/input_tokens", {"model": "gpt-5"}), {"object": "response.input_tokens", "input_tokens": 11}
    )
    assert (counted.operation, counted.is_billable, counted.usage) == (None, False, {})
    assert counted.extra["counted_tokens"] == 11
    body = {"id": "resp_2", "object": "response.compaction", "output": [{"type": "compaction"}], "usage": USAGE}
    compacted = read(request("responses/compact", {"model": "gpt-5"}), body)
    assert (compacted.operation, compacted.usage, compacted.is_billable) == ("chat", TOKENS, True)


@pytest.mark.parametrize("path", ["responses/resp_1", "responses/resp_1/input_items"])
def test_deleting_and_listing_are_bookkeeping(path: str) -> None:
    reading = read(request(path, method="DELETE" if path.endswith("_1") else "GET"), {"object": "list", "data": []})
    assert (reading.operation, reading.is_billable, reading.usage) == (None, False, {})


EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": response(status="in_progress", usage=None, output=[])},
    {"type": "response.output_text.delta", "delta": "Hel"},
    {"type": "response.output_text.delta", "delta": "lo."},
]


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
def test_the_last_event_tells_the_usage_with_and_without_event_names(last: str, is_named: bool) -> None:
    end = {"type": f"response.{last}", "response": response(status=last)}
    sent = request("responses", {"model": "gpt-5", "stream": True})
    reading = read_events(sent, [*EVENTS, end], is_named=is_named)
    assert (reading.usage, reading.status, reading.is_stream) == (TOKENS, last, True)


def test_a_type_that_stands_behind_the_response_is_found() -> None:
    """Some servers write the keys of an event in another order; text that looks like a type is escaped."""
    text = rb'"text":"\"type\":\"response.failed\""'
    data = b'{"response":{"id":"r","output":[{' + text + b'}],"usage":{"input_tokens":1}},"type":"response.completed"}'
    reading = read_chunks(
        request("responses", {"model": "m", "stream": True}),
        [b"data: " + data + b"\n\n"],
        content_type="text/event-stream",
    )
    assert (reading.usage, reading.response_id) == ({"input_tokens": 1}, "r")


def test_a_stream_that_breaks_off_says_what_was_delivered_and_no_end() -> None:
    sent = request("responses", {"model": "gpt-5", "stream": True, "input": [{"role": "user", "content": "Hi"}]})
    done = {"type": "response.output_item.done", "item": search("search")}
    reading = read_events(sent, [*EVENTS, done])
    assert (reading.usage, reading.finish_reasons, reading.status) == ({"web_searches": 1}, None, None)
    assert reading.response_model == "gpt-5-2025-08-07"
    assert reading.said is not None
    assert [list(texts) for texts in reading.said()] == [["Hi"], ["Hel", "lo."]]


def test_a_background_stream_that_breaks_off_goes_on_without_us() -> None:
    created = {"type": "response.created", "response": response(status="in_progress", background=True, usage=None)}
    reading = read_events(request("responses", {"model": "gpt-5", "stream": True, "background": True}), [created])
    assert reading.status == "in_progress"


def test_an_error_in_a_stream_is_a_failure_that_is_not_billed() -> None:
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}
    reading = read_events(request("responses", {"model": "gpt-5", "stream": True}), [EVENTS[0], error])
    assert (reading.error_type, reading.is_billable, reading.status) == ("rate_limit_exceeded", False, "failed")


def test_tools_are_counted_where_the_last_event_does_not_repeat_the_output() -> None:
    sent = request("responses", {"model": "gpt-5", "stream": True})
    done = {"type": "response.output_item.done", "item": search("search")}
    end = {"type": "response.completed", "response": response(output=[])}
    assert read_events(sent, [*EVENTS, done, end]).usage == {**TOKENS, "web_searches": 1}


def test_regional_hosts_and_slow_background_windows_decide_the_price() -> None:
    body = {"model": "gpt-5", "background": True, "background_options": {"completion_window": "8h"}}
    reading = read(request("responses", body, host="https://eu.api.openai.com/v1/"), response())
    assert reading.context == {"data_residency": "eu", "completion_window": "8h"}


def test_every_unit_that_is_told_is_a_unit_of_the_rate_card() -> None:
    reading = made([search("search"), code("c"), PICTURE, {"type": "file_search_call"}])
    assert {unit for part in reading.parts for unit in part.usage} <= set(UNITS)
