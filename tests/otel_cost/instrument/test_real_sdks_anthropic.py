"""Anthropic's SDK replays every recorded message: the span says exactly what the exchange's `expected` says, with the
SDK's own spans and without them, and an answer in several steps costs the sum over its steps."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from anthropic import (
    Anthropic,
    AnthropicAWS,
    AnthropicBedrock,
    AnthropicBedrockMantle,
    AnthropicFoundry,
    AnthropicVertex,
    APIError,
    AsyncAnthropic,
)

from otel_cost import attributes as k
from otel_cost.pricing import default_card, price
from otel_cost.pricing.money import PICO_PER_USD
from tests.support.sdk_replay import Replay, arguments, load, recorded, replayed, told

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
PATH = "/v1/messages"
BATCHES = "/v1/messages/batches"
RESULTS = f"{BATCHES}/msgbatch_01GUqGVJfUzZfBnjRymfPdV3/results"
NAMES = recorded("anthropic/", path_end=PATH)
STREAMS = [name for name in NAMES if load(name)["request"]["body"].get("stream")]
WHOLE = [name for name in NAMES if name not in STREAMS]
STEPS = [name for name in NAMES if "iterations" in load(name)["expected"]["extra"]]
SERVED = [name for name in STREAMS if load(name)["response"]["status"] == 200]
OPTIONS: dict[str, Any] = {"api_key": "k", "max_retries": 0, "timeout": 30}
OURS: dict[str, Any] = {**OPTIONS, "open_telemetry": False}
SOMETHING: dict[str, Any] = {"max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}


def resource(client: Any, replay: Replay) -> Any:
    """Messages or beta messages, as the recorded URL says."""
    return client.beta.messages if "beta=true" in replay.url else client.messages


def call_span(replay: Replay) -> Any:
    """The span of the call; those of its steps are below it."""
    (span,) = [span for span in replay.spans() if span.parent is None]
    assert span.context is not None
    assert all(
        other.parent and other.parent.span_id == span.context.span_id for other in replay.spans() if other is not span
    )
    return span


LIFETIMES = {
    "cache_creation_5m": "otel_cost.usage.cache_write_5m_tokens",
    "cache_creation_1h": "otel_cost.usage.cache_write_1h_tokens",
}


def assert_told(replay: Replay, but: str = "", **otherwise: str) -> None:
    """The span of the call says what `expected` says; lifetimes of cache writes under our own names."""
    span = call_span(replay)
    expected = {**replay.exchange["expected"], **otherwise}
    found = told(span) | {key: span.attributes.get(name) for key, name in LIFETIMES.items()}
    keys = found.keys() - {but}
    assert {key: found[key] for key in keys} == {key: expected[key] for key in keys}


def create(client: Any, replay: Replay) -> None:
    """The recorded call, whole or as an iterated stream."""
    method = resource(client, replay).create
    with suppress(APIError):
        answer = method(**arguments(method, replay.body))
        if replay.body.get("stream"):
            assert list(answer)


@pytest.mark.parametrize("name", NAMES)
def test_create(name: str) -> None:
    with replayed(load(name)) as replay, Anthropic(base_url=replay.base_url(PATH), **OURS) as client:
        create(client, replay)
    assert_told(replay)


@pytest.mark.parametrize("name", NAMES)
def test_the_span_of_the_sdk_itself_is_enriched(name: str) -> None:
    """The SDK's own span says why the answer ended in a word of its own."""
    with replayed(load(name)) as replay, Anthropic(base_url=replay.base_url(PATH), **OPTIONS) as client:
        create(client, replay)
    assert call_span(replay).name == "anthropic.messages.create"
    assert_told(replay, but="finish_reasons")


@pytest.mark.parametrize("name", NAMES)
def test_async_create(name: str) -> None:
    async def call(replay: Replay) -> None:
        async with AsyncAnthropic(base_url=replay.base_url(PATH), **OURS) as client:
            method = resource(client, replay).create
            with suppress(APIError):
                answer = await method(**arguments(method, replay.body))
                if replay.body.get("stream"):
                    assert [event async for event in answer]

    with replayed(load(name)) as replay:
        asyncio.run(call(replay))
    assert_told(replay)


@pytest.mark.parametrize("name", WHOLE)
def test_raw_response(name: str) -> None:
    with replayed(load(name)) as replay, Anthropic(base_url=replay.base_url(PATH), **OURS) as client:
        method = resource(client, replay).with_raw_response.create
        with suppress(APIError):
            assert method(**arguments(resource(client, replay).create, replay.body)).http_response.content
    assert_told(replay)


@pytest.mark.parametrize("name", SERVED)
def test_stream_helper(name: str) -> None:
    with replayed(load(name)) as replay, Anthropic(base_url=replay.base_url(PATH), **OURS) as client:
        method = resource(client, replay).stream
        body = {key: value for key, value in replay.body.items() if key != "stream"}
        with method(**arguments(method, body)) as stream:
            assert stream.get_final_message().usage
    assert_told(replay)


@pytest.mark.parametrize("name", SERVED)
def test_a_stream_that_the_app_leaves_keeps_what_its_start_said(name: str) -> None:
    """The input is known from the first event; the output is estimated by what was delivered, and the span says so."""
    with replayed(load(name)) as replay, Anthropic(base_url=replay.base_url(PATH), **OURS) as client:
        method = resource(client, replay).create
        answer = method(**arguments(method, replay.body))
        assert next(iter(answer)).type == "message_start"
        answer.close()
    said = call_span(replay).attributes
    assert said[k.GEN_AI_USAGE_INPUT_TOKENS] > 0
    assert said["otel_cost.stream"] == "abandoned"


