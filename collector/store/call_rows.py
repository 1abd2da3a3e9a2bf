"""Spans and the verdicts on them, side by side: the verdict of a segment's row, and rows of `_ledger.amendment`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import ATTRIBUTION_SCHEMA, FILLED_TEXT_COLUMNS, FILLED_TOKEN_COLUMNS
from collector.store.rows import DERIVED_BITS, ROW_SCHEMA, plain_column

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
_SUPPLIED = {name: _FILLED.get(name, name) for name in DERIVED_BITS}
"""Column of a row -> column of the verdict that supplies it where the span does not say it."""

_OF_THE_VERDICT = [name for name in ATTRIBUTION_SCHEMA.names if name not in _KEY and name not in _FILLED.values()]

VERDICT_COLUMNS = [*_OF_THE_VERDICT, *_FILLED]
"""What may change in a call when its trace is judged again."""


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


VERDICT_SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64()),
        pa.field("revision", pa.int64()),
        *(pa.field(name, _value_type(ROW_SCHEMA.field(name).type)) for name in VERDICT_COLUMNS),
    ]
)
"""The final verdict on a call, with what was filled in from another record of it."""

Places = npt.NDArray[np.int64]

NOT_JUDGED = -1


def verdict_places(spans: pa.Table, verdicts: pa.Table) -> Places:
    """For each span the row of its verdict, or `NOT_JUDGED`.

    Raises ValueError for a verdict on a span that is not among `spans`, or that is no call.
    """
    places = np.full(spans.num_rows, NOT_JUDGED, dtype=np.int64)
    is_call = np.flatnonzero(pc.is_valid(spans.column("call_kind")).to_numpy())
    calls = spans.select(_KEY)
    if len(is_call) < spans.num_rows:
        calls = calls.take(pa.array(is_call))
    if calls.num_rows == verdicts.num_rows and all(
        pc.all(pc.equal(plain_column(calls.column(name)), verdicts.column(name))).as_py() is not False for name in _KEY
    ):
        places[is_call] = np.arange(verdicts.num_rows)
        return places
    ours, theirs = (
        pc.binary_join_element_wise(*(plain_column(table.column(name)) for name in _KEY), "/")
        for table in (calls, verdicts)
    )
    found = pc.index_in(theirs, value_set=ours.combine_chunks()).combine_chunks()
    if found.null_count:
        raise ValueError(f"{found.null_count} verdicts are on spans that were not asked about")
    places[is_call[found.to_numpy()]] = np.arange(verdicts.num_rows)
    return places


def with_verdicts(rows: pa.Table, verdicts: pa.Table | None, places: Places, revision: int) -> pa.Table:
    """`ROW_SCHEMA`: new rows with the verdict beside each; NULL where there is none."""
    count = rows.num_rows
    judged = places != NOT_JUDGED
    if verdicts is None or not judged.any():
        nothing = [pa.nulls(count, field.type) for field in list(ROW_SCHEMA)[rows.num_columns :]]
        return pa.Table.from_arrays([*rows.columns, *nothing], schema=ROW_SCHEMA)
    at: pa.Array | None = None
    if verdicts.num_rows != count or not (places == np.arange(count)).all():
        at = pa.array(places, mask=~judged)
    derived = np.zeros(count, np.int32)
    columns: list[Any] = []
    for field in ROW_SCHEMA:
        if field.name in DERIVED_BITS:
            column, supplied = _with_supplied(rows.column(field.name), verdicts.column(_SUPPLIED[field.name]), at)
            if supplied is not None:
                derived |= np.where(supplied, DERIVED_BITS[field.name], 0).astype(np.int32)
        elif field.name in rows.column_names:
            column = rows.column(field.name)
        elif field.name in ("revision", "derived"):
            column = pa.array(np.full(count, revision) if field.name == "revision" else derived, mask=~judged)
        else:
            column = verdicts.column(field.name)
            column = pa.nulls(count, field.type) if column.null_count == len(column) else _at(column, at)
        columns.append(column.cast(field.type) if column.type != field.type else column)
    return pa.Table.from_arrays(columns, schema=ROW_SCHEMA)


def _with_supplied(
    own: pa.ChunkedArray, found: pa.ChunkedArray, at: pa.Array | None
) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_] | None]:
    """`own` with `found` (rows `at` of it) where it is NULL, and where that is; None: nowhere."""
    if not own.null_count or found.null_count == len(found):
        return own, None
    found = _at(found, at)
    return _final(own, found), pc.and_(pc.is_null(own), pc.is_valid(found)).to_numpy()


def _final(own: pa.ChunkedArray, found: pa.ChunkedArray) -> pa.ChunkedArray:
    """What the span says itself, else what is found elsewhere."""
    if not own.null_count or found.null_count == len(found):
        return own
    return found if own.null_count == len(own) else pc.coalesce(plain_column(own), found)


def _at(column: pa.ChunkedArray, at: pa.Array | None) -> pa.ChunkedArray:
    return column if at is None else column.take(at)


def call_rows(calls: pa.Table, verdicts: pa.Table, revision: int) -> pa.Table:
    """Rows of `_ledger.amendment`, in its column order: `calls` as they say it and their verdicts, row by row."""
    columns = [pa.array(np.full(calls.num_rows, revision, dtype=np.int64))]
    for name in (*_OF_THE_SPAN, *_OF_THE_VERDICT):
        if name in DERIVED_BITS:
            columns.append(_final(calls.column(name), verdicts.column(_SUPPLIED[name])))
        else:
            columns.append((verdicts if name in _OF_THE_VERDICT else calls).column(name))
    return pa.Table.from_arrays(columns, names=["revision", *_OF_THE_SPAN, *_OF_THE_VERDICT])


def inline_verdicts(rows: pa.Table) -> pa.Table:
    """`VERDICT_SCHEMA` of stored rows as their segment has it."""
    columns = [plain_column(rows.column(name)) for name in VERDICT_SCHEMA.names]
    return pa.Table.from_arrays(columns, schema=VERDICT_SCHEMA)
