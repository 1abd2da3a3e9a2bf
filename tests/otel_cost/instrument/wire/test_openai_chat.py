"""What providers add to OpenAI's chat API, beyond what the recorded exchanges hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from otel_cost.instrument.wire import Head, Reading, Request, asked, body_reader, read_body
from otel_cost.instrument.wire import openai_stream as stream_module
from otel_cost.instrument.wire.body import BodyReader

URLS = {
    "openai": "https://api.openai.com/v1/chat/completions",
    "xai": "https://api.x.ai/v1/chat/completions",
    "fireworks": "https://api.fireworks.ai/inference/v1/chat/completions",
    "perplexity": "https://api.perplexity.ai/chat/completions",
    "mistral": "https://api.mistral.ai/v1/chat/completions",
    "openrouter": "https://openrouter.ai/api/v1/chat/completions",
    "vercel": "https://ai-gateway.vercel.sh/v1/chat/completions",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    "databricks": "https://adb-1.2.azuredatabricks.net/serving-endpoints/databricks-claude/invocations",
    "embeddings": "https://api.openai.com/v1/embeddings",
    "completions": "https://api.openai.com/v1/completions",
}


def request(provider: str, **said: Any) -> Request:
    return Request("POST", URLS[provider], {}, json.dumps({"model": "m", **said}).encode())


def answered(provider: str, answer: Any, *, status: int = 200, headers: Mapping[str, str] = {}, **said: Any) -> Reading:
    """The reading of a whole answer."""
    found = asked(request(provider, **said))
    assert found is not None
    return read_body(found, Head(status, {"content-type": "application/json", **headers}), json.dumps(answer).encode())


def streamed(events: Iterable[Any], provider: str = "openai", *, is_done: bool = True, **said: Any) -> BodyReader:
    """A reader that was fed a stream."""
    found = asked(request(provider, stream=True, **said))
    assert found is not None
    reader = body_reader(found, Head(200, {"content-type": "text/event-stream"}))
    for event in events:
        reader.feed(b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n")
    if is_done:
        reader.feed(b"data: [DONE]\n\n")
        reader.end()
    return reader


def chunk(text: str = "", **said: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": None, **said}
    return {"id": "chatcmpl-1", "model": "m-1", "choices": [choice], "usage": None}


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def test_reasoning_that_is_counted_beside_the_output_is_added_to_it() -> None:
    """Seen by the total; where the total is that of both, it is inside."""
    details = {"completion_tokens_details": {"reasoning_tokens": 7}}
    assert answered("xai", {"usage": {**USAGE, **details, "total_tokens": 22}}).usage["output_tokens"] == 12
    inside = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19, **details}
    assert answered("xai", {"usage": inside}).usage["output_tokens"] == 9


def test_a_total_that_does_not_fit_adds_nothing() -> None:
    """It is no proof of anything that is counted."""
    for total in (0, 3, 1_000):
        usage = answered("openai", {"usage": {**USAGE, "total_tokens": total}}).usage
        assert (usage["input_tokens"], usage["output_tokens"]) == (10, 5)


def test_what_fireworks_cached_stands_in_a_header() -> None:
    headers = {"fireworks-cached-prompt-tokens": "8", "fireworks-prompt-tokens": "10"}
    assert answered("fireworks", {"usage": USAGE}, headers=headers).usage["cache_read_tokens"] == 8


def test_costs_are_exact() -> None:
    """In pico-USD, from the provider's decimals, whatever their sum."""
    for cost, pico in ((0.1, 10**11), (1e-9, 1000), (0.00010625, 106_250_000), (3, 3 * 10**12), ("0.3", 3 * 10**11)):
        assert answered("openrouter", {"usage": {**USAGE, "cost": cost}}).reported_cost_pico_usd == pico
    none: Any
    for none in (-1, True, None, "x", [], float("inf"), 1e300):
        assert answered("openrouter", {"usage": {**USAGE, "cost": none}}).reported_cost_pico_usd is None
    assert answered("xai", {"usage": {**USAGE, "cost_in_usd_ticks": 12}}).reported_cost_pico_usd == 1200
    parts = {"input_tokens_cost": 0.1, "total_cost": 0.25}
    assert answered("perplexity", {"usage": {**USAGE, "cost": parts}}).reported_cost_pico_usd == 25 * 10**10


def test_more_reasoning_than_completion_is_counted_beside_it_only_where_a_provider_does_so() -> None:
    usage = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 96}}
    assert answered("vercel", {"usage": usage}).usage["output_tokens"] == 101
    assert answered("openrouter", {"usage": usage}).usage["output_tokens"] == 5


