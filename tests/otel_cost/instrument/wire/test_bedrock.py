"""Bedrock's runtime: every maker's bodies, streams in frames, headers, agents."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request
from tests.support.aws_frames import frame

HOST = "https://bedrock-runtime.eu-west-1.amazonaws.com"
FRAMES = "application/vnd.amazon.eventstream"
USAGE = {"inputTokens": 5, "outputTokens": 2, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 30}


def wanted(model: str, action: str = "invoke", body: Any = None, host: str = HOST) -> Asked:
    sent = Request("POST", f"{host}/model/{model}/{action}", {}, json.dumps(body or {}).encode())
    found = asked(sent)
    assert found is not None
    return found


def reading_of(found: Asked, chunks: Iterable[bytes], headers: Mapping[str, str], status: int = 200) -> Reading:
    reader = body_reader(found, Head(status, headers))
    for chunk in chunks:
        reader.feed(chunk)
    reader.end()
    return reader.reading()


def read(found: Asked, answer: Any, status: int = 200, **headers: str) -> Reading:
    named = {f"x-amzn-bedrock-{name.replace('_', '-')}": value for name, value in headers.items()}
    return reading_of(found, [json.dumps(answer).encode()], {"content-type": "application/json"} | named, status)


def chunk(event: Mapping[str, Any]) -> bytes:
    return frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"})


def streamed(found: Asked, *frames: bytes) -> Reading:
    return reading_of(found, frames, {"content-type": FRAMES})


CASES: tuple[tuple[str, dict[str, Any], dict[str, Any], dict[str, int], tuple[str, ...] | None], ...] = (
    (
        "amazon.titan-text-express-v1",
        {"inputText": "Hi"},
        {"inputTextTokenCount": 3, "results": [{"tokenCount": 4, "completionReason": "FINISH"}]},
        {"input_tokens": 3, "output_tokens": 4},
        ("FINISH",),
    ),
    (
        "meta.llama3-8b-instruct-v1:0",
        {"prompt": "Hi"},
        {"generation": "Hello", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "stop"},
        {"input_tokens": 3, "output_tokens": 4},
        ("stop",),
    ),
    (
        "ai21.jamba-1-5-mini-v1:0",
        {"messages": []},
        {
            "id": "chat-1",
            "choices": [{"finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        },
        {"input_tokens": 3, "output_tokens": 4},
        ("stop",),
    ),
    ("mistral.mistral-7b-instruct-v0:2", {"prompt": "Hi"}, {"outputs": [{"stop_reason": "stop"}]}, {}, ("stop",)),
    ("us.deepseek.r1-v1:0", {"prompt": "Hi"}, {"choices": [{"text": "x", "stop_reason": "length"}]}, {}, ("length",)),
    ("cohere.command-text-v14", {"prompt": "Hi"}, {"generations": [{"finish_reason": "COMPLETE"}]}, {}, ("COMPLETE",)),
    ("cohere.command-r-v1:0", {"message": "Hi"}, {"text": "Hello", "finish_reason": "COMPLETE"}, {}, ("COMPLETE",)),
    ("ai21.j2-mid-v1", {"prompt": "Hi"}, {"completions": [{"finishReason": {"reason": "length"}}]}, {}, ("length",)),
    (
        "anthropic.claude-v2",
        {"prompt": "Hi"},
        {"completion": "Hello", "stop_reason": "stop_sequence"},
        {},
        ("stop_sequence",),
    ),
    (
        "amazon.nova-lite-v1:0",
        {"messages": []},
        {"output": {}, "stopReason": "end_turn", "usage": {"inputTokens": 3, "cacheReadInputTokenCount": 0}},
        {"input_tokens": 3, "cache_read_tokens": 0},
        ("end_turn",),
    ),
)


@pytest.mark.parametrize(("model", "body", "answer", "usage", "reasons"), CASES, ids=lambda value: str(value)[:24])
def test_every_makers_answer_is_read_and_headers_tell_what_it_leaves_out(
    model: str, body: dict[str, Any], answer: dict[str, Any], usage: dict[str, int], reasons: tuple[str, ...] | None
) -> None:
    found = wanted(model, body=body)
    reading = read(found, answer)
    assert (reading.usage, reading.finish_reasons) == (usage, reasons)
    told = read(found, answer, input_token_count="3", output_token_count="4")
    assert (told.usage["input_tokens"], told.usage["output_tokens"]) == (3, 4)


@pytest.mark.parametrize(
    ("model", "body", "operation"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", {"messages": []}, "chat"),
        ("anthropic.claude-v2", {"prompt": "Hi"}, "text_completion"),
        ("cohere.command-r-v1:0", {"message": "Hi"}, "chat"),
        ("amazon.titan-embed-text-v2:0", {"inputText": "Hi"}, "embeddings"),
        ("cohere.embed-v4:0", {"texts": ["Hi"]}, "embeddings"),
        ("cohere.rerank-v3-5:0", {"query": "Hi", "documents": []}, "rerank"),
        ("amazon.nova-canvas-v1:0", {"taskType": "TEXT_IMAGE"}, "image_generation"),
        ("amazon.nova-canvas-v1:0", {"taskType": "INPAINTING"}, "image_edit"),
        ("stability.sd3-5-large-v1:0", {"prompt": "A cat"}, "image_generation"),
        (
            "arn:aws:bedrock:eu-west-1:1:application-inference-profile/x",
            {"inputText": "Hi", "normalize": True},
            "embeddings",
        ),
        ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/x", {"messages": []}, "chat"),
    ],
)
def test_what_a_request_does_is_told_by_its_model_or_its_shape(
    model: str, body: dict[str, Any], operation: str
) -> None:
    assert wanted(model.replace("/", "%2F"), body=body).operation == operation


def test_the_model_may_be_an_arn_in_the_path_and_tells_the_region_behind_a_proxy() -> None:
    arn = "arn:aws:bedrock:ap-south-1:123456789012:inference-profile/apac.amazon.nova-lite-v1:0"
    path = arn.replace(":", "%3A").replace("/", "%2F")
    found = wanted(path, "converse", host="http://localhost:8787/bedrock")
    assert (found.provider, found.model, found.context) == ("aws.bedrock", arn, {"region": "ap-south-1"})
    assert wanted(path, "converse").context == {"region": "eu-west-1"}


def test_pictures_are_counted_with_size_and_quality() -> None:
    config = {"numberOfImages": 2, "width": 1024, "height": 512, "quality": "premium"}
    found = wanted("amazon.nova-canvas-v1:0", body={"taskType": "TEXT_IMAGE", "imageGenerationConfig": config})
    reading = read(found, {"images": ["aaaa", "bbbb"]})
    assert (reading.images, reading.usage) == (2, {"output_images": 2})
    assert reading.context == {"region": "eu-west-1", "size": "1024x512", "quality": "premium"}


def test_reranking_is_billed_by_hundreds_of_documents() -> None:
    found = wanted("cohere.rerank-v3-5:0", body={"query": "q", "documents": ["d"] * 101})
    assert read(found, {"results": []}).usage == {"rerank_searches": 2}


def test_converse_excludes_cached_tokens_from_its_input_and_lists_lifetimes() -> None:
    details = [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 20}]
    answer = {"stopReason": "end_turn", "usage": {**USAGE, "cacheDetails": details}, "serviceTier": {"type": "flex"}}
    reading = read(wanted("m", "converse"), answer | {"performanceConfig": {"latency": "optimized"}})
    assert reading.usage == {
        "input_tokens": 135,
        "output_tokens": 2,
        "cache_read_tokens": 100,
        "cache_write_tokens": 30,
        "cache_write_5m_tokens": 10,
        "cache_write_1h_tokens": 20,
    }
    assert (reading.service_tier, reading.context["latency"]) == ("flex", "optimized")


def test_a_router_says_which_model_it_chose_and_guardrails_what_they_are_billed_by() -> None:
    metrics = {
        "invocationMetrics": {"usage": {"topicPolicyUnits": 1, "wordPolicyUnits": 0, "automatedReasoningPolicies": 3}}
    }
    guardrail = {"inputAssessment": {"g": metrics}, "outputAssessments": {"g": [metrics]}}
    trace = {"promptRouter": {"invokedModelId": "arn:m"}, "guardrail": guardrail}
    reading = read(wanted("m", "converse"), {"stopReason": "end_turn", "usage": USAGE, "trace": trace})
    assert reading.response_model == "arn:m"
    assert reading.extra["guardrail_units"] == {"topicPolicyUnits": 2}


def test_a_converse_stream_that_breaks_off_gives_what_it_delivered() -> None:
    found = wanted("m", "converse-stream", {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]})
    pieces = [frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in ("Hel", "lo")]
    reading = streamed(found, frame("messageStart", {"role": "assistant"}), *pieces)
    assert (reading.usage, reading.finish_reasons) == ({}, None)
    assert reading.said is not None
    assert reading.said() == (["Hi"], ["Hello"])


def test_an_exception_amid_frames_is_an_error() -> None:
    broken = frame("throttlingException", {"message": "slow down"}, is_exception=True)
    for action in ("converse-stream", "invoke-with-response-stream"):
        reading = streamed(wanted("m", action), broken)
        assert (reading.error_type, reading.is_billable) == ("throttlingException", False)


def test_frames_of_other_models_say_their_counts_first_or_last() -> None:
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 10, "outputTokenCount": 60}}
    first = {"generation": "Once", "prompt_token_count": 10, "generation_token_count": 1, "stop_reason": None}
    last = {"generation": ".", "prompt_token_count": None, "generation_token_count": 60, "stop_reason": "length"}
    middle = [chunk({"generation": " upon", "generation_token_count": 2, "stop_reason": None})] * 40
    found = wanted("meta.llama3-8b-instruct-v1:0", "invoke-with-response-stream", {"prompt": "Hi"})
    reading = streamed(found, chunk(first), *middle, chunk(last | metrics))
    assert (reading.usage, reading.finish_reasons) == ({"input_tokens": 10, "output_tokens": 60}, ("length",))
    ends = [chunk({"index": n, "finish_reason": reason}) for n, reason in enumerate(("COMPLETE", "MAX_TOKENS"))]
    several = streamed(wanted("cohere.command-text-v14", "invoke-with-response-stream"), *ends, chunk(metrics))
    assert several.finish_reasons == ("COMPLETE", "MAX_TOKENS")
    assert several.usage == {"input_tokens": 10, "output_tokens": 60}
    end = {"is_finished": True, "response": {"response_id": "r"}, "finish_reason": "COMPLETE"}
    nested = streamed(wanted("cohere.command-r-v1:0", "invoke-with-response-stream"), chunk({}), chunk(end | metrics))
    assert (nested.response_id, nested.finish_reasons) == ("r", ("COMPLETE",))


def test_frames_of_nova_are_those_of_converse() -> None:
    events: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    events += [{"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": 0}} for text in ("Hel", "lo")]
    events += [{"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": USAGE}}]
    reading = streamed(wanted("amazon.nova-lite-v1:0", "invoke-with-response-stream"), *map(chunk, events))
    assert (reading.usage["input_tokens"], reading.finish_reasons) == (135, ("end_turn",))
    assert reading.said is not None
    assert reading.said()[1] == ["Hello"]


def test_errors_are_named_by_a_header_or_the_body() -> None:
    found = wanted("m", "converse")
    named = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"}
    assert reading_of(found, [b"{}"], named, 429).error_type == "ThrottlingException"
    typed = b'{"__type": "com.amazon#AccessDeniedException"}'
    assert reading_of(found, [typed], {}, 403).error_type == "AccessDeniedException"
    assert reading_of(found, [b"<html>"], {}, 502).error_type == "502"


def test_counting_tokens_is_no_model_call() -> None:
    reading = read(wanted("m", "count-tokens"), {"inputTokens": 11})
    assert (reading.operation, reading.is_billable, reading.extra["counted_tokens"]) == (None, False, 11)


def test_an_agents_trace_tells_each_call_of_a_model() -> None:
    sent = Request("POST", f"{AGENTS}/agents/A/agentAliases/B/sessions/C/text", {}, b'{"inputText": "Hi"}')
    found = asked(sent)
    assert found is not None
    used = {"modelInvocationOutput": {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 2}}}}
    given = {"modelInvocationInput": {"foundationModel": "amazon.nova-pro-v1:0"}}
    traces: list[dict[str, Any]] = [{"trace": {"orchestrationTrace": given}}, {"trace": {"orchestrationTrace": used}}]
    text = frame("chunk", {"bytes": "SGVsbG8="})
    reading = streamed(found, *(frame("trace", trace) for trace in traces), text)
    assert [(part.model, part.usage) for part in reading.parts] == [
        ("amazon.nova-pro-v1:0", {"input_tokens": 5, "output_tokens": 2})
    ]
    assert (reading.operation, reading.usage) == ("invoke_agent", {})


AGENTS = "https://bedrock-agent-runtime.us-east-1.amazonaws.com"


def test_bedrocks_own_reranker_is_billed_by_query_and_hundreds_of_sources() -> None:
    model = {"modelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"}
    settings = {"bedrockRerankingConfiguration": {"modelConfiguration": model}}
    body = {"queries": [{}], "sources": [{}] * 150, "rerankingConfiguration": settings}
    found = asked(Request("POST", f"{AGENTS}/rerank", {}, json.dumps(body).encode()))
    assert found is not None
    assert (found.operation, found.model) == ("rerank", model["modelArn"])
    assert read(found, {"results": []}).usage == {"rerank_searches": 2}
