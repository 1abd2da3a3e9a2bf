"""Keeps `_ledger.call_log` true to whole traces, whatever order their spans arrive in.

For the traces that a batch touches and that hold a model call, the stored spans are read back, the attribution stage
judges the whole trace, and only rows whose verdict changed are written. Traces that carry the same provider response
id are judged together, because one of their calls is a second record of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.known_traces import BatchTraces, KnownTraces
from collector.store.rows import skeleton
from collector.store.seq_index import ABSENT, Hashes
from collector.store.statements import fetch, query

Attribute = Callable[[pa.Table], pa.Table]
"""`SKELETON_SCHEMA` of whole traces -> `ATTRIBUTION_SCHEMA` of their calls and wrappers."""

_RESPONSE_ROUNDS = 8
"""Traces chained by shared response ids; more than two in a chain is already strange."""

_NOT_IN_SKELETON = (
    "trace_state",
    "status_message",
    "scope_version",
    "events",
    "links",
    "dropped_attributes_count",
    "attributes",
    "resource",
)


@dataclass(slots=True)
class Touched:
    """What one batch means for attribution; kept to update `KnownTraces` after the commit."""

    traces: BatchTraces
    response_hashes: Hashes
    response_traces: Hashes
    call_rows_written: int = 0
    call_rows_replaced: int = 0
    keys: set[tuple[str, str]] = field(default_factory=set)
    earliest_seq: int | None = None  # of stored spans that were read back


def attribute_new(connection: Any, known: KnownTraces, new: pa.Table, attribute: Attribute, revision: int) -> Touched:
    """Judge the traces of `new` (rows of `_ledger.span_log`, already deduplicated) and write what changed."""
    with _registered(connection, new_span=new):
        traces = _batch_traces(fetch(connection, query("batch_traces")))
    touched = Touched(traces, np.empty(0, np.uint64), np.empty(0, np.uint64))
    first_seq, had_call = known.states(traces)
    relevant = np.flatnonzero(traces.has_call | had_call)
    if not len(relevant):
        return touched
    touched.keys = {(traces.org_ids[i], traces.trace_ids[i]) for i in relevant}
    spans = [_of_relevant_traces(new, touched.keys, everything=len(relevant) == len(traces.hashes))]
    pairs = _response_pairs(connection, spans[0])
    touched.response_hashes, touched.response_traces = _hashes(pairs)
    stored = [i for i in relevant if first_seq[i] != ABSENT]
    if stored:
        keys = {(traces.org_ids[i], traces.trace_ids[i]) for i in stored}
        spans.append(_stored_spans(connection, touched, keys, int(first_seq[stored].min())))
        pairs = pa.concat_tables([pairs, _response_pairs(connection, spans[-1])])
    spans.extend(_sharing_a_response(connection, known, touched, pairs))
    _write_verdicts(connection, touched, pa.concat_tables(spans), attribute, revision)
    return touched


def remember(known: KnownTraces, touched: Touched) -> None:
    """Call after the commit."""
    known.remember(touched.traces)
    known.remember_responses(touched.response_hashes, touched.response_traces)


@contextmanager
def _registered(connection: Any, **tables: pa.Table) -> Iterator[None]:
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)


def _batch_traces(table: pa.Table) -> BatchTraces:
    return BatchTraces(
        table.column("org_id").to_pylist(),
        table.column("trace_id").to_pylist(),
        table.column("trace_hash").to_numpy(),
        table.column("has_call").to_numpy(),
        table.column("first_seq").to_numpy(),
    )


def _of_relevant_traces(new: pa.Table, keys: set[tuple[str, str]], *, everything: bool) -> pa.Table:
    """The new spans of the relevant traces, as the columns and plain types that the store reads back."""
    new = new.drop_columns(list(_NOT_IN_SKELETON))
    if not everything:
        wanted = pc.is_in(new.column("trace_id"), value_set=pa.array([trace_id for _, trace_id in keys]))
        new = new.filter(wanted)
    plain = [
        new.column(name).cast(new.schema.field(name).type.value_type)
        if pa.types.is_dictionary(new.schema.field(name).type)
        else new.column(name)
        for name in new.column_names
    ]
    return pa.Table.from_arrays(plain, names=new.column_names)


def _stored_spans(connection: Any, touched: Touched, keys: set[tuple[str, str]], first_seq: int) -> pa.Table:
    touched.earliest_seq = first_seq if touched.earliest_seq is None else min(first_seq, touched.earliest_seq)
    with _registered(connection, touched=_key_table(keys)):
        return fetch(connection, query("stored_spans"), [first_seq])


def _key_table(keys: set[tuple[str, str]]) -> pa.Table:
    ordered = sorted(keys)
    return pa.table({"org_id": [org_id for org_id, _ in ordered], "trace_id": [trace_id for _, trace_id in ordered]})


def _response_pairs(connection: Any, spans: pa.Table) -> pa.Table:
    with _registered(connection, new_span=spans):
        return fetch(connection, query("batch_response_ids"))


def _hashes(pairs: pa.Table) -> tuple[Hashes, Hashes]:
    return pairs.column("response_hash").to_numpy(), pairs.column("trace_hash").to_numpy()


def _sharing_a_response(connection: Any, known: KnownTraces, touched: Touched, pairs: pa.Table) -> list[pa.Table]:
    """Stored spans of further traces that carry a response id of the traces at hand, and of their likes in turn."""
    found: list[pa.Table] = []
    for _ in range(_RESPONSE_ROUNDS):
        shared = known.shared_responses(*_hashes(pairs))
        if not shared.any():
            break
        wanted = pairs.filter(pa.array(shared)).select(["org_id", "response_id", "start_time_ns"])
        with _registered(connection, wanted_response=wanted):
            others = fetch(connection, query("traces_of_responses"))
        first_seq = known.first_seq_of(others.column("trace_hash").to_numpy())
        keys = zip(others.column("org_id").to_pylist(), others.column("trace_id").to_pylist(), strict=True)
        further = {key: int(seq) for key, seq in zip(keys, first_seq, strict=True) if key not in touched.keys}
        if not further:
            break
        touched.keys.update(further)
        found.append(_stored_spans(connection, touched, set(further), min(further.values())))
        pairs = _response_pairs(connection, found[-1])
    return found


def _write_verdicts(connection: Any, touched: Touched, spans: pa.Table, attribute: Attribute, revision: int) -> None:
    verdicts = attribute(skeleton(spans))
    with _registered(connection, verdict=verdicts, span=spans):
        rows = fetch(connection, query("call_rows"), [revision])
    if touched.earliest_seq is not None:
        with _registered(connection, touched=_key_table(touched.keys)):
            stored = fetch(connection, query("stored_calls"), [touched.earliest_seq])
        if stored.num_rows:
            with _registered(connection, call_row=rows, stored_call=stored):
                rows = fetch(connection, query("changed_call_rows"))
            _remove_replaced(connection, touched, rows, stored, revision)
    if rows.num_rows:
        with _registered(connection, call_row=rows):
            connection.execute("INSERT INTO _ledger.call_log SELECT * FROM call_row")
    touched.call_rows_written = rows.num_rows


def _remove_replaced(connection: Any, touched: Touched, rows: pa.Table, stored: pa.Table, revision: int) -> None:
    replaced = rows.filter(pc.is_in(rows.column("seq"), value_set=stored.column("seq").combine_chunks()))
    touched.call_rows_replaced = replaced.num_rows
    if not replaced.num_rows:
        return
    bounds = pc.min_max(replaced.column("seq")).as_py()
    with _registered(connection, call_row=replaced.select(["seq"])):
        connection.execute(query("retract_calls"), [revision, bounds["min"], bounds["max"]])
        connection.execute(query("delete_retracted"), [bounds["min"], bounds["max"]])
