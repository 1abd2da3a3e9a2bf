"""Batches: whether all their requests fit is asked when they are handed in, and nothing is held for them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import otel_cost
from otel_cost.guard import batches
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


def test_a_batch_is_let_through_if_all_of_it_fits_and_its_state_is_not_asked_about() -> None:
    budget = Budget(limit_usd="0.10")
    with guarded_app(budget, STATE, STATE, provider="anthropic") as app:
        assert hand_in(app.server.url, 10).status_code == 200
        assert httpx.get(f"{app.server.url}/v1/messages/batches/msgbatch_1").status_code == 200
        with pytest.raises(otel_cost.BudgetExceeded):
            hand_in(app.server.url, 14)
    checks = [body for what, body in budget.asked if what == "check"]
    assert [(body["estimate"]["calls"], body["model"]) for body in checks] == [(10, MODEL), (14, MODEL)]
    usd = pico_usd(checks[0]["estimate"]["usd"])
    assert 10 * pico_usd(OUTPUT_USD) < usd < 11 * pico_usd(OUTPUT_USD)
    assert {what for what, _ in budget.asked} == {"check"}


def test_a_large_batch_is_taken_to_be_like_its_first_requests() -> None:
    def needs(count: int) -> batches.Share:
        body = str(requests(count)).replace("'", '"').encode()
        asked = wire.asked(Request("POST", "https://api.anthropic.com/v1/messages/batches", {}, body))
        assert asked is not None
        (share,) = batches.submitted(asked, Learned(), None)
        return share

    one, many = needs(1), needs(2 * batches.MAX_ESTIMATED)
    assert (many.calls, many.tokens) == (2 * batches.MAX_ESTIMATED, 2 * batches.MAX_ESTIMATED * one.tokens)


def test_a_batch_in_a_file_passes_while_anything_is_left() -> None:
    budget = Budget(limit_usd="0.000001")
    state = Script((b'{"id":"batch_1","object":"batch"}',), content_type="application/json")
    with guarded_app(budget, state) as app:
        body = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert httpx.post(f"{app.server.url}/v1/batches", json=body).status_code == 200
        budget.limit_usd = "0"
        with pytest.raises(otel_cost.BudgetExceeded):
            httpx.post(f"{app.server.url}/v1/batches", json=body)
