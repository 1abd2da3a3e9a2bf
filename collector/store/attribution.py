"""Keeps `_ledger.call_log` true to whole traces, whatever order their spans arrive in.

For the traces that a batch touches and that hold a model call, the stored spans are read back, the attribution stage
judges the whole trace, and only rows whose verdict changed are written. Traces that carry the same provider response
id are judged together, because one of their calls is a second record of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.call_rows import VERDICT_COLUMNS, call_rows
from collector.store.compare import differs
from collector.store.known_traces import BatchTraces, Key, KnownTraces, Responses
from collector.store.rows import plain, skeleton
from collector.store.seq_index import ABSENT
from collector.store.statements import fetch, query, registered

Attribute = Callable[[pa.Table], pa.Table]
"""`SKELETON_SCHEMA` of whole traces -> `ATTRIBUTION_SCHEMA` of their calls and wrappers."""

_RESPONSE_ROUNDS = 8
"""Traces chained by shared response ids; more than two in a chain is already strange."""

_NOT_IN_SKELETON = [
    "trace_state",
    "status_message",
    "scope_version",
    "events",
    "links",
    "dropped_attributes_count",
    "attributes",
    "resource",
]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one batch meant for attribution."""

    responses: Responses | None  # to be remembered after the commit; None: no call among the new spans
    written: int = 0
    replaced: int = 0  # of those written


@dataclass(frozen=True, slots=True)
class _Whole:
    """Whole traces: their new and stored spans, and from which seq on the stored ones begin."""

    spans: pa.Table
    keys: Collection[Key]
    earliest_seq: int | None  # None: nothing is stored


def judge(
    connection: Any, known: KnownTraces, new: pa.Table, traces: BatchTraces, attribute: Attribute, revision: int
) -> Judged:
    """Judge the traces of `new` (rows of `_ledger.span_log`, deduplicated, not yet stored) and write what changed."""
    first_seq, had_call = known.states(traces.hashes)
    relevant = traces.has_call | had_call
    if not relevant.any():
        return Judged(None)
    spans = new.drop_columns(_NOT_IN_SKELETON)
    if not relevant.all():
        spans = spans.filter(pa.array(relevant[traces.of_span]))
    responses = Responses.of(spans) if traces.has_call.any() else None
    stored = {traces.keys[i]: int(first_seq[i]) for i in np.flatnonzero(relevant & (first_seq != ABSENT))}
    keys = {traces.keys[i] for i in np.flatnonzero(relevant)}
    whole = _whole(connection, known, spans, keys, stored, responses)
    written, replaced = _write(connection, whole, attribute, revision)
    return Judged(responses, written, replaced)


def _whole(
    connection: Any,
    known: KnownTraces,
    new: pa.Table,
    keys: set[Key],
    stored: dict[Key, int],
    responses: Responses | None,
) -> _Whole:
    """The new spans with the stored ones of their traces, and of traces that share a response id, and so on."""
    tables, to_look_at = [new], [] if responses is None else [responses]
    earliest: int | None = None
    for _ in range(_RESPONSE_ROUNDS):
        if stored:
            earliest = min(min(stored.values()), earliest if earliest is not None else min(stored.values()))
            tables.append(_stored_spans(connection, stored))
            to_look_at.append(Responses.of(tables[-1]))
        stored = _sharing(connection, known, to_look_at, keys)
        if not stored:
            break
        keys.update(stored)
        to_look_at = []
    spans = tables[0] if len(tables) == 1 else pa.concat_tables([plain(table) for table in tables])
    return _Whole(spans, keys, earliest)


def _stored_spans(connection: Any, first_seq_of: dict[Key, int]) -> pa.Table:
    with registered(connection, touched=_key_table(first_seq_of)):
        return fetch(connection, query("stored_spans"), [min(first_seq_of.values())])


def _sharing(connection: Any, known: KnownTraces, found: list[Responses], keys: set[Key]) -> dict[Key, int]:
    """First seq of the stored traces, not among `keys`, that carry a response id of `found`."""
    wanted = [responses.table.filter(pa.array(known.shared(responses))) for responses in found]
    if not any(table.num_rows for table in wanted):
        return {}
    with registered(connection, wanted_response=pa.concat_tables(wanted)):
        others = fetch(connection, query("traces_of_responses"))
    traces = BatchTraces.of(others.append_column("call_kind", pa.nulls(others.num_rows, pa.string())))
    first_seq, _ = known.states(traces.hashes)
    pairs = zip(traces.keys, first_seq.tolist(), strict=True)
    return {key: max(seq, 0) for key, seq in pairs if key not in keys}


def _key_table(keys: Collection[Key]) -> pa.Table:
    ordered = sorted(keys)
    return pa.table({"org_id": [org_id for org_id, _ in ordered], "trace_id": [trace_id for _, trace_id in ordered]})


def _write(connection: Any, whole: _Whole, attribute: Attribute, revision: int) -> tuple[int, int]:
    """(rows written, how many of them took the place of another)."""
    rows = call_rows(whole.spans, attribute(skeleton(whole.spans)), revision)
    replaced = 0
    if whole.earliest_seq is not None:
        with registered(connection, touched=_key_table(whole.keys)):
            stored = fetch(connection, query("stored_calls"), [whole.earliest_seq])
        if stored.num_rows:
            rows = rows.filter(pa.array(_changed(rows, stored)))
            replaced = _remove_replaced(connection, rows, stored, revision)
    if rows.num_rows:
        with registered(connection, call_row=rows):
            connection.execute("INSERT INTO _ledger.call_log SELECT * FROM call_row")
    return rows.num_rows, replaced


def _changed(rows: pa.Table, stored: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows are not stored, or stored with another verdict."""
    places = pc.index_in(rows.column("seq"), value_set=stored.column("seq").combine_chunks())
    before = stored.take(pc.fill_null(places, 0))
    changed = differs(rows, before, VERDICT_COLUMNS)
    changed |= pc.is_null(places).to_numpy()
    return changed


def _remove_replaced(connection: Any, rows: pa.Table, stored: pa.Table, revision: int) -> int:
    """Delete the stored form of `rows` and note it for sealed segments. How many there were."""
    replaced = stored.select(["seq", "revision"])
    replaced = replaced.filter(pc.is_in(replaced.column("seq"), value_set=rows.column("seq").combine_chunks()))
    if replaced.num_rows:
        bounds = pc.min_max(replaced.column("seq")).as_py()
        with registered(connection, call_row=replaced):
            connection.execute(query("retract_calls"), [revision])
            connection.execute(query("delete_retracted"), [bounds["min"], bounds["max"]])
    count: int = replaced.num_rows
    return count
