"""Batches that are handed in: what all of their requests will cost, by the rates of batches.

They cost when their results are read, hours later, perhaps by another process. So the lease that a batch is handed in
under is left to it: the collector holds it, by the name that the provider gives the batch, until somebody has read the
results, or no results can come any more. Of a batch whose requests are in a file that was sent before nobody knows what
it will cost: it is let through unless nothing at all is left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from otel_cost.guard.estimate import Learned, estimate
from otel_cost.instrument.wire.types import Asked, Reading, Request
from otel_cost.pricing import RateCard

OPERATION = "batch"
MAX_ESTIMATED = 1000
"""Requests of one batch that are looked at; the others are taken to be like these. More, and handing a batch in takes
longer: 50 us a request."""

_CONTEXT = {"processing": "batch"}
_AT_ENDS = ("/cancel", ":cancel", "/results")
MAX_JOB_CHARS = 200
"""Of the name of a batch: real ones have 20 to 60."""


class Share(NamedTuple):
    """What the requests of one model need together."""

    model: str | None
    cost_pico_usd: int | None
    tokens: int
    calls: int


UNKNOWN = Share(None, 1, 1, 1)
"""Of a batch that is in a file: fits where anything is left."""


def submitted(asked: Asked, learned: Learned, card: RateCard | None) -> Sequence[Share]:
    """The shares of a batch, one for each model; nothing if the request hands in none."""
    if asked.operation != OPERATION or asked.request.method != "POST":
        return ()
    path = urlsplit(asked.request.url).path
    if path.endswith(_AT_ENDS):
        return ()
    requests = _requests(asked)
    if not requests:
        return [UNKNOWN._replace(model=asked.model)]
    looked_at = requests[:MAX_ESTIMATED]
    shares: dict[str | None, Share] = {}
    for body in looked_at:
        model = body.get("model") if isinstance(body.get("model"), str) else asked.model
        needs = estimate(_call(asked, model, body), model, learned, card)
        before = shares.get(model, Share(model, 0, 0, 0))
        cost = None if None in (before.cost_pico_usd, needs.cost_pico_usd) else _sum(before, needs.cost_pico_usd)
        shares[model] = Share(model, cost, before.tokens + needs.tokens, before.calls + 1)
    return [_grown(share, len(requests), len(looked_at)) for share in shares.values()]


def job_of(asked: Asked, reading: Reading) -> str:
    """What a batch is called, by the answer, else by the address: the last word of it, which is the same in both."""
    named = reading.response_id or urlsplit(asked.request.url).path.removesuffix("/results")
    return named.rstrip("/").rpartition("/")[2][:MAX_JOB_CHARS] or "batch"


def _sum(before: Share, cost: int | None) -> int:
    return (before.cost_pico_usd or 0) + (cost or 0)


def _grown(share: Share, requests: int, looked_at: int) -> Share:
    """By those that were not looked at."""
    cost, tokens, calls = (
        None if amount is None else -(-amount * requests // looked_at)
        for amount in (share.cost_pico_usd, share.tokens, share.calls)
    )
    return Share(share.model, cost, tokens or 0, calls or 0)


def _call(asked: Asked, model: str | None, body: Mapping[str, Any]) -> Asked:
    """One request of a batch, as if it were made by itself. Its whole text is taken for input."""
    text = json.dumps({key: value for key, value in body.items() if key != "tools"}).encode()
    request = Request("POST", asked.request.url, {}, text)
    return asked._replace(
        operation="chat", request=request, model=model, body=body, context={**asked.context, **_CONTEXT}
    )


def _requests(asked: Asked) -> list[Mapping[str, Any]]:
    """Bodies of the requests that are in the batch itself: Anthropic's `requests[].params`, Gemini's
    `batch.input_config.requests.requests[].request`, Mistral's and others' `requests[].body`."""
    said = asked.body
    if said is None:
        with suppress(ValueError, RecursionError):
            said = json.loads(asked.request.body or b"null")
    found = _listed(said)
    bodies = (next((each[key] for key in ("params", "request", "body") if isinstance(each.get(key), dict)), None)
              for each in found)  # fmt: skip
    return [body for body in bodies if body is not None]


def _listed(said: object) -> list[Mapping[str, Any]]:
    """The list called `requests`, wherever it is."""
    for _ in range(5):
        if isinstance(said, list):
            return [each for each in said if isinstance(each, dict)]
        if not isinstance(said, dict):
            return []
        said = next((said[key] for key in ("requests", "batch", "input_config", "inputConfig") if key in said), None)
    return []