def test_deep_research_is_billed_with_its_searches_citations_and_reasoning() -> None:
    """Perplexity counts neither citations nor reasoning in `completion_tokens`."""
    usage = {**USAGE, "citation_tokens": 200, "num_search_queries": 3, "reasoning_tokens": 700}
    reading = answered("perplexity", {"model": "sonar-deep-research", "usage": usage})
    assert reading.usage["output_tokens"] == 705
    (part,) = reading.parts
    assert part.usage == {
        "input_tokens": 10,
        "output_tokens": 905,
        "output_reasoning_tokens": 700,
        "output_citation_tokens": 200,
        "web_searches": 3,
    }


def test_a_request_that_is_billed_by_its_search_context_bills_no_search() -> None:
    reading = answered("perplexity", {"usage": {**USAGE, "search_context_size": "high", "num_search_queries": 1}})
    assert reading.context == {"search_context_size": "high"}
    assert "web_searches" not in reading.usage


def test_search_models_search_once_per_request() -> None:
    """OpenAI reports no count; its price is per call."""
    size = {"search_context_size": "low"}
    reading = answered("openai", {"model": "gpt-4o-search-preview-2025-03-11", "usage": USAGE}, web_search_options=size)
    assert (reading.usage["web_searches"], reading.context) == (1, size)
    assert "web_searches" not in answered("openai", {"model": "gpt-4o", "usage": USAGE}).usage
    assert "web_searches" not in answered("openai", {"error": {}}, status=500, model="gpt-4o-search-preview").usage


def test_sounds_that_mistral_bills_by_time_are_not_billed_as_tokens_too() -> None:
    details = {"prompt_audio_seconds": 4, "prompt_tokens_details": {"audio_tokens": 375, "cached_tokens": 2}}
    reading = answered("mistral", {"usage": {**USAGE, **details, "total_tokens": 390}})
    assert reading.usage["input_tokens"] == 385
    (part,) = reading.parts
    billed = {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 2, "audio_seconds": 4_000_000}
    assert part.usage == billed


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "c", "type": "t"}, "c"),
        ({"code": None, "type": "t"}, "t"),
        ({"code": 429, "type": "t"}, "t"),
        ({"code": 429}, "429"),
        ({}, "500"),
        ("text", "500"),
        ([], "500"),
    ],
)
def test_an_error_is_named_by_code_then_type_then_status(error: object, expected: str) -> None:
    reading = answered("openai", {"error": error}, status=500)
    assert (reading.error_type, reading.is_billable, reading.usage) == (expected, False, {})


def test_google_s_errors_come_in_a_list_and_are_named_by_their_status() -> None:
    refused = [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}]
    assert answered("gemini", refused, status=400).error_type == "INVALID_ARGUMENT"


def test_an_error_in_an_answer_of_status_200_is_an_error() -> None:
    """Gateways do so; in a stream it can come after text, which is billed then."""
    assert answered("openrouter", {"error": {"code": 502}}).error_type == "502"
    assert not answered("openrouter", {"error": {"code": 502}}).is_billable
    broken = streamed([chunk("a"), {"error": {"code": "server_error"}}]).reading()
    assert (broken.error_type, broken.is_billable) == ("server_error", True)
    refused = streamed([{"error": {"code": "server_error"}}]).reading()
    assert (refused.error_type, refused.is_billable) == ("server_error", False)


def test_a_model_at_databricks_is_known_by_its_endpoint() -> None:
    found = asked(Request("POST", URLS["databricks"], {}, b'{"messages":[]}'))
    assert found is not None
    assert (found.provider, found.operation) == ("databricks", "chat")


def test_finish_reasons_are_in_the_order_of_the_choices() -> None:
    """Though the streams of choices end in any order."""
    events = [chunk("a"), chunk(index=1, finish_reason="length"), chunk(index=0, finish_reason="stop")]
    assert streamed(events, n=2).reading().finish_reasons == ("stop", "length")


def test_the_last_usage_of_a_stream_counts() -> None:
    """Some repeat it in every event, growing; some send it with text, some after all choices."""
    growing = [{**chunk("a"), "usage": {**USAGE, "completion_tokens": n}} for n in (1, 2, 3)]
    assert streamed(growing).reading().usage["output_tokens"] == 3
    last = {"id": "chatcmpl-1", "choices": [], "usage": USAGE}
    assert streamed([chunk("a"), chunk(finish_reason="stop"), last]).reading().usage["output_tokens"] == 5


