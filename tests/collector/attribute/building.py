"""Skeletons and verdicts in the fewest words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from collector.attribute import attribute
from collector.decode.columns import SKELETON_SCHEMA

SECOND = 1_000_000_000
Row = dict[str, Any]

DEFAULTS: Row = {field.name: None for field in SKELETON_SCHEMA} | {
    "org_id": "default",
    "trace_id": "t1",
    "name": "span",
    "scope_name": "scope",
    "service_name": "app",
    "kind": 1,
    "status_code": 0,
    "seq": 0,
    "has_usage": False,
    "failed": False,
    "flags": 0,
}


def span(span_id: str, parent: str | None = None, at: float = 0, until: float | None = None, **values: Any) -> Row:
    """A plain span, no GenAI span. Times are in seconds."""
    end = at + 1 if until is None else until
    times = {"start_time_ns": int(at * SECOND), "end_time_ns": int(end * SECOND)}
    return DEFAULTS | {"span_id": span_id, "parent_span_id": parent} | times | values


def _genai(kind: str, span_id: str, parent: str | None, tokens: tuple[int, int] | None, values: Row) -> Row:
    usage: Row = {"call_kind": kind}
    if tokens is not None:
        usage |= {"input_tokens": tokens[0], "output_tokens": tokens[1], "has_usage": True, "cost_pico_usd": 1000}
    values.setdefault("cost_status", "priced" if tokens else "unpriced")
    return span(span_id, parent, **(usage | values))


def leaf(span_id: str, parent: str | None = None, tokens: tuple[int, int] | None = None, **values: Any) -> Row:
    """A model call; `tokens` are input and output."""
    call = {"operation": "chat", "provider": "openai", "request_model": "gpt-4o", "dialect": "official"}
    return _genai("leaf", span_id, parent, tokens, call | values)


def aggregate(span_id: str, parent: str | None = None, tokens: tuple[int, int] | None = None, **values: Any) -> Row:
    """An agent, workflow or chain."""
    return _genai("aggregate", span_id, parent, tokens, {"operation": "invoke_agent", "dialect": "official"} | values)


def failed(row: Row) -> Row:
    """The same call, but it failed; without usage it costs 0."""
    return row | {"failed": True, "status_code": 2} | ({} if row["has_usage"] else {"cost_pico_usd": 0})


def skeleton(rows: Iterable[Row]) -> pa.Table:
    """Rows as the table that attribution reads."""
    numbered = [row | {"seq": seq} for seq, row in enumerate(rows)]
    return pa.Table.from_pylist(numbered, SKELETON_SCHEMA)


def verdicts(*rows: Row) -> dict[str, Row]:
    """Attribution's rows by span id."""
    return {row["span_id"]: row for row in attribute(skeleton(rows)).to_pylist()}


def counted(*rows: Row) -> list[str]:
    """Span ids of the counted calls."""
    return sorted(name for name, row in verdicts(*rows).items() if row["counted"])


def total(*rows: Row) -> tuple[int, int]:
    """Input and output tokens of the counted calls."""
    kept = set(counted(*rows))
    chosen = [row for row in rows if row["span_id"] in kept]
    return sum(row["input_tokens"] or 0 for row in chosen), sum(row["output_tokens"] or 0 for row in chosen)


def fingerprint(text: str) -> str:
    """A span id that looks like one."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
