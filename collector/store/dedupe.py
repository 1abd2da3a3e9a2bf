"""Which spans of a batch are new: once per (org, trace id, span id), the first one wins.

Only spans of traces that were seen before can be stored already. Resent spans have the start time of the first
sending, so those are searched only within their start times: exact for resends, and DuckDB's zone maps skip the rest
of the history. A batch with a few old spans is searched in several narrow ranges instead of one wide one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.compare import differs
from collector.store.statements import fetch, query, registered

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


def sort_out(connection: Any, batch: pa.Table, seen: npt.NDArray[np.bool_]) -> Sorted:
    """Compare the rows of `batch` (LEDGER_SCHEMA) with each other and with `_ledger.span_log`.

    `seen`: whether a span of the row's trace may be stored.
    """
    first, first_of = _first_in_batch(batch)
    rows = np.arange(batch.num_rows, dtype=np.int64)
    stored = _stored(connection, batch, rows[seen])
    is_new = first.copy()
    is_new[stored[:, 0]] = False
    duplicates = rows[~is_new]
    changed = np.zeros(batch.num_rows, dtype=bool)
    if len(duplicates):
        repeats = rows[~first]
        changed[repeats] = differs(batch.take(repeats), batch.take(first_of[repeats]), _CONTENT)
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


def _stored(connection: Any, batch: pa.Table, rows: Rows) -> Rows:
    """(row of the batch, seq of the stored span) for those of `rows` whose key is stored."""
    if not len(rows):
        return np.empty((0, 2), dtype=np.int64)
    batch = batch.select([*_KEY, "start_time_ns"])
    keys = (batch if len(rows) == batch.num_rows else batch.take(rows)).append_column("row", pa.array(rows))
    ranges = _ranges(keys.column("start_time_ns").to_numpy())
    with registered(connection, batch_key=keys):
        found = [fetch(connection, query("stored_keys"), [low, high]) for low, high in ranges]
    return np.concatenate(
        [np.stack([table.column(0).to_numpy(), table.column(1).to_numpy()], axis=1) for table in found]
    )


def _ranges(starts: Rows) -> list[tuple[int, int]]:
    """At most `_RANGES` (low, high) that hold all start times, cut at the widest gaps."""
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
    with registered(connection, again=again):
        changed = fetch(connection, query("changed_resends"), [int(stored[:, 1].min()), int(stored[:, 1].max())])
    return changed.column(0).to_numpy().astype(np.int64)  # type: ignore[no-any-return]