@pytest.mark.parametrize("name", STEPS)
def test_an_answer_in_steps_costs_the_sum_of_its_steps(name: str) -> None:
    """Also those that the top level of `usage` leaves out, each at its own model's price."""
    with replayed(load(name)) as replay, Anthropic(base_url=replay.base_url(PATH), **OURS) as client:
        create(client, replay)
    expected = replay.exchange["expected"]
    steps = expected["extra"]["iterations"]
    costs = [step_cost(step, expected["response_model"]) for step in steps]
    assert len(costs) == 2
    assert all(cost > 0 for cost in costs)
    assert replay.recorder.total_usd() == sum(costs)


def step_cost(step: dict[str, Any], model: str) -> Decimal:
    keys = {"input_tokens": "input_tokens", "output_tokens": "output_tokens", "cache_read": "cache_read_tokens"}
    keys |= {"cache_creation": "cache_write_tokens", "cache_creation_5m": "cache_write_5m_tokens"}
    usage = {unit: step[key] for key, unit in keys.items() if step[key] is not None}
    cost = price(
        provider="anthropic",
        request_model=step["model"] or model,
        response_model=None,
        at_ns=time.time_ns(),
        usage=usage,
        context={},
        card=default_card(),
    )
    assert cost.total_pico_usd is not None
    return Decimal(cost.total_pico_usd) / PICO_PER_USD


def elsewhere(name: str, url: str) -> dict[str, Any]:
    """A recorded answer as another platform would give it."""
    exchange = load(name)
    return {**exchange, "request": {**exchange["request"], "url": url}}


VERTEX = "https://us-east5-aiplatform.googleapis.com/v1"


@pytest.mark.parametrize(
    ("name", "is_stream"), [("anthropic/cache_read", False), ("anthropic/cache_read_stream", True)]
)
def test_on_vertex_the_path_says_the_model(name: str, is_stream: bool) -> None:
    with replayed(elsewhere(name, VERTEX)) as replay:
        client = AnthropicVertex(
            base_url=replay.url, region="us-east5", project_id="p", access_token="t", **without_key(OURS)
        )
        answer = client.messages.create(model="claude-sonnet-4-5@20250929", stream=is_stream, **SOMETHING)
        assert list(answer)
        client.close()
    assert_told(replay, provider="gcp.vertex_ai", request_model="claude-sonnet-4-5@20250929")
    assert "location=us-east5" in call_span(replay).attributes["otel_cost.service"]


def without_key(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "api_key"}


def test_on_azure_it_is_the_same_api() -> None:
    exchange = elsewhere("anthropic/cache_read", "https://r.services.ai.azure.com/anthropic/")
    with replayed(exchange) as replay, AnthropicFoundry(base_url=replay.url, **OURS) as client:
        client.messages.create(model="claude-haiku-4-5", **SOMETHING)
    assert_told(replay, provider="azure.ai.inference", request_model="claude-haiku-4-5")


def test_on_bedrock_the_model_moves_into_the_path() -> None:
    model = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
    with replayed(elsewhere("anthropic/cache_read", "https://bedrock-runtime.eu-west-1.amazonaws.com")) as replay:
        keys: dict[str, Any] = {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "eu-west-1"}
        with AnthropicBedrock(base_url=replay.url, **keys, **without_key(OURS)) as client:
            client.messages.create(model=model, **SOMETHING)
    assert_told(replay, provider="aws.bedrock", request_model=model)
    assert "region=eu-west-1" in call_span(replay).attributes["otel_cost.service"]


@pytest.mark.parametrize(
    ("client_of", "host", "provider"),
    [
        (AnthropicBedrockMantle, "bedrock-mantle.eu-west-1.api.aws/anthropic", "aws.bedrock"),
        (AnthropicAWS, "aws-external-anthropic.eu-west-1.api.aws", "anthropic"),
    ],
)
def test_on_other_hosts_of_aws_it_is_the_same_api(client_of: Any, host: str, provider: str) -> None:
    with replayed(elsewhere("anthropic/cache_read", f"https://{host}")) as replay:
        keys: dict[str, Any] = {"aws_access_key": "a", "aws_secret_key": "b", "aws_region": "eu-west-1"}
        keys |= {"workspace_id": "w"} if client_of is AnthropicAWS else {}
        with client_of(base_url=replay.url, **keys, **without_key(OURS)) as client:
            client.messages.create(model="claude-haiku-4-5", **SOMETHING)
    assert_told(replay, provider=provider, request_model="claude-haiku-4-5")


def test_results_of_a_batch_cost_what_batches_cost() -> None:
    """Half of the standard price, item by item; making a batch costs nothing."""
    with (
        replayed(load("anthropic/batch_results")) as replay,
        Anthropic(base_url=replay.base_url(RESULTS), **OURS) as client,
    ):
        assert client.get(RESULTS, cast_to=str)
    costs = [span.attributes["otel_cost.cost_usd"] for span in replay.spans() if span.parent and span.attributes]
    assert costs == ["0.0000225", "0.0000195"]
    with (
        replayed(load("anthropic/batch_create")) as replay,
        Anthropic(base_url=replay.base_url(BATCHES), **OURS) as client,
    ):
        assert client.messages.batches.create(**replay.body).id
    assert replay.recorder.total_usd() == 0


def test_counting_tokens_makes_no_span() -> None:
    path = f"{PATH}/count_tokens"
    with (
        replayed(load("anthropic/count_tokens")) as replay,
        Anthropic(base_url=replay.base_url(path), **OURS) as client,
    ):
        method = client.beta.messages.count_tokens
        assert method(**arguments(method, replay.body)).input_tokens == 1114
    assert replay.spans() == ()
