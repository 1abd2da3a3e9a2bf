"""Spans as the pipeline hands them to the store, and a toy attribution, for tests of the store alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from collector.decode.columns import ATTRIBUTION_SCHEMA, LEDGER_SCHEMA, SKELETON_SCHEMA
from otel_cost.call import DIMENSIONS

START_NS = 1_760_000_000_000_000_000
SECOND_NS = 1_000_000_000

_REQUIRED: Mapping[str, Any] = {
    "org_id": "default",
    "dropped_attributes_count": 0,
    "reported_by_provider": False,
    "failed": False,
    "flags": 0,
    "attributes": "{}",
    "resource": '{"service.name":"shop"}',
    "service_name": "shop",
}


def span(trace: int, number: int, parent: int | None = None, **values: Any) -> dict[str, Any]:
    """One span of `LEDGER_SCHEMA`; ids are made of the numbers, spans start a second apart."""
    start_ns = START_NS + (100 * trace + number) * SECOND_NS
    return {
        **_REQUIRED,
        "trace_id": f"{trace:032x}",
        "span_id": f"{trace:08x}{number:08x}",
        "parent_span_id": None if parent is None else f"{trace:08x}{parent:08x}",
        "name": f"span {number}",
        "start_time_ns": start_ns,
        "end_time_ns": start_ns + SECOND_NS // 2,
        **values,
    }


def call(trace: int, number: int, parent: int | None = None, **values: Any) -> dict[str, Any]:
    """A priced model call: 1,000 tokens in, 100 out, 0.0125 USD."""
    said = {
        "call_kind": "leaf",
        "dialect": "otel",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o",
        "request_model": "gpt-4o",
        "input_tokens": 1000,
        "output_tokens": 100,
        "cost_pico_usd": 12_500_000_000,
        "cost_status": "priced",
    }
    return span(trace, number, parent, **{**said, **values})


def batch(spans: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in spans], schema=LEDGER_SCHEMA)


def attribute(skeleton: pa.Table) -> pa.Table:
    """Counts every call unless an earlier span has its response id; owner = own value, else the nearest ancestor's."""
    assert skeleton.cast(SKELETON_SCHEMA).num_columns == skeleton.num_columns
    rows = sorted(skeleton.to_pylist(), key=lambda row: (row["start_time_ns"], row["seq"]))
    by_id = {(row["org_id"], row["trace_id"], row["span_id"]): row for row in rows}
    assert len(by_id) == len(rows)
    kept: dict[tuple[str, str], str] = {}
    verdicts = []
    for row in rows:
        if row["call_kind"] is None:
            continue
        first = kept.setdefault((row["org_id"], row["response_id"]), row["span_id"]) if row["response_id"] else None
        duplicate = first is not None and first != row["span_id"]
        verdicts.append(
            {
                "org_id": row["org_id"],
                "trace_id": row["trace_id"],
                "span_id": row["span_id"],
                "counted": row["call_kind"] == "leaf" and not duplicate,
                "not_counted_reason": "duplicate" if duplicate else None,
                "duplicate_of": first if duplicate else None,
                **{name: _owner(by_id, row, name) for name in DIMENSIONS},
                "attempt": 1,
                "wasted": bool(row["failed"]),
            }
        )
    return pa.Table.from_pylist(verdicts, schema=ATTRIBUTION_SCHEMA)


def _owner(by_id: Mapping[tuple[str, str, str], dict[str, Any]], row: dict[str, Any], name: str) -> Any:
    at: dict[str, Any] | None = row
    while at is not None:
        if at[name] is not None:
            return at[name]
        at = by_id.get((at["org_id"], at["trace_id"], at["parent_span_id"]))
    return row[f"resource_{name}"]
