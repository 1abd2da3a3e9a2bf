"""Keeps `_ledger.call_log` true to whole traces, whatever order their spans arrive in.

For the traces that a batch touches and that hold a model call, the stored spans are read back, the attribution stage
judges the whole trace, and only rows whose verdict changed are written. Traces that carry the same provider response
id, or the same root call, are judged together, because one of their calls is a second record of the other.
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
from collector.store.known_traces import BatchTraces, Key, KnownTraces, Links
from collector.store.rows import plain, skeleton
from collector.store.seq_index import ABSENT
from collector.store.statements import fetch, query, registered

Attribute = Callable[[pa.Table], pa.Table]
"""`SKELETON_SCHEMA` of whole traces -> `ATTRIBUTION_SCHEMA` of their calls and wrappers."""

_ROUNDS = 6
"""Traces chained by what they share. A response id chains two; parallel identical root calls may chain any number."""

_JUDGED_ROUNDS = 3
"""Of a chain that does not end, so many links are judged; the others are read because they bear on these."""

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

    links: Links | None  # to be remembered after the commit; None: no call among the new spans
    written: int = 0
    replaced: int = 0  # of those written


@dataclass(frozen=True, slots=True)
class _Whole:
    """Whole traces: their new and stored spans, and from which seq on the stored ones begin."""

    spans: pa.Table
    keys: Collection[Key]
    judged: Collection[Key]  # those of `keys` whose verdicts are certain
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
    links = Links.of(spans) if traces.has_call.any() else None
    stored = {traces.keys[i]: int(first_seq[i]) for i in np.flatnonzero(relevant & (first_seq != ABSENT))}
    keys = {traces.keys[i] for i in np.flatnonzero(relevant)}
    whole = _whole(connection, known, spans, keys, stored, links)
    written, replaced = _write(connection, whole, attribute, revision)
    return Judged(links, written, replaced)


def _whole(
    connection: Any,
    known: KnownTraces,
    new: pa.Table,
    keys: set[Key],
    stored: dict[Key, int],
    links: Links | None,
) -> _Whole:
    """The new spans with the stored ones of their traces, and of traces that may record the same call, and so on."""
    tables, to_look_at = [new], [] if links is None else [links]
    earliest: int | None = None
    certain = keys
    for reached in range(_ROUNDS):
        if stored:
            keys = keys | stored.keys()
            earliest = min(min(stored.values()), earliest if earliest is not None else min(stored.values()))
            tables.append(_stored_spans(connection, stored))
            to_look_at.append(Links.of(tables[-1]))
        if reached <= _JUDGED_ROUNDS:
            certain = keys
        stored = _sharing(connection, known, to_look_at, keys)
        if not stored:
            certain = keys
            break
        to_look_at = []
    spans = tables[0] if len(tables) == 1 else pa.concat_tables([plain(table) for table in tables])
    return _Whole(spans, keys, certain, earliest)


def _stored_spans(connection: Any, first_seq_of: dict[Key, int]) -> pa.Table:
    with registered(connection, touched=_key_table(first_seq_of)):
        return fetch(connection, query("stored_spans"), [min(first_seq_of.values())])


def _sharing(connection: Any, known: KnownTraces, found: list[Links], keys: Collection[Key]) -> dict[Key, int]:
    """First seq of the stored traces, not among `keys`, that may record a call of `found` again."""
    others: list[pa.Table] = []
    responses = [each.responses.table.filter(pa.array(known.shared(each.responses))) for each in found]
    if any(table.num_rows for table in responses):
        with registered(connection, wanted_response=pa.concat_tables(responses)):
            others.append(fetch(connection, query("traces_of_responses")))
    roots = [each.roots.wanted(known.roots.may_pair(each.roots)) for each in found]
    if any(table.num_rows for table in roots):
        wanted = pa.concat_tables(roots)
        period = [pc.min(wanted.column("from_ns")).as_py(), pc.max(wanted.column("to_ns")).as_py()]
        with registered(connection, wanted_root=wanted):
            others.append(fetch(connection, query("traces_of_root_calls"), period))
    if not others:
        return {}
    table = pa.concat_tables(others)
    traces = BatchTraces.of(table.append_column("call_kind", pa.nulls(table.num_rows, pa.string())))
    first_seq, _ = known.states(traces.hashes)
    pairs = zip(traces.keys, first_seq.tolist(), strict=True)
    return {key: max(seq, 0) for key, seq in pairs if key not in keys}


def _key_table(keys: Collection[Key]) -> pa.Table:
    ordered = sorted(keys)
    return pa.table({"org_id": [org_id for org_id, _ in ordered], "trace_id": [trace_id for _, trace_id in ordered]})


def _write(connection: Any, whole: _Whole, attribute: Attribute, revision: int) -> tuple[int, int]:
    """(rows written, how many of them took the place of another)."""
    rows = call_rows(whole.spans, attribute(skeleton(whole.spans)), revision)
    if len(whole.judged) < len(whole.keys):
        ids = zip(rows.column("org_id").to_pylist(), rows.column("trace_id").to_pylist(), strict=True)
        rows = rows.filter(pa.array([key in whole.judged for key in ids]))
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
