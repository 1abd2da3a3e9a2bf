"""boto3 replays every recorded call of Bedrock's runtime: the span says exactly what the exchange's `expected` says."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.aws_frames import frame
from tests.support.sdk_replay import Replay, assert_told, load, recorded, replayed

NAMES = [name for name in recorded("bedrock/") if "/model/" in load(name)["request"]["url"]]
CLAUDE = "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude-3-7", "usage": {"input_tokens": 9}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 2}},
)


def client_of(replay: Replay) -> Any:
    session = boto3.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1}, proxies={"http": os.environ["HTTP_PROXY"]}, read_timeout=20)
    parts = urlsplit(replay.url)
    return session.client("bedrock-runtime", endpoint_url=f"{parts.scheme}://{parts.netloc}", config=config)


def call(replay: Replay) -> None:
    """The recorded call by the operation that its path names."""
    _, _, model, operation = urlsplit(replay.url).path.split("/")
    client, model = client_of(replay), unquote(model)
    try:
        if operation == "converse":
            assert client.converse(modelId=model, **replay.body)["stopReason"]
        elif operation == "converse-stream":
            assert list(client.converse_stream(modelId=model, **replay.body)["stream"])
        elif operation == "invoke":
            assert client.invoke_model(modelId=model, body=json.dumps(replay.body))["body"].read()
        else:
            answer = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(replay.body))
            assert list(answer["body"])
    except ClientError:
        assert replay.exchange["response"]["status"] >= 400


@pytest.mark.parametrize("name", NAMES)
def test_boto3(name: str) -> None:
    with replayed(load(name)) as replay:
        call(replay)
    assert_told(replay.only_span(), replay.exchange["expected"])


def streamed(events: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """An exchange whose answer streams these events of a model."""
    frames = [frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}) for event in events]
    path = f"/model/{CLAUDE}/invoke-with-response-stream"
    return {
        "request": {"method": "POST", "url": f"https://bedrock-runtime.us-east-1.amazonaws.com{path}", "body": {}},
        "response": {
            "status": 200,
            "headers": {"content-type": "application/vnd.amazon.eventstream"},
            "chunks_b64": [base64.b64encode(each).decode() for each in frames],
        },
    }


def test_a_stream_of_invoke_model_says_what_its_events_say() -> None:
    with replayed(streamed(EVENTS)) as replay:
        call(replay)
    said = dict(replay.only_span().attributes or {})
    assert said["gen_ai.usage.input_tokens"] == 9
    assert said["gen_ai.usage.output_tokens"] == 2
    assert said["gen_ai.request.model"] == CLAUDE
    assert said["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert "region=us-east-1" in str(said["otel_cost.service"])


def test_a_stream_that_the_app_leaves_is_counted_as_far_as_it_came() -> None:
    with replayed(streamed(EVENTS)) as replay:
        body = client_of(replay).invoke_model_with_response_stream(modelId=CLAUDE, body="{}")["body"]
        for event in body:
            assert event["chunk"]["bytes"]
            break
        body.close()
    said = dict(replay.only_span().attributes or {})
    assert said["gen_ai.usage.input_tokens"] == 9
    assert said["otel_cost.stream"] == "abandoned"
