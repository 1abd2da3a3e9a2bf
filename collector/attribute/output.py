"""The verdicts as a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from collector.attribute.counting import COUNTED, REASONS, Verdict
from collector.attribute.retries import Retries
from collector.attribute.skeleton import UNKNOWN, Ints, Spans, plain
from collector.decode.columns import ATTRIBUTION_SCHEMA, FILLED_TEXT_COLUMNS, FILLED_TOKEN_COLUMNS
from otel_cost.call import DIMENSIONS


def assemble(spans: Spans, verdict: Verdict, owners: dict[str, pa.Array], retries: Retries) -> pa.Table:
    """One row per GenAI span, in the skeleton's order, with `ATTRIBUTION_SCHEMA`."""
    kind = spans.column("call_kind")
    rows = np.flatnonzero(kind.is_valid().to_numpy(zero_copy_only=False)) if kind.null_count else np.arange(len(spans))
    take = pa.array(rows)
    ids = plain(spans.column("span_id"))

    def here(column: pa.Array) -> pa.Array:
        return column if len(rows) == len(spans) else column.take(take)

    counted = verdict.verdict[rows] == COUNTED
    reasons = pa.DictionaryArray.from_arrays(
        pa.array(np.maximum(verdict.verdict[rows].astype(np.int32) - 1, 0), mask=counted),
        pa.array(REASONS[1:], pa.string()),
    )
    columns = {
        **{name: here(plain(spans.column(name))) for name in ("org_id", "trace_id")},
        "span_id": here(ids),
        "counted": pa.array(counted),
        "not_counted_reason": reasons,
        "duplicate_of": _ids(ids, verdict.duplicate_of[rows]),
        **{name: here(owners[name]) for name in DIMENSIONS},
        "attempt": pa.array(retries.attempt[rows].astype(np.int32)),
        "retry_of": _ids(ids, retries.retry_of[rows]),
        "wasted": pa.array(retries.wasted[rows]),
        **_filled(spans, verdict, rows),
    }
    return pa.Table.from_arrays([columns[name] for name in ATTRIBUTION_SCHEMA.names], schema=ATTRIBUTION_SCHEMA)


def _ids(values: pa.Array, codes: Ints) -> pa.Array:
    """Strings by number; `UNKNOWN` is NULL."""
    unknown = codes == UNKNOWN
    return pa.nulls(len(codes), pa.string()) if unknown.all() else values.take(pa.array(codes, mask=unknown))


def _filled(spans: Spans, verdict: Verdict, rows: Ints) -> dict[str, pa.Array]:
    """What a kept record does not say and a duplicate of it does."""
    if not verdict.groups:
        nothing = {str: pa.nulls(len(rows), pa.string()), int: pa.nulls(len(rows), pa.int64())}
        return {f"filled_{name}": nothing[str] for name in FILLED_TEXT_COLUMNS} | {
            f"filled_{name}": nothing[int] for name in FILLED_TOKEN_COLUMNS
        }
    texts = {name: np.full(len(spans), None, object) for name in FILLED_TEXT_COLUMNS}
    tokens = {name: np.full(len(spans), UNKNOWN, np.int64) for name in FILLED_TOKEN_COLUMNS}
    for kept, members in verdict.groups.items():
        for name, found in [*texts.items(), *tokens.items()]:
            column = spans.column(name)
            if not column[kept].is_valid:
                found[kept] = next((column[row].as_py() for row in members if column[row].is_valid), found[kept])
    return {f"filled_{name}": pa.array(found[rows], pa.string()) for name, found in texts.items()} | {
        f"filled_{name}": pa.array(found[rows], pa.int64(), mask=found[rows] == UNKNOWN)
        for name, found in tokens.items()
    }
