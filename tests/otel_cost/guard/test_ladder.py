"""What a budget may answer: another model, wait, wait for others, no; and what is sent and told then."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import boto3
import pytest
import requests
from google import genai

import otel_cost
from otel_cost import attributes as k
from otel_cost.guard import deciding
from otel_cost.instrument import stats
from otel_cost.pricing.money import pico_usd
from tests.otel_cost.guard.budget_server import Budget
from tests.otel_cost.guard.guarding import guarded_app
from tests.otel_cost.instrument.observing import MESSAGES, MODEL, USAGE, answer, chat, events
from tests.otel_cost.instrument.scripted_server import Script

pytestmark = pytest.mark.filterwarnings("ignore")
CHEAPER = "gpt-5.4-nano"


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """SDKs' clients are not closed here: their sockets end with the test, not in another one."""
    yield
    gc.collect()


def cheaper_than(model: str, other: str) -> Any:
    """A budget's answer to claims for `model`."""

    def decide(body: dict[str, Any]) -> dict[str, Any] | None:
        if body["model"] != model:
            return None
        return {"decision": "cheaper_model", "refusal": {"rule": "cap", "unit": "USD", "model": other}}

    return decide


def test_a_cheaper_model_is_asked_and_the_span_says_which_was_meant() -> None:
    budget = Budget(limit_usd="1", match_on=("customer", "model"), answer=cheaper_than(MODEL, CHEAPER))
    with guarded_app(budget, answer()) as app:
        assert chat(app.client()).usage.prompt_tokens == 100
        sent = json.loads(app.server.bodies[0])
        attributes = app.only()
    assert sent == {"model": CHEAPER, "messages": MESSAGES}
    assert attributes[k.GEN_AI_REQUEST_MODEL] == CHEAPER
    assert attributes[k.OTEL_COST_MODEL_REPLACED] == MODEL
    assert [claim["model"] for claim in budget.claims()] == [MODEL, CHEAPER]


def test_a_chain_of_cheaper_models_is_followed_to_its_end_and_a_circle_is_refused() -> None:
    chain = {MODEL: "gpt-4o-mini", "gpt-4o-mini": CHEAPER}

    def decide(body: dict[str, Any]) -> dict[str, Any] | None:
        other = chain.get(body["model"])
        refusal = {"rule": "cap", "unit": "USD", "model": other}
        return {"decision": "cheaper_model", "refusal": refusal} if other else None

    budget = Budget(limit_usd="1", match_on=("customer", "model"), answer=decide)
    with guarded_app(budget, answer()) as app:
        chat(app.client())
        assert app.only()[k.GEN_AI_REQUEST_MODEL] == CHEAPER
        assert app.only()[k.OTEL_COST_MODEL_REPLACED] == MODEL
    chain[CHEAPER] = MODEL
    with guarded_app(budget, answer()) as app, pytest.raises(otel_cost.BudgetExceeded):
        chat(app.client())
    assert [claim["model"] for claim in budget.claims()] == [MODEL, "gpt-4o-mini", CHEAPER] * 2


def test_a_stream_of_a_cheaper_model_is_as_the_provider_sends_it_and_settled_at_its_price() -> None:
    """With a model for which leases are held already, and one for which none is."""
    budget = Budget(limit_usd="1", match_on=("customer", "model"), answer=cheaper_than(MODEL, CHEAPER))
    streamed = [Script(events("Hel", "lo", usage=USAGE)) for _ in range(2)]
    with guarded_app(budget, *streamed) as app:
        for _ in range(2):
            chunks = list(chat(app.client(), stream=True, stream_options={"include_usage": True}))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
        sent = [json.loads(body) for body in app.server.bodies]
        spans = [dict(span.attributes or {}) for span in app.spans()]
    asked = {"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    assert sent == [{**asked, "model": CHEAPER}] * 2
    assert [span[k.OTEL_COST_MODEL_REPLACED] for span in spans] == [MODEL] * 2
    assert budget.spent_pico_usd == sum(pico_usd(str(span[k.OTEL_COST_COST_USD])) for span in spans)
    assert len(budget.calls()) == 2


def test_a_cheaper_model_over_requests_and_aiohttp() -> None:
    budget = Budget(limit_usd="1", match_on=("customer", "model"), answer=cheaper_than(MODEL, CHEAPER))

    async def post(url: str) -> object:
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as said:
            return await said.json()

    body = {"model": MODEL, "messages": MESSAGES}
    with guarded_app(budget, answer()) as app:
        url = f"{app.server.url}/v1/chat/completions"
        assert requests.post(url, json=body, timeout=20).json()["usage"]
        assert asyncio.run(post(url))
        assert [json.loads(sent)["model"] for sent in app.server.bodies] == [CHEAPER, CHEAPER]


def test_a_cheaper_model_in_the_path_of_gemini() -> None:
    budget = Budget(
        limit_usd="1", match_on=("customer", "model"), answer=cheaper_than("gemini-2.5-pro", "gemini-2.5-flash")
    )
    with guarded_app(budget, answer(), provider="gcp.gemini") as app:
        client = genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=app.server.url))
        client.models.generate_content(model="gemini-2.5-pro", contents="Hello")
        assert app.only()[k.GEN_AI_REQUEST_MODEL] == "gemini-2.5-flash"
        assert app.only()[k.OTEL_COST_MODEL_REPLACED] == "gemini-2.5-pro"


