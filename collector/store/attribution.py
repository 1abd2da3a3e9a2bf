"""Keeps the verdicts on calls true to whole traces, whatever order their spans arrive in.

For the traces that a batch touches and that hold a model call, the stored spans are read back, the attribution stage
judges the whole trace, and only verdicts that changed are written: beside the new rows, or as amendments of stored
ones. Traces that carry the same provider response id, or the same root call, are judged together, because one of their
calls is a second record of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.store.call_rows import (
    NOT_JUDGED,
    VERDICT_COLUMNS,
    VERDICT_SCHEMA,
    call_rows,
    verdict_places,
    with_verdicts,
)
from collector.store.catalog import Catalog
from collector.store.compare import differs
from collector.store.hashes import Hashes, trace_hashes
from collector.store.known_traces import BatchTraces, KnownTraces, Links, Places
from collector.store.large_traces import LARGE_SPANS, LargeTraces, PutOff
from collector.store.recent import is_among
from collector.store.rows import NOT_KEPT, RECENT_SCHEMA, conform, one_chunk, own, plain, skeleton

Attribute = Callable[[pa.Table], pa.Table]
"""`SKELETON_SCHEMA` of whole traces -> `ATTRIBUTION_SCHEMA` of their calls and wrappers."""

_ROUNDS = 6
"""Traces chained by what they share. A response id chains two; parallel identical root calls may chain any number."""

_JUDGED_ROUNDS = 3
"""Of a chain that does not end, so many links are judged; the others are read because they bear on these."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one batch meant for attribution."""

    rows: pa.Table  # ROW_SCHEMA: the new spans, and what is said of them
    amendments: pa.Table | None  # rows of `_ledger.amendment`, of stored calls
    before: pa.Table | None  # VERDICT_SCHEMA: what was said of these calls until now
    links: Links | None  # to be remembered after the commit; None: no call among the new spans
    put_off: PutOff | None = None
    sizes: Mapping[int, int] = field(default_factory=dict)
    """Spans of the traces that are large, or were put off before, and that have been judged whole now."""

    @property
    def verdicts(self) -> pa.Table:
        """The amendments as VERDICT_SCHEMA."""
        if self.amendments is None:
            return VERDICT_SCHEMA.empty_table()
        return conform(self.amendments, VERDICT_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Whole:
    """Whole traces: their new spans, then their stored ones, as the spans themselves say it."""

    spans: pa.Table
    new: int
    stored: pa.Table  # the stored ones as their segments have them, with their verdicts
    certain: Hashes | None  # traces (ascending) whose verdicts are; None: all


class Judge:
    """Judges the traces of one batch after the other."""

    def __init__(self, connection: Any, catalog: Catalog, known: KnownTraces, large: LargeTraces) -> None:
        self._connection = connection
        self._catalog = catalog
        self._known = known
        self._large = large

    def judge(self, new: pa.Table, traces: BatchTraces, attribute: Attribute, revision: int) -> Judged:
        """Judge the traces of `new` (spans of ROW_SCHEMA without verdicts, deduplicated, not yet stored)."""
        places = self._known.places(traces.hashes)
        relevant = traces.has_call | places.has_call
        if not relevant.any():
            return Judged(with_verdicts(new, None, np.full(new.num_rows, NOT_JUDGED), revision), None, None, None)
        rows = np.flatnonzero(relevant[traces.of_span])
        spans = new.drop_columns(list(NOT_KEPT))
        if len(rows) < new.num_rows:
            spans = spans.take(pa.array(rows))
        links = Links.of(spans) if traces.has_call.any() else None
        put_off = self._large.put_off(traces, new)
        read = relevant & places.stored
        if put_off is not None:
            read &= ~is_among(traces.hashes, put_off.hashes)
        whole = self._whole(spans, traces.hashes[relevant], places.taken(read), links)
        verdicts = attribute(skeleton(whole.spans))
        at = verdict_places(whole.spans, verdicts)
        of_new = np.full(new.num_rows, NOT_JUDGED, dtype=np.int64)
        of_new[rows] = at[: whole.new]
        return Judged(
            with_verdicts(new, verdicts, of_new, revision),
            *self._of_stored(whole, verdicts, at, revision),
            links,
            put_off,
            self._sizes(whole, put_off),
        )

    def judge_again(self, traces: Hashes, attribute: Attribute, revision: int) -> Judged:
        """Judge stored traces (ascending) as a whole, with what is related to them."""
        places = self._known.places(traces)
        nothing = RECENT_SCHEMA.empty_table()
        whole = self._whole(nothing, traces, places.taken(places.stored), None)
        verdicts = attribute(skeleton(whole.spans))
        stored = self._of_stored(whole, verdicts, verdict_places(whole.spans, verdicts), revision)
        sizes = {**dict.fromkeys(traces.tolist(), 0), **self._sizes(whole, None)}
        return Judged(nothing, *stored, None, None, sizes)

    def _sizes(self, whole: _Whole, put_off: PutOff | None) -> dict[int, int]:
        waiting = self._large.waiting
        if whole.spans.num_rows < LARGE_SPANS and not waiting:
            return {}
        hashes = trace_hashes(*(one_chunk(whole.spans.column(name)) for name in ("org_id", "trace_id")))
        later = set() if put_off is None else set(put_off.hashes.tolist())
        traces, spans = np.unique(hashes, return_counts=True)
        wanted = spans >= LARGE_SPANS
        if waiting:
            wanted |= np.isin(traces, np.fromiter(waiting, np.uint64, len(waiting)))
        sizes = zip(traces[wanted].tolist(), spans[wanted].tolist(), strict=True)
        return {trace: size for trace, size in sizes if trace not in later and self._is_sure(whole, trace)}

    def _is_sure(self, whole: _Whole, trace: int) -> bool:
        return whole.certain is None or trace in whole.certain

    def _whole(self, new: pa.Table, touched: Hashes, stored: Places, links: Links | None) -> _Whole:
        """The new spans with the stored ones of their traces, of traces that may record the same call, and so on."""
        tables, stored_rows, to_look_at = [new], [RECENT_SCHEMA.empty_table()], [] if links is None else [links]
        traces, certain = touched, touched
        for reached in range(_ROUNDS):
            if len(stored.hashes):
                traces = np.union1d(traces, stored.hashes)
                stored_rows.append(self._catalog.spans_of(stored))
                tables.append(own(stored_rows[-1]))
                to_look_at.append(Links.of(tables[-1]))
            if reached <= _JUDGED_ROUNDS:
                certain = traces
            stored = self._sharing(to_look_at, traces)
            if not len(stored.hashes):
                certain = traces
                break
            to_look_at = []
        spans = tables[0] if len(tables) == 1 else _joined(tables)
        sure = None if len(certain) == len(traces) else certain
        return _Whole(spans, new.num_rows, pa.concat_tables(stored_rows), sure)

    def _sharing(self, found: list[Links], traces: Hashes) -> Places:
        """The stored traces, not among `traces`, that may record a call of `found` again."""
        others: list[Hashes] = [np.empty(0, np.uint64)]
        for each in found:
            others.append(self._known.elsewhere(each.responses))
            wanted = self._known.roots.may_pair(each.roots)
            if wanted.any():
                others.append(self._catalog.traces_of_roots(each.roots.taken(wanted)))
        places = self._known.places(np.setdiff1d(np.concatenate(others), traces))
        return places.taken(places.stored)

    def _of_stored(
        self, whole: _Whole, verdicts: pa.Table, at: npt.NDArray[np.int64], revision: int
    ) -> tuple[pa.Table | None, pa.Table | None]:
        """Stored calls whose verdict has changed, and what it was."""
        rows = whole.new + np.flatnonzero(at[whole.new :] != NOT_JUDGED)
        if not len(rows):
            return None, None
        spans = whole.spans.take(pa.array(rows))
        if whole.certain is not None:
            sure = is_among(
                trace_hashes(*(one_chunk(spans.column(name)) for name in ("org_id", "trace_id"))), whole.certain
            )
            rows, spans = rows[sure], spans.filter(pa.array(sure))
        now = call_rows(spans, verdicts.take(pa.array(at[rows])), revision)
        before = self._catalog.verdicts_on(self._connection, whole.stored.take(pa.array(rows - whole.new)))
        changed = differs(now, before, VERDICT_COLUMNS)
        if not changed.any():
            return None, None
        return plain(now.filter(pa.array(changed))), before.filter(pa.array(changed))


def _joined(tables: list[pa.Table]) -> pa.Table:
    """New spans, then stored ones, whose verdict of today stands beside them."""
    return pa.concat_tables(tables, promote_options="default")
