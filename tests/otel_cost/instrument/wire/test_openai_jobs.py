"""Batches, runs, turns and deferred chats: what is told more than once counts under its own id."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .answers import read, read_chunks, read_events, request

FILE = request("files/file-1/content")
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5-nano",
    "output": [{"type": "file_search_call", "status": "completed"}],
    "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
}
EMBEDDINGS = {"object": "list", "data": [], "model": "text-embedding-3-small", "usage": {"prompt_tokens": 6}}
PICTURES = {"created": 1, "data": [{"b64_json": "a"}], "usage": {"input_tokens": 2, "output_tokens": 9}}


def line(custom_id: str, body: object, status: int = 200) -> bytes:
    response = {"status_code": status, "request_id": "req_1", "body": body}
    return json.dumps({"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}).encode()


def test_each_result_of_a_batch_is_a_part_at_batch_rates() -> None:
    lines = [line(str(n), body) for n, body in enumerate((CHAT, RESPONSE, EMBEDDINGS, PICTURES))]
    reading = read(FILE, b"\n".join(lines) + b"\n", content_type="application/octet-stream")
    assert (reading.operation, reading.is_billable, reading.counts_once, reading.usage) == ("batch", False, True, {})
    assert [(part.model, dict(part.usage), part.response_id) for part in reading.parts] == [
        ("gpt-4o-mini-2024-07-18", {"input_tokens": 20, "output_tokens": 5}, "chatcmpl-1"),
        ("gpt-5-nano", {"input_tokens": 7, "output_tokens": 3, "storage_searches": 1}, "resp_1"),
        ("text-embedding-3-small", {"input_tokens": 6}, None),
        (None, {"input_tokens": 2, "output_tokens": 9}, None),
    ]
    assert all(part.context["processing"] == "batch" for part in reading.parts)
    assert [part.extra["custom_id"] for part in reading.parts] == ["0", "1", "2", "3"]
    assert [part.extra["counts_as"] for part in reading.parts] == ["chat", "chat", "embeddings", "image_generation"]


def test_a_result_whose_answer_has_no_id_has_that_of_its_line() -> None:
    body = b"\n".join((line("0", CHAT), line("1", EMBEDDINGS)))
    parts = read(FILE, body, content_type="application/octet-stream").parts
    assert [part.extra.get("item_id") for part in parts] == [None, "batch_req_1"]


def test_failed_requests_of_a_batch_are_not_billed() -> None:
    refused = {"error": {"message": "no", "type": "invalid_request_error", "code": "model_not_found"}}
    reading = read(FILE, line("0", refused, 404) + b"\n" + line("1", CHAT), content_type="application/octet-stream")
    assert [part.response_id for part in reading.parts] == ["chatcmpl-1"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_file_is_read_as_it_comes(size: int) -> None:
    body = b"\n".join(line(str(n), CHAT) for n in range(3))
    pieces = [body[begin : begin + size] for begin in range(0, len(body), size)]
    assert len(read_chunks(FILE, pieces, content_type="application/jsonl").parts) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b'{"messages": [{"role": "user", "content": "train me"}]}\n' * 3,
        b'{"custom_id": "0", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n',
        b"a,b\n1,2\n",
        b"",
    ],
)
def test_files_that_are_no_results_are_bookkeeping(content: bytes) -> None:
    reading = read(FILE, content, content_type="application/octet-stream")
    assert (reading.operation, reading.parts, reading.is_billable, reading.counts_once) == (None, (), False, False)


@pytest.mark.parametrize("status", ["validating", "in_progress", "completed"])
def test_making_and_polling_a_batch_is_bookkeeping(status: str) -> None:
    totals = {"input_tokens": 1, "output_tokens": 1}
    reading = read(request("batches/batch_1"), {"id": "batch_1", "status": status, "usage": totals})
    assert (reading.operation, reading.is_billable, reading.usage) == ("batch", False, {})
    assert (reading.response_id, reading.extra["batch_status"]) == ("batch_1", status)


RUN = {"id": "run_1", "object": "thread.run", "model": "gpt-4o-mini", "status": "completed"}
RUN_USAGE = {"prompt_tokens": 381, "completion_tokens": 89, "prompt_token_details": {"cached_tokens": 12}}
RUN_UNITS = {"input_tokens": 381, "output_tokens": 89, "cache_read_tokens": 12}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "cancelled", "expired"])
def test_a_run_that_is_over_counts_once_under_its_id(status: str) -> None:
    reading = read(request("threads/thread_1/runs/run_1"), RUN | {"status": status, "usage": RUN_USAGE})
    (part,) = reading.parts
    assert (part.model, part.usage, part.response_id) == ("gpt-4o-mini", RUN_UNITS, "run_1")
    assert (reading.counts_once, reading.operation, reading.usage) == (True, None, {})


def test_a_run_that_is_under_way_counts_nothing() -> None:
    for sent in (request("threads/runs", {"assistant_id": "a"}), request("threads/thread_1/runs/run_1")):
        reading = read(sent, RUN | {"status": "in_progress", "usage": None})
        assert (reading.counts_once, reading.parts, reading.operation) == (False, (), None)


@pytest.mark.parametrize("status", [[], {}, ["completed"], 3, None])
def test_a_run_whose_status_is_no_word_counts_nothing(status: object) -> None:
    assert not read(request("threads/thread_1/runs/run_1"), RUN | {"status": status, "usage": RUN_USAGE}).counts_once


def test_a_list_of_runs_counts_each() -> None:
    listed = {"object": "list", "data": [RUN | {"id": f"run_{n}", "usage": RUN_USAGE} for n in range(3)]}
    reading = read(request("threads/thread_1/runs"), listed)
    assert [part.response_id for part in reading.parts] == ["run_0", "run_1", "run_2"]


def test_a_streamed_run_counts_by_the_run_and_not_by_its_steps() -> None:
    step = {"id": "step_1", "object": "thread.run.step", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    events: list[tuple[str, Any]] = [
        ("thread.run.created", RUN | {"status": "queued", "usage": None}),
        ("thread.message.delta", {"delta": {}}),
        ("thread.run.step.completed", step | {"status": "completed"}),
        ("thread.run.completed", RUN | {"usage": RUN_USAGE}),
    ]
    chunks = [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events]
    sent = request("threads/runs", {"assistant_id": "asst_1", "stream": True})
    reading = read_chunks(sent, [*chunks, b"event: done\ndata: [DONE]\n\n"], content_type="text/event-stream")
    assert [(part.response_id, part.usage) for part in reading.parts] == [("run_1", RUN_UNITS)]


def test_turns_of_an_agents_session_count_by_the_model_of_the_session() -> None:
    usage = {"input_tokens": 50, "input_tokens_details": {"cached_tokens": 8}, "output_tokens": 6}
    turn = {"id": "turn_1", "object": "agent.session.turn", "status": "completed", "usage": usage}
    events = [
        {"type": "agent.session.created", "session": {"id": "s", "agent": {"model": "gpt-5.6"}}},
        {"type": "agent.session.turn.completed", "turn_id": "turn_1", "turn": turn, "usage": usage},
    ]
    reading = read_events(request("agents/sessions/s/events"), events)
    units = {"input_tokens": 50, "cache_read_tokens": 8, "output_tokens": 6}
    assert [(part.model, part.usage, part.response_id) for part in reading.parts] == [("gpt-5.6", units, "turn_1")]


def test_a_deferred_chat_of_xai_counts_once() -> None:
    sent = request("chat/deferred-completion/r1", host="https://api.x.ai/v1/")
    waiting = read(sent, b"", status=202)
    assert (waiting.counts_once, waiting.is_billable, waiting.operation) == (False, False, None)
    done = read(sent, CHAT | {"model": "grok-4"})
    assert (done.counts_once, done.usage["input_tokens"], done.response_id) == (True, 20, "chatcmpl-1")


def test_moderations_are_calls_without_usage_and_decisions_report_tokens() -> None:
    moderation = read(request("moderations", {"input": "a"}), {"id": "modr-1", "model": "omni-moderation-latest"})
    assert (moderation.operation, moderation.usage, moderation.response_id) == ("moderation", {}, "modr-1")
    assert moderation.said is not None
    assert [list(texts) for texts in moderation.said()] == [["a"], []]
    usage = {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
        "output_tokens": 0,
    }
    decision = read(request("decisions", {"model": "d"}), {"model": "d-1", "answers": [], "usage": usage})
    assert decision.operation == "decision"
    assert decision.usage == {"input_tokens": 12, "cache_read_tokens": 1, "cache_write_tokens": 2, "output_tokens": 0}


@pytest.mark.parametrize(
    "path",
    ["files", "vector_stores", "containers", "realtime/client_secrets", "realtime/calls", "fine_tuning/jobs", "evals"],
)
def test_what_runs_no_model_is_bookkeeping(path: str) -> None:
    reading = read(request(path, {"name": "a", "model": "gpt-4o"}), {"id": "x", "model": "gpt-4o"})
    assert (reading.operation, reading.is_billable, reading.usage) == (None, False, {})


def test_a_realtime_response_over_http_is_a_call_with_its_kinds_of_tokens() -> None:
    usage = {
        "input_tokens": 90,
        "input_token_details": {
            "cached_tokens": 64,
            "text_tokens": 60,
            "audio_tokens": 30,
            "cached_tokens_details": {"text_tokens": 44, "audio_tokens": 20},
        },
        "output_tokens": 40,
        "output_token_details": {"text_tokens": 10, "audio_tokens": 30},
    }
    answer = {
        "type": "response.done",
        "response": {"id": "resp_1", "status": "completed", "output": [], "usage": usage},
    }
    reading = read(request("realtime?model=gpt-realtime", {"type": "response.create"}), answer)
    assert (reading.operation, reading.request_model) == ("chat", "gpt-realtime")
    assert reading.usage == {
        "input_tokens": 90,
        "cache_read_tokens": 64,
        "input_audio_tokens": 30,
        "cache_audio_read_tokens": 20,
        "output_tokens": 40,
        "output_audio_tokens": 30,
    }
