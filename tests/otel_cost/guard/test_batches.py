"""Batches: what all their requests will cost is held from when they are handed in until their results are read."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import otel_cost
from otel_cost.guard import batches, gate
from otel_cost.guard.estimate import Learned
from otel_cost.instrument import wire
from otel_cost.instrument.wire.types import Request
from otel_cost.pricing.money import pico_usd
from tests.otel_cost.guard.budget_server import Budget
from tests.otel_cost.guard.guarding import guarded_app
from tests.otel_cost.instrument.scripted_server import Script

pytestmark = pytest.mark.filterwarnings("ignore")
MODEL = "claude-sonnet-4-20250514"
OUTPUT_USD = "0.0075"  # of a thousand tokens in a batch: half of $15 a million
STATE = Script((b'{"id":"msgbatch_1","processing_status":"in_progress"}',), content_type="application/json")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a refused request leaves open ends with the test."""
    yield
    gc.collect()


def requests(count: int) -> dict[str, Any]:
    """A batch of short questions with long answers."""
    messages = [{"role": "user", "content": "why?"}]
    params = {"model": MODEL, "max_tokens": 1000, "messages": messages}
    return {"requests": [{"custom_id": f"r{number}", "params": params} for number in range(count)]}


def hand_in(url: str, count: int) -> httpx.Response:
    return httpx.post(f"{url}/v1/messages/batches", json=requests(count), headers={"anthropic-version": "2023-06-01"})


def until(condition: Callable[[], object]) -> None:
    """Wait for what the guard tells in the background."""
    ends_at = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_a_batch_is_held_under_its_own_name_and_the_next_one_finds_less() -> None:
    budget = Budget(limit_usd="0.20")
    with guarded_app(budget, STATE, STATE, provider="anthropic") as app:
        assert hand_in(app.server.url, 10).status_code == 200
        until(lambda: budget.jobs)
        assert httpx.get(f"{app.server.url}/v1/messages/batches/msgbatch_1").status_code == 200
        with pytest.raises(otel_cost.BudgetExceeded):
            hand_in(app.server.url, 20)
        assert hand_in(app.server.url, 10).status_code == 200
    claims = budget.claims()
    assert [(body["estimate"]["calls"], body["calls"], body["model"]) for body in claims] == [
        (calls, 1, MODEL) for calls in (10, 20, 10)
    ]
    usd = pico_usd(claims[0]["estimate"]["usd"])
    assert 10 * pico_usd(OUTPUT_USD) < usd < 11 * pico_usd(OUTPUT_USD)
    assert len(set(budget.jobs["msgbatch_1"])) == 2
    assert not budget.released, "what is held for a batch does not end with the process"
    assert not budget.read


def test_what_is_held_is_free_when_results_are_read_whoever_reads_them() -> None:
    """The process that reads has handed in nothing."""
    budget = Budget(limit_usd="1")
    message = {"id": "msg_1", "model": MODEL, "usage": {"input_tokens": 5, "output_tokens": 7}}
    line = {"custom_id": "r0", "result": {"type": "succeeded", "message": message}}
    results = Script((json.dumps(line).encode() + b"\n",), content_type="application/x-jsonl")
    with guarded_app(budget, results, provider="anthropic") as app:
        assert httpx.get(f"{app.server.url}/v1/messages/batches/msgbatch_1/results").status_code == 200
        until(lambda: budget.read)
    assert budget.read == ["msgbatch_1"]
    assert not budget.claims()


def test_a_batch_that_is_not_accepted_holds_nothing() -> None:
    budget = Budget(limit_usd="1")
    error = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    with guarded_app(
        budget, Script((error,), content_type="application/json", status=400), provider="anthropic"
    ) as app:
        assert hand_in(app.server.url, 10).status_code == 400
    assert not budget.jobs
    assert sum(budget.leases.values()) == 0
    assert [call["calls"] for call in budget.calls()] == [0]


def test_a_batch_is_refused_whole_if_the_share_of_one_model_does_not_fit() -> None:
    """What was taken for the other model is given back."""
    budget = Budget(limit_usd="1")
    other = "claude-3-5-haiku-20241022"
    budget.answer = lambda body: (
        {"decision": "block", "refusal": budget.refusal("block")} if body.get("model") == other else None
    )
    with guarded_app(budget, STATE, provider="anthropic") as app:
        body = requests(2)
        body["requests"][1]["params"] = {**body["requests"][1]["params"], "model": other}
        with pytest.raises(otel_cost.BudgetExceeded):
            httpx.post(f"{app.server.url}/v1/messages/batches", json=body, headers={"anthropic-version": "2023-06-01"})
    assert len(budget.claims()) == 2
    assert sum(budget.leases.values()) == 0
    assert not app.server.bodies


def test_a_large_batch_is_taken_to_be_like_its_first_requests() -> None:
    def needs(count: int) -> batches.Share:
        body = str(requests(count)).replace("'", '"').encode()
        asked = wire.asked(Request("POST", "https://api.anthropic.com/v1/messages/batches", {}, body))
        assert asked is not None
        (share,) = batches.submitted(asked, Learned(), None)
        return share

    one, many = needs(1), needs(2 * batches.MAX_ESTIMATED)
    assert (many.calls, many.tokens) == (2 * batches.MAX_ESTIMATED, 2 * batches.MAX_ESTIMATED * one.tokens)


def test_a_batch_in_a_file_holds_what_the_block_around_it_says() -> None:
    budget = Budget(limit_usd="10")
    state = Script((b'{"id":"batch_1","object":"batch"}',), content_type="application/json")
    with guarded_app(budget, state) as app:
        body = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        guard = otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="4")
        with guard:  # its lease is for more than one call
            assert httpx.post(f"{app.server.url}/v1/batches", json=body).status_code == 200
        until(lambda: budget.jobs)
        assert [budget.leases[lease] for lease in budget.jobs["batch_1"]] == [pico_usd("4")]
        with otel_cost.guard(model="gpt-4o", provider="openai", estimate_usd="1") as other:
            other.settle(cost_usd="0")
        gate.switch_off()  # the rest is given back
        assert sum(budget.leases.values()) == pico_usd("4")
        gate.switch_on(budget.url)
        with pytest.raises(otel_cost.BudgetExceeded), otel_cost.guard(model="gpt-4o", estimate_usd="7"):
            httpx.post(f"{app.server.url}/v1/batches", json=body)
    assert list(budget.jobs) == ["batch_1"]


def test_a_batch_in_a_file_passes_while_anything_is_left() -> None:
    budget = Budget(limit_usd="0.000001")
    state = Script((b'{"id":"batch_1","object":"batch"}',), content_type="application/json")
    with guarded_app(budget, state) as app:
        body = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert httpx.post(f"{app.server.url}/v1/batches", json=body).status_code == 200
        budget.limit_usd = "0"
        with pytest.raises(otel_cost.BudgetExceeded):
            httpx.post(f"{app.server.url}/v1/batches", json=body)