def test_a_cheaper_model_of_bedrock_is_signed_anew() -> None:
    model, other = "anthropic.claude-3-5-sonnet-20240620-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"
    budget = Budget(limit_usd="1", match_on=("customer", "model"), answer=cheaper_than(model, other))
    with guarded_app(budget, answer(), provider="aws.bedrock") as app:
        client: Any = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=app.server.url,
            aws_access_key_id="k",
            aws_secret_access_key="s",
        )
        client.converse(modelId=model, messages=[{"role": "user", "content": [{"text": "Hello"}]}])
        assert app.only()[k.GEN_AI_REQUEST_MODEL] == other
        assert app.only()[k.OTEL_COST_MODEL_REPLACED] == model
        assert len(app.server.bodies) == 1


def test_where_the_model_cannot_be_replaced_the_call_is_refused() -> None:
    budget = Budget(limit_usd="1", match_on=("customer", "model"), answer=cheaper_than(MODEL, CHEAPER))
    with guarded_app(budget, answer()) as app:
        url = f"{app.server.url}/v1/chat/completions"
        with pytest.raises(otel_cost.BudgetExceeded):
            requests.post(url, json={"model": MODEL, "messages": MESSAGES}, headers={"x-amz-date": "1"}, timeout=20)
        assert app.server.bodies == []


@pytest.mark.parametrize("decision", ["throttle", "block"])
@pytest.mark.parametrize("is_async", [False, True])
def test_who_has_to_wait_asks_again_and_is_let_through(decision: str, is_async: bool) -> None:
    """Slowed down; or refused for the leases of others alone."""
    budget = Budget(limit_usd="1")

    def first(_: object) -> dict[str, Any] | None:
        refusal = budget.refusal(decision, retry_after_seconds=0.2)
        return {"decision": decision, "refusal": refusal} if len(budget.claims()) == 1 else None

    budget.answer = first
    with guarded_app(budget, answer()) as app:
        began = time.monotonic()
        if is_async:
            asyncio.run(_chat_beside_a_clock(app.async_client()))
        else:
            chat(app.client())
        assert time.monotonic() - began >= 0.2
        assert len(app.server.bodies) == 1
    assert len(budget.claims()) == 2


async def _chat_beside_a_clock(client: Any) -> None:
    """The loop goes on meanwhile."""
    async with client:
        task = asyncio.create_task(client.chat.completions.create(model=MODEL, messages=MESSAGES))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        await task
    assert ticks >= 10


def test_who_has_waited_for_too_long_is_let_through_within_the_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "MAX_THROTTLE_SECONDS", 0.05)
    budget = Budget(limit_usd="1", calls_per_lease=1)
    wait = {"decision": "throttle", "refusal": {**budget.refusal("throttle"), "retry_after_seconds": 0.02}}
    budget.answer = lambda body: None if body.get("has_waited") else wait
    before = stats().get("guard.throttled_too_long", 0)
    with guarded_app(budget, answer()) as app:
        chat(app.client())
        assert app.only()[k.OTEL_COST_LEASE], "it has its reservation"
        budget.limit_usd = "0"
        with pytest.raises(otel_cost.BudgetExceeded):
            chat(app.client())
    assert stats()["guard.throttled_too_long"] == before + 2


def test_a_budget_with_its_limit_spent_refuses_and_counts() -> None:
    before = stats().get("guard.blocked", 0)
    with guarded_app(Budget(limit_usd="0.0005"), answer()) as app:
        client = app.client()
        chat(client, max_tokens=40)
        with contextlib.suppress(otel_cost.BudgetExceeded):
            for _ in range(10):
                chat(client, max_tokens=40)
        made = len(app.server.bodies)
    assert 2 <= made <= 3
    assert stats()["guard.blocked"] == before + 1
