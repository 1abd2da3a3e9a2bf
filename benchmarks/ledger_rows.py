"""Rows as they lie in the ledger's segments, by the million: traces of eight spans, seven calls under one agent."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import DICT_STRING
from collector.store.rows import MONEY, ROW_SCHEMA

SPANS_PER_TRACE = 8
CHUNK_ROWS = 122_880

_MODELS = [
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4", "claude-sonnet-4-20250514"),
    ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat", "deepseek-chat"),
]
_ATTRIBUTES = (
    '{"gen_ai.request.temperature":0.7,"gen_ai.request.max_tokens":4096,"gen_ai.response.finish_reasons":["stop"],'
    '"server.address":"api.openai.com","server.port":443,"session.id":"'
)
_RESOURCE = '{"deployment.environment.name":"production","service.name":"checkout","telemetry.sdk.language":"python"}'

Ints = npt.NDArray[np.int64]


def chunk(first_seq: int, start_ns: int, end_ns: int, seed: int, count: int = CHUNK_ROWS) -> pa.Table:
    """`count` rows of ROW_SCHEMA, spread evenly from `start_ns` to `end_ns`; the same for the same arguments."""
    random = np.random.default_rng(seed)
    n = np.arange(count)
    is_call = n % SPANS_PER_TRACE < SPANS_PER_TRACE - 1
    starts = np.linspace(start_ns, end_ns, count, endpoint=False).astype(np.int64)
    model = random.integers(0, len(_MODELS), count)
    unpriced = random.random(count) < 0.002
    tokens_in, tokens_out = random.integers(100, 20_000, count), random.integers(10, 3_000, count)
    cost = (tokens_in * (model + 1) * 500_000 + tokens_out * (model + 1) * 2_000_000).astype(np.int64)
    traces = _hex(random, -(-count // SPANS_PER_TRACE), 16)
    trace_ids = traces.take(pa.array(n // SPANS_PER_TRACE))
    span_ids = _hex(random, count, 8)
    roots = span_ids.take(pa.array(n // SPANS_PER_TRACE * SPANS_PER_TRACE + SPANS_PER_TRACE - 1))
    owners: dict[str, Any] = {
        "agent": _named("agent", random.integers(0, 12, count)),
        "customer": _named("customer", random.integers(0, 500, count)),
        "feature": _named("feature", random.integers(0, 10, count)),
        "team": _named("team", random.integers(0, 6, count)),
        "user": _named("user", random.integers(0, 20_000, count)),
        "conversation": _named("conversation", random.integers(0, 5_000, count)),
    }
    columns: dict[str, Any] = {
        "seq": pa.array(first_seq + n),
        "org_id": _same("default", count),
        "trace_id": trace_ids,
        "span_id": span_ids,
        "parent_span_id": _where(is_call, roots),
        "name": _coded(np.where(is_call, model, len(_MODELS)), [*(f"chat {m[1]}" for m in _MODELS), "invoke_agent"]),
        "kind": pa.array(np.where(is_call, 3, 1).astype(np.int8)),
        "start_time": pa.array(starts).cast(pa.timestamp("ns")),
        "end_time": pa.array(starts + random.integers(10**8, 5 * 10**9, count)).cast(pa.timestamp("ns")),
        "status_code": pa.array(np.zeros(count, np.int8)),
        "scope_name": _same("opentelemetry.instrumentation.openai_v2", count),
        "scope_version": _same("2.3b0", count),
        "service_name": _same("checkout", count),
        "dropped_attributes_count": pa.array(np.zeros(count, np.int32)),
        "call_kind": _coded(np.where(is_call, 0, 1), ["leaf", "aggregate"]),
        "dialect": _same("otel", count),
        "operation": _coded(np.where(is_call, 0, 1), ["chat", "invoke_agent"]),
        "provider": _coded(model, [m[0] for m in _MODELS]),
        "request_model": _coded(model, [m[1] for m in _MODELS]),
        "response_model": _coded(model, [m[2] for m in _MODELS]),
        "model": _coded(model, [m[1] for m in _MODELS]),
        "response_id": _where(is_call, _hex(random, count, 12)),
        "reported_by_provider": pa.array(np.zeros(count, bool)),
        "failed": pa.array(np.zeros(count, bool)),
        "flags": pa.array(np.zeros(count, np.int64)),
        "input_tokens": _where(is_call, pa.array(tokens_in)),
        "output_tokens": _where(is_call, pa.array(tokens_out)),
        "cache_read_tokens": _where(is_call, pa.array(tokens_in // 3)),
        "cost_usd": _money(cost, is_call & ~unpriced),
        "cost_status": _where(is_call, _coded(unpriced.astype(np.int64), ["priced", "unpriced"])),
        "card": _where(is_call, _same("0123456789abcdef", count)),
        "rate_row": _where(is_call, _coded(model, [f"{m[0]}|{m[1]}" for m in _MODELS])),
        "attributes": _attributes(random, count),
        "resource": _same(_RESOURCE, count),
        "revision": pa.array(np.full(count, seed + 1)),
        "counted": pa.array(is_call),
        "not_counted_reason": _where(~is_call, _same("wrapper", count)),
        "attempt": pa.array(np.ones(count, np.int32)),
        "wasted": pa.array(np.zeros(count, bool)),
        **owners,
        "derived": pa.array(np.zeros(count, np.int32)),
    }
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in ROW_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=ROW_SCHEMA)


def _hex(random: np.random.Generator, count: int, size_bytes: int) -> pa.Array:
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = digits[random.integers(0, 16, count * size_bytes * 2)]
    offsets = np.arange(count + 1, dtype=np.int32) * (size_bytes * 2)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


def _named(prefix: str, codes: Ints) -> pa.Array:
    return _coded(codes, [f"{prefix}-{number}" for number in range(int(codes.max()) + 1)])


def _coded(codes: Ints, values: list[str]) -> pa.Array:
    distinct = list(dict.fromkeys(values))  # Parquet keeps a dictionary only if it says nothing twice
    to_distinct = np.array([distinct.index(value) for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(to_distinct[codes]), pa.array(distinct))


def _same(value: str, count: int) -> pa.Array:
    return _coded(np.zeros(count, np.int64), [value])


def _where(mask: npt.NDArray[np.bool_], column: pa.Array) -> pa.Array:
    index = pa.array(np.arange(len(column)), mask=~mask)
    if column.type == DICT_STRING:
        return pa.DictionaryArray.from_arrays(column.indices.take(index), column.dictionary)
    return column.take(index)


def _money(pico_usd: Ints, valid: npt.NDArray[np.bool_]) -> pa.Array:
    wide = np.zeros((len(pico_usd), 2), "<i8")
    wide[:, 0] = pico_usd
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    return pa.Array.from_buffers(MONEY, len(pico_usd), [bitmap, pa.py_buffer(wide)])


def _attributes(random: np.random.Generator, count: int) -> pa.Array:
    return pc.binary_join_element_wise(_ATTRIBUTES, _hex(random, count, 8), '"}', "")
