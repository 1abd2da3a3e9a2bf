"""Spans and the verdicts on them, side by side: rows of `_ledger.call_log`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import ATTRIBUTION_SCHEMA, FILLED_TEXT_COLUMNS, FILLED_TOKEN_COLUMNS

_KEY = ["org_id", "trace_id", "span_id"]
_OF_THE_SPAN = [
    "seq",
    "org_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "service_name",
    "start_time",
    "end_time",
    "status_code",
    "call_kind",
    "dialect",
    "operation",
    "provider",
    "model",
    "request_model",
    "response_model",
    "response_id",
    "service_tier",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_reasoning_tokens",
    "usage_json",
    "cost_usd",
    "cost_status",
    "cost_reason",
    "card",
    "rate_row",
    "reported_cost_usd",
    "reported_by_provider",
    "failed",
    "flags",
]
_FILLED = {name: f"filled_{name}" for name in (*FILLED_TEXT_COLUMNS, *FILLED_TOKEN_COLUMNS)}
_OF_THE_VERDICT = [name for name in ATTRIBUTION_SCHEMA.names if name not in _KEY and name not in _FILLED.values()]


VERDICT_COLUMNS = [*_OF_THE_VERDICT, *_FILLED]
"""What may change in a row when its trace is judged again."""


def call_rows(spans: pa.Table, verdicts: pa.Table, revision: int) -> pa.Table:
    """Columns as `_ledger.call_log` has them, one row per verdict, in any order of the verdicts.

    Raises ValueError for a verdict on a span that is not among `spans`.
    """
    calls = spans.filter(pc.is_valid(spans.column("call_kind")))
    at = _places(calls, verdicts)
    if at is not None:
        calls = calls.take(at)
    columns = [pa.array(np.full(calls.num_rows, revision, dtype=np.int64))]
    columns += [_filled(calls, verdicts, name) for name in _OF_THE_SPAN]
    columns += [verdicts.column(name) for name in _OF_THE_VERDICT]
    return pa.Table.from_arrays(columns, names=["revision", *_OF_THE_SPAN, *_OF_THE_VERDICT])


def _filled(calls: pa.Table, verdicts: pa.Table, name: str) -> pa.ChunkedArray:
    """What the call says itself, else what its duplicate says."""
    own = calls.column(name)
    if name not in _FILLED:
        return own
    found = verdicts.column(_FILLED[name])
    return (
        own if found.null_count == len(found) else pc.coalesce(_text(own) if found.type == pa.string() else own, found)
    )


def _places(calls: pa.Table, verdicts: pa.Table) -> pa.Array | None:
    """The row of `calls` that each verdict speaks of; None when they are the same in the same order."""
    if calls.num_rows == verdicts.num_rows and all(
        pc.all(pc.equal(_text(calls.column(name)), _text(verdicts.column(name)))).as_py() is not False for name in _KEY
    ):
        return None
    ours, theirs = (
        pc.binary_join_element_wise(*(_text(table.column(name)) for name in _KEY), "/") for table in (calls, verdicts)
    )
    places = pc.index_in(theirs, value_set=ours.combine_chunks()).combine_chunks()
    if places.null_count:
        raise ValueError(f"{places.null_count} verdicts are on spans that were not asked about")
    return places


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if column.type == pa.string() else column.cast(pa.string())
