"""Which spans of a batch are new: once per (org, trace id, span id), the first one wins.

Resent spans have the start time of the first sending, so stored spans are searched only within the start times of
the batch: exact for resends, and DuckDB's zone maps skip the rest of the history. A batch with a few old spans is
searched in several narrow ranges instead of one wide one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.statements import fetch, query

_KEY = ["org_id", "trace_id", "span_id"]
_CONTENT = (
    "name",
    "end_time_ns",
    "status_code",
    "attributes",
    "events",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_reasoning_tokens",
    "usage_json",
)
"""What makes a resend different. Price and owners are ours to derive, so they are no content."""

_RANGE_GAP_NS = 60 * 10**9
_RANGES = 4

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Row numbers of a batch: every row is in `new` or in `duplicates`; `changed` are duplicates that differ."""

    new: Rows
    duplicates: Rows
    changed: Rows


def sort_out(connection: Any, batch: pa.Table) -> Sorted:
    """Compare the rows of `batch` (LEDGER_SCHEMA) with each other and with `_ledger.span_log`."""
    first, first_of = _first_in_batch(batch)
    rows = np.arange(batch.num_rows, dtype=np.int64)
    stored = _stored(connection, batch)
    is_new = first.copy()
    is_new[stored[:, 0]] = False
    duplicates = rows[~is_new]
    changed = np.zeros(batch.num_rows, dtype=bool)
    if len(duplicates):
        repeats = rows[~first]
        changed[repeats] = _differs(batch.take(repeats), batch.take(first_of[repeats]))
        if len(stored):
            changed[_changed_since_stored(connection, batch, stored)] = True
    return Sorted(rows[is_new], duplicates, rows[changed])


def _first_in_batch(batch: pa.Table) -> tuple[npt.NDArray[np.bool_], Rows]:
    """Whether each row is the first with its key, and the row number of that first one."""
    count = batch.num_rows
    rows = np.arange(count, dtype=np.int64)
    if pc.count_distinct(batch.column("span_id")).as_py() == count:
        return np.ones(count, dtype=bool), rows
    keys = batch.select(_KEY).append_column("row", pa.array(rows))
    keys = keys.set_column(0, "org_id", keys.column("org_id").cast(pa.string()))
    groups = keys.group_by(_KEY, use_threads=False).aggregate([("row", "min"), ("row", "list")])
    lists = groups.column("row_list").combine_chunks()
    first_of = np.empty(count, dtype=np.int64)
    first_of[lists.flatten().to_numpy()] = np.repeat(
        groups.column("row_min").to_numpy(), pc.list_value_length(lists).to_numpy()
    )
    return first_of == rows, first_of


def _differs(left: pa.Table, right: pa.Table) -> npt.NDArray[np.bool_]:
    different = np.zeros(left.num_rows, dtype=bool)
    for name in _CONTENT:
        ours, theirs = (_plain(table.column(name)) for table in (left, right))
        unequal = pc.not_equal(pc.is_null(ours), pc.is_null(theirs))
        unequal = pc.or_(unequal, pc.fill_null(pc.not_equal(ours, theirs), False))
        different |= unequal.to_numpy()
    return different


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _stored(connection: Any, batch: pa.Table) -> Rows:
    """(row of the batch, seq of the stored span) for every row whose key is stored."""
    keys = batch.select([*_KEY, "start_time_ns"]).append_column("row", pa.array(np.arange(batch.num_rows)))
    keys = keys.set_column(3, "start_time", keys.column("start_time_ns").cast(pa.timestamp("ns")))
    connection.register("batch_key", keys)
    try:
        ranges = _ranges(batch.column("start_time_ns").to_numpy())
        found = [fetch(connection, query("stored_keys"), [low, high]) for low, high in ranges]
    finally:
        connection.unregister("batch_key")
    pairs = [np.stack([table.column(0).to_numpy(), table.column(1).to_numpy()], axis=1) for table in found]
    return np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)


def _ranges(starts: Rows) -> list[tuple[int, int]]:
    """At most `_RANGES` (low, high) that hold all start times, cut at the widest gaps."""
    if not len(starts):
        return []
    ordered = np.sort(starts)
    gaps = np.diff(ordered)
    wide = np.flatnonzero(gaps > _RANGE_GAP_NS)
    cuts = np.sort(wide[np.argsort(gaps[wide])[::-1][: _RANGES - 1]])
    lows = [0, *(cuts + 1).tolist()]
    highs = [*cuts.tolist(), len(ordered) - 1]
    return [(int(ordered[low]), int(ordered[high])) for low, high in zip(lows, highs, strict=True)]


def _changed_since_stored(connection: Any, batch: pa.Table, stored: Rows) -> Rows:
    again = batch.take(stored[:, 0]).select(list(_CONTENT))
    again = again.append_column("row", pa.array(stored[:, 0])).append_column("seq", pa.array(stored[:, 1]))
    connection.register("again", again)
    try:
        low, high = int(stored[:, 1].min()), int(stored[:, 1].max())
        changed = fetch(connection, query("changed_resends"), [low, high])
    finally:
        connection.unregister("again")
    return changed.column(0).to_numpy().astype(np.int64)  # type: ignore[no-any-return]
