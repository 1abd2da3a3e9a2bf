"""The verdicts as a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from collector.attribute.counting import COUNTED, REASONS, Verdict
from collector.attribute.retries import Retries
from collector.attribute.skeleton import UNKNOWN, Coded, Ints, Spans
from collector.decode.columns import ATTRIBUTION_SCHEMA, FILLED_TEXT_COLUMNS, FILLED_TOKEN_COLUMNS
from otel_cost.call import DIMENSIONS


def assemble(spans: Spans, verdict: Verdict, owners: dict[str, Coded], retries: Retries) -> pa.Table:
    """One row per GenAI span, in the skeleton's order, with `ATTRIBUTION_SCHEMA`."""
    table = spans.table
    rows = np.flatnonzero(table["call_kind"].is_valid().to_numpy())
    take = pa.array(rows)
    ids = table["span_id"].combine_chunks() if len(table) else pa.array([], pa.string())
    columns = {name: table[name].take(take) for name in ("org_id", "trace_id", "span_id")}
    reasons = pa.DictionaryArray.from_arrays(
        pa.array(verdict.verdict[rows].astype(np.int32) - 1, mask=verdict.verdict[rows] == COUNTED),
        pa.array(REASONS[1:], pa.string()),
    )
    columns |= {
        "counted": pa.array(verdict.verdict[rows] == COUNTED),
        "not_counted_reason": reasons,
        "duplicate_of": _ids(ids, verdict.duplicate_of[rows]),
        **{name: _ids(owners[name].values, owners[name].codes[rows]) for name in DIMENSIONS},
        "attempt": pa.array(retries.attempt[rows].astype(np.int32)),
        "retry_of": _ids(ids, retries.retry_of[rows]),
        "wasted": pa.array(retries.wasted[rows]),
        **_filled(spans, verdict, rows),
    }
    return pa.table([columns[name] for name in ATTRIBUTION_SCHEMA.names], schema=ATTRIBUTION_SCHEMA)


def _ids(values: pa.Array, codes: Ints) -> pa.Array:
    """Strings by number; `UNKNOWN` is NULL."""
    return values.take(pa.array(codes, mask=codes == UNKNOWN))


def _filled(spans: Spans, verdict: Verdict, rows: Ints) -> dict[str, pa.Array]:
    """What a kept record does not say and a duplicate of it does."""
    texts = {name: np.full(len(spans), None, object) for name in FILLED_TEXT_COLUMNS}
    tokens = {name: np.full(len(spans), UNKNOWN, np.int64) for name in FILLED_TOKEN_COLUMNS}
    for kept, members in verdict.groups.items():
        for name, found in [*texts.items(), *tokens.items()]:
            column = spans.table[name]
            if not column[kept].is_valid:
                found[kept] = next((column[row].as_py() for row in members if column[row].is_valid), found[kept])
    return {f"filled_{name}": pa.array(found[rows], pa.string()) for name, found in texts.items()} | {
        f"filled_{name}": pa.array(found[rows], pa.int64(), mask=found[rows] == UNKNOWN)
        for name, found in tokens.items()
    }
