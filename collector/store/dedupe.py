"""Which spans of a batch are new: once per (org, trace id, span id), the first one wins.

Only spans of traces that were seen before can be stored already. Where a trace's place is not known any more, a resend
is found by its start time, which is that of the first sending: each span by its own, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import MARKS
from collector.store.catalog import Catalog
from collector.store.compare import differs
from collector.store.hashes import Hashes
from collector.store.known_traces import Places
from collector.store.rows import NAME_OF_STORED, own, without_estimates
from collector.store.whole_attributes import with_whole_attributes

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

_COMPARED = list(dict.fromkeys((*_CONTENT, *MARKS, "flags")))
"""What comparing reads: owners too, for attributes refer to them, and flags: they say which tokens are estimated."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Changed:
    """A row of the batch that is a duplicate and says something else than the first one."""

    row: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Row numbers of a batch: every row is in `new` or in `duplicates`; `changed` are duplicates that differ."""

    new: Rows
    duplicates: Rows
    changed: tuple[Changed, ...]


def sort_out(catalog: Catalog, batch: pa.Table, spans: Hashes, places: Places, covered_from: int) -> Sorted:
    """Compare the rows of `batch` (LEDGER_SCHEMA) with each other and with what is stored.

    `spans` is the hash of each row, `places` the place of each row's trace; for `covered_from` see KnownTraces.
    """
    first, first_of = _first_in_batch(batch, spans)
    rows = np.arange(batch.num_rows, dtype=np.int64)
    is_stored = np.zeros(batch.num_rows, np.bool_)
    changed: list[Changed] = []
    for again, seqs in _candidates(catalog, batch, spans, places, covered_from):
        stored = _content(catalog, seqs)
        same = _same_keys(batch.take(pa.array(again)), stored)
        if not same.all():  # two spans with one hash
            again, stored = again[same], stored.filter(pa.array(same))
        is_stored[again] = True
        changed += _different(batch, again, stored)
    repeats = rows[~first & ~is_stored]
    if len(repeats):
        changed += _different(batch, repeats, batch.take(pa.array(first_of[repeats])))
    return Sorted(rows[first & ~is_stored], rows[~first | is_stored], tuple(changed))


def _first_in_batch(batch: pa.Table, spans: Hashes) -> tuple[npt.NDArray[np.bool_], Rows]:
    """Whether each row is the first with its key, and the row number of that first one."""
    count = batch.num_rows
    rows = np.arange(count, dtype=np.int64)
    ordered = np.sort(spans)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.ones(count, dtype=bool), rows
    _, first_row, place = np.unique(spans, return_index=True, return_inverse=True)
    first_of = first_row[place]
    repeats = np.flatnonzero(first_of != rows)
    same = _same_keys(batch.take(pa.array(repeats)), batch.take(pa.array(first_of[repeats])))
    if not same.all():  # two spans with one hash
        first_with: dict[tuple[object, ...], int] = {}
        shared = np.flatnonzero(np.isin(spans, spans[repeats[~same]]))
        for row, key in zip(shared.tolist(), batch.select(_KEY).take(pa.array(shared)).to_pylist(), strict=True):
            first_of[row] = first_with.setdefault(tuple(key.values()), row)
    return first_of == rows, first_of


def _candidates(
    catalog: Catalog, batch: pa.Table, spans: Hashes, places: Places, covered_from: int
) -> Iterator[tuple[Rows, Rows]]:
    """Rows, and beside each the seq of a stored span with its hash: all first ones, then all second ones, and so on."""
    if not covered_from and not places.stored.any():
        return
    starts_ns = batch.column("start_time_ns").to_numpy()
    hashes, seqs = catalog.seqs_of_spans(spans, starts_ns, places, covered_from)
    seqs, once = np.unique(seqs, return_index=True)
    order = np.argsort(hashes[once], kind="stable")
    hashes, seqs = hashes[once][order], seqs[order]
    at, end = np.searchsorted(hashes, spans, "left"), np.searchsorted(hashes, spans, "right")
    while len(rows := np.flatnonzero(at < end)):
        yield rows, seqs[at[rows]]
        at += 1


def _content(catalog: Catalog, seqs: Rows) -> pa.Table:
    """Key and content of stored spans, side by side with `seqs`, named as in a batch."""
    wanted, place = np.unique(seqs, return_inverse=True)
    names = [*_KEY, *_COMPARED]
    found = own(catalog.content(wanted, [*(NAME_OF_STORED.get(name, name) for name in names), "derived"]))
    found = found.rename_columns(["seq", *names])
    order = np.argsort(found.column("seq").to_numpy())
    at = found.schema.get_field_index("end_time_ns")
    found = found.set_column(at, "end_time_ns", found.column(at).cast(pa.int64()))
    return found.take(pa.array(order[place]))


def _different(batch: pa.Table, rows: Rows, first: pa.Table) -> Iterable[Changed]:
    """Those of `rows` whose content is not that of the row of `first` beside it."""
    again = without_estimates(with_whole_attributes(batch.select(_COMPARED).take(pa.array(rows))))
    first = without_estimates(with_whole_attributes(first.select(_COMPARED)))
    suspects = np.flatnonzero(differs(again, first, _CONTENT))
    if not len(suspects):
        return []
    at = pa.array(suspects)
    ours, theirs = again.take(at), first.take(at)
    columns = {name: differs(ours, theirs, [name]) for name in _CONTENT}
    return [
        Changed(int(rows[row]), tuple(name for name in _CONTENT if columns[name][place]))
        for place, row in enumerate(suspects.tolist())
    ]


def _same_keys(ours: pa.Table, theirs: pa.Table) -> npt.NDArray[np.bool_]:
    return ~differs(ours, theirs, _KEY)
