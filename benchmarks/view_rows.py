"""Rows of a year of a large user: 200 models, 500 agents, 10,000 customers, in the shape of `benchmarks.ledger_rows`.

A trace is one run of eight spans for one customer, user and conversation; it has up to three agents, each of which
belongs to a team, a feature and a project and uses few models. Few agents, models and customers make most of the calls.
Some calls fail, some of those are repeated, some have no price, a partial one, or one of estimated tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.ledger_rows import CHUNK_ROWS, SPANS_PER_TRACE, _coded, _money, _where, chunk

MODELS, AGENTS, CUSTOMERS = 200, 500, 10_000
PROVIDERS = ("openai", "anthropic", "gcp.gemini", "aws.bedrock", "azure.ai.openai", "mistral_ai", "deepseek", "cohere")
TEAMS, FEATURES, PROJECTS, SERVICES, USERS = 20, 60, 30, 25, 50_000
MODELS_OF_AN_AGENT, AGENTS_OF_A_TRACE = 4, 3
TRACES_OF_A_CONVERSATION = 4
_STATUSES = ["priced", "estimated", "partial", "reported", "unpriced"]
_TIERS = ["default", "flex", "priority"]

Ints = npt.NDArray[np.int64]


def rows(first_seq: int, start_ns: int, end_ns: int, seed: int, count: int = CHUNK_ROWS) -> pa.Table:
    """`count` rows of ROW_SCHEMA, spread evenly from `start_ns` to `end_ns`; the same for the same arguments."""
    base = chunk(first_seq, start_ns, end_ns, seed, count)
    random = np.random.default_rng([seed, 1])
    n = np.arange(count)
    trace, is_call = n // SPANS_PER_TRACE, n % SPANS_PER_TRACE < SPANS_PER_TRACE - 1
    traces = int(trace[-1]) + 1
    lead = _few(random, traces, AGENTS)
    agent = (lead[trace] + random.integers(0, AGENTS_OF_A_TRACE, count) * 7) % AGENTS
    model = (agent * 13 + _few(random, count, MODELS_OF_AN_AGENT) * 29) % MODELS
    customer = _few(random, traces, CUSTOMERS)[trace]
    status = np.searchsorted([0.97, 0.985, 0.99, 0.998], random.random(count))
    failed = is_call & (random.random(count) < 0.02)
    repeated = is_call & np.roll(failed, 1) & (n % SPANS_PER_TRACE > 0)
    spans = base.column("span_id").combine_chunks()
    tokens_in = random.integers(100, 20_000, count)
    tokens_out = random.integers(10, 3_000, count)
    cost = tokens_in * (model + 1) * 5_000 + tokens_out * (model + 1) * 20_000
    priced = is_call & (status != _STATUSES.index("unpriced"))
    columns: dict[str, Any] = {
        "agent": _named("agent", agent),
        "customer": _named("customer", customer),
        "user": _named("user", (customer * 31 + random.integers(0, 7, traces)[trace]) % USERS),
        "conversation": _named("conversation", seed * 100_000 + trace // TRACES_OF_A_CONVERSATION),
        "team": _named("team", agent % TEAMS),
        "feature": _named("feature", agent % FEATURES),
        "project": _named("project", agent % PROJECTS),
        "environment": _coded((lead % 9 == 0).astype(np.int64)[trace], ["production", "staging"]),
        "service_name": _named("service", agent % SERVICES),
        "provider": _coded(model % len(PROVIDERS), list(PROVIDERS)),
        "service_tier": _coded((model % 11 == 0) * 1 + (model % 17 == 0) * 1, _TIERS),
        **{name: _named("model", model) for name in ("model", "request_model", "response_model")},
        "input_tokens": _where(is_call, pa.array(tokens_in)),
        "output_tokens": _where(is_call, pa.array(tokens_out)),
        "cache_read_tokens": _where(is_call, pa.array(tokens_in // 3)),
        "cost_usd": _money(cost.astype(np.int64), priced),
        "cost_status": _where(is_call, _coded(status, _STATUSES)),
        "failed": pa.array(failed),
        "wasted": pa.array(failed),
        "attempt": pa.array(np.where(repeated, 2, 1).astype(np.int32)),
        "retry_of": _where(repeated, spans.take(pa.array(np.maximum(n - 1, 0)))),
    }
    for name, column in columns.items():
        at = base.schema.get_field_index(name)
        base = base.set_column(at, base.schema.field(at), column)
    return base


def _named(prefix: str, numbers: Ints) -> pa.Array:
    distinct, codes = np.unique(numbers, return_inverse=True)
    names = pa.array([f"{prefix}-{number}" for number in distinct.tolist()])
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names)


def _few(random: np.random.Generator, count: int, most: int) -> Ints:
    """Numbers below `most`, of which the low ones are frequent."""
    found: Ints = np.minimum(most * random.random(count) ** 3, most - 1).astype(np.int64)
    return found