def test_content_that_looks_like_usage_is_content() -> None:
    text = '"usage":{"prompt_tokens":999},"finish_reason":"stop","error":{"code":"x"}'
    reading = streamed([chunk("a"), chunk(text), chunk("b")]).reading()
    assert (reading.usage, reading.finish_reasons, reading.error_type) == ({}, None, None)


def test_the_first_content_and_the_end_of_a_stream_are_seen() -> None:
    """A role alone is nothing that a user sees; reasoning and tools are."""
    role = {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    reader = streamed([role], is_done=False)
    assert (reader.has_content, reader.is_done) == (False, False)
    for delta in ({"content": "x"}, {"reasoning_content": "x"}, {"tool_calls": [{"index": 0}]}):
        assert streamed([role, {"choices": [{"index": 0, "delta": delta}]}], is_done=False).has_content
    assert streamed([role, chunk("a")]).is_done


@pytest.mark.parametrize("bound", [2**20, 600])
def test_what_was_said_is_known_if_a_stream_breaks_off(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To estimate what was delivered; long answers are kept as their texts alone."""
    monkeypatch.setattr(stream_module, "MAX_WHOLE_BYTES", bound)
    tool = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": '{"a"'}}]}
    events = [chunk("Hel"), chunk('lo "'), chunk("w\u00f6rld"), *[chunk("!")] * 9, chunk(delta=tool)]
    said = streamed(events, is_done=False, messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}]}])
    told = said.reading().said
    assert told is not None
    assert told() == (["hi"], ['Hello "w\u00f6rld!!!!!!!!!f{"a"'])


@pytest.mark.parametrize("together", [1, 2, 3, 20])
def test_events_that_come_together_are_read_as_one_by_one(together: int) -> None:
    """Whole events without anything that matters are not looked at one by one, and their texts are kept."""
    ends = [chunk(finish_reason="stop"), {"id": "chatcmpl-1", "choices": [], "usage": USAGE}]
    texts = ["Hel", "lo ", '"usage":{', "[DONE]", "w\u00f6rld", *"1234567890"]
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in [*map(chunk, texts), *ends]]
    lines.insert(7, b": a comment\n\n")
    lines.append(b"data: [DONE]\n\n")
    found = asked(request("openai", stream=True))
    assert found is not None
    reader = body_reader(found, Head(200, {"content-type": "text/event-stream"}))
    for at in range(0, len(lines), together):
        reader.feed(b"".join(lines[at : at + together]))
    reading = reader.reading()
    assert (reading.usage["output_tokens"], reading.finish_reasons, reader.is_done) == (5, ("stop",), True)
    assert reading.said is not None
    assert reading.said()[1] == ["".join(texts)]


def test_what_is_kept_of_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_SAID_BYTES", 1000)
    monkeypatch.setattr(stream_module, "MAX_WHOLE_BYTES", 500)
    told = streamed([chunk("a" * 50)] * 500).reading().said
    assert told is not None
    assert 400 < len(told()[1][0]) < 1100


def test_an_answer_that_does_not_stream_though_asked_to_is_read() -> None:
    """Under a JSON content type; and a stream under one, too."""
    assert answered("openai", {"id": "1", "usage": USAGE}, stream=True).usage["input_tokens"] == 10
    found = asked(request("openai"))
    assert found is not None
    body = b"data: " + json.dumps({**chunk("a"), "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"
    assert read_body(found, Head(200, {"content-type": "application/json"}), body).usage["input_tokens"] == 10


def test_vectors_are_cut_out_and_what_stands_around_them_is_read() -> None:
    """Numbers or base64, pretty-printed or not."""
    for vector in ([0.25] * 2000, "QUJD" * 2000):
        answer = {"data": [{"embedding": vector, "index": n} for n in range(3)], "usage": USAGE, "model": "e"}
        for indent in (None, 2):
            found = asked(request("embeddings"))
            assert found is not None
            reading = read_body(found, Head(200, {}), json.dumps(answer, indent=indent).encode())
            assert (reading.usage, reading.response_model) == ({"input_tokens": 10}, "e")


def test_a_request_too_long_to_parse_still_names_its_model() -> None:
    """Whether the SDK writes the model first or last."""
    long = "x" * 2**21
    for body in ({"model": "m", "stream": True, "messages": long}, {"messages": long, "stream": True, "model": "m"}):
        found = asked(Request("POST", URLS["openai"], {}, json.dumps(body).encode()))
        assert found is not None
        assert (found.model, found.is_stream) == ("m", True)
