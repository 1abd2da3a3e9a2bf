"""What the store remembers of parentless calls, to find a call's second record where it began a trace of its own.

Two records of one call are in one service, of two instrumentations, say the same input tokens (none, where it failed),
start within `START_WINDOW_NS`, and one has no response id (docs/counting.md). Per service, tokens and time the index
knows which instrumentation recorded calls, so that a service with one instrumentation never needs a look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.hashes import Hashes, spread, value_hashes
from collector.store.rows import one_chunk, plain_column
from collector.store.seq_index import ABSENT, SeqIndex, Values
from otel_cost.call import CallKind

START_WINDOW_NS = 250_000_000
"""How far apart two records of one call may start: at least what attribution pairs over."""

_SERVICE, _TOKENS, _CELL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)
_SCOPE_BITS = 26
_MIXED = 0
"""In the place of a scope: more than one was seen."""

ROOT_COLUMNS = (
    "org_id",
    "service_name",
    "scope_name",
    "input_tokens",
    "parent_span_id",
    "call_kind",
    "response_id",
    "start_time",
    "end_time",
    "failed",
)
"""What says whether a span is a root call, and with which others it may be one."""


@dataclass(frozen=True, slots=True)
class RootCalls:
    """The parentless calls among some spans, side by side."""

    services: Hashes  # of organisation and service
    kinds: Hashes  # of organisation, service and input tokens; never 0
    start_ns: Values
    end_ns: Values
    scopes: Values
    lacks_id: npt.NDArray[np.bool_]

    @staticmethod
    def of(spans: pa.Table) -> RootCalls:
        """`spans` has `ROOT_COLUMNS`. Calls that do not say service, scope or input cannot be paired."""
        fits = _fits(spans)
        if not pc.any(fits).as_py():
            return _NO_ROOT_CALLS
        found = spans.select(ROOT_COLUMNS).filter(fits)
        orgs, names, scopes = (value_hashes(one_chunk(found.column(name))) for name in ROOT_COLUMNS[:3])
        services = orgs + names * _SERVICE
        tokens = pc.fill_null(found.column("input_tokens"), 0).to_numpy().astype(np.uint64)
        start_ns, end_ns = (found.column(name).cast(pa.int64()).to_numpy() for name in ("start_time", "end_time"))
        return RootCalls(
            services=services,
            kinds=np.maximum(services + tokens * _TOKENS, np.uint64(1)),
            start_ns=start_ns,
            end_ns=end_ns,
            scopes=np.maximum(spread(scopes) >> np.uint64(64 - _SCOPE_BITS), 1).astype(np.int64),
            lacks_id=pc.is_null(found.column("response_id")).to_numpy(),
        )

    @property
    def cells(self) -> Values:
        """Start times in steps of the window."""
        return np.maximum(self.start_ns // START_WINDOW_NS, 0)

    def keys(self, cells_later: int = 0) -> Hashes:
        """What calls of one kind that start in one cell have in common."""
        return spread(self.kinds + (self.cells + cells_later).astype(np.uint64) * _CELL)

    def taken(self, at: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> RootCalls:
        """Some of them."""
        return RootCalls(*(getattr(self, name)[at] for name in self.__slots__))

    @staticmethod
    def joined(parts: Sequence[RootCalls]) -> RootCalls:
        """Several one after the other."""
        return RootCalls(*(np.concatenate([getattr(part, name) for part in parts]) for name in RootCalls.__slots__))

    def paired(self, others: RootCalls) -> npt.NDArray[np.bool_]:
        """Which of `others` may be a second record of one of these."""
        order = np.lexsort((self.start_ns, self.kinds))
        mine = self.taken(order)
        found = np.zeros(len(others.kinds), np.bool_)
        low = np.searchsorted(mine.kinds, others.kinds, side="left")
        high = np.searchsorted(mine.kinds, others.kinds, side="right")
        for at in np.flatnonzero(high > low).tolist():
            run = slice(low[at], high[at])
            fits = np.abs(mine.start_ns[run] - others.start_ns[at]) <= START_WINDOW_NS
            fits &= (mine.start_ns[run] <= others.end_ns[at]) & (mine.end_ns[run] >= others.start_ns[at])
            fits &= (mine.scopes[run] != others.scopes[at]) & (mine.lacks_id[run] | others.lacks_id[at])
            found[at] = fits.any()
        return found


_NONE, _NO_HASHES = np.empty(0, np.int64), np.empty(0, np.uint64)
_NO_ROOT_CALLS = RootCalls(_NO_HASHES, _NO_HASHES, _NONE, _NONE, _NONE, np.empty(0, np.bool_))


def root_kinds(spans: pa.Table) -> Hashes:
    """The kind of each span that is a root call, 0 of the others."""
    kinds = np.zeros(spans.num_rows, np.uint64)
    fits = _fits(spans).to_numpy()
    if fits.any():
        kinds[fits] = RootCalls.of(spans).kinds
    return kinds


def _fits(spans: pa.Table) -> pa.ChunkedArray:
    is_leaf = pc.equal(plain_column(spans.column("call_kind")), CallKind.LEAF.value)
    tokens = spans.column("input_tokens")
    has_said = pc.fill_null(pc.greater(tokens, 0), False)
    fits = pc.and_(
        pc.is_null(spans.column("parent_span_id")),
        pc.or_(has_said, pc.and_(spans.column("failed"), pc.is_null(tokens))),
    )
    for name in ("service_name", "scope_name"):
        fits = pc.and_(fits, pc.is_valid(spans.column(name)))
    return pc.fill_null(pc.and_(fits, is_leaf), False)


class RootIndex:
    """Per kind of call and cell, and per service: the instrumentation that recorded such calls, and whether any of
    them lacks a response id.

    A value holds, from the top: the cell (so that the oldest fall out first), the scope, the flag.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._index = SeqIndex(capacity)
        self._services = SeqIndex(capacity)

    def load(self, roots: RootCalls) -> None:
        """Add many calls at once, as at start."""
        if not len(roots.kinds):
            return
        self._services.load(*_joined(self._services, roots.services, roots))
        self._index.load(*_joined(self._index, roots.keys(), roots))

    def may_pair(self, roots: RootCalls) -> npt.NDArray[np.bool_]:
        """Which calls may have a record of another instrumentation in the ledger."""
        if not len(roots.kinds):
            return np.zeros(0, np.bool_)
        several = _found_of_another_scope(self._services, roots.services, roots)
        if not several.any():
            return several
        before, same, after = (_found_of_another_scope(self._index, roots.keys(later), roots) for later in (-1, 0, 1))
        return before | same | after

    def remember(self, roots: RootCalls) -> None:
        """Call after the commit."""
        if len(roots.kinds):
            self._services.put(*_joined(self._services, roots.services, roots))
            self._index.put(*_joined(self._index, roots.keys(), roots))


def _found_of_another_scope(index: SeqIndex, keys: Hashes, roots: RootCalls) -> npt.NDArray[np.bool_]:
    """Whether a call of another scope is known by each key, and it or the one at hand lacks an id."""
    distinct, place = np.unique(keys, return_inverse=True)
    state = index.find(distinct)[place]
    pairs: npt.NDArray[np.bool_] = (state != ABSENT) & (_scope(state) != roots.scopes)
    pairs &= roots.lacks_id | ((state & 1) == 1)
    return pairs


def _joined(index: SeqIndex, keys: Hashes, roots: RootCalls) -> tuple[Hashes, Values]:
    """The distinct keys of `roots`, and their values joined with those that `index` holds."""
    distinct, first, place = np.unique(keys, return_index=True, return_inverse=True)
    low, high = np.full(len(distinct), np.iinfo(np.int64).max), np.zeros(len(distinct), np.int64)
    np.minimum.at(low, place, roots.scopes)
    np.maximum.at(high, place, roots.scopes)
    lacks_id = np.bincount(place, weights=roots.lacks_id, minlength=len(distinct)) > 0
    before = index.find(distinct)
    known = before != ABSENT
    one = (low == high) & (~known | (_scope(before) == low))
    lacks_id |= known & ((before & 1) == 1)
    return distinct, (roots.cells[first] << (_SCOPE_BITS + 1)) | (np.where(one, low, _MIXED) << 1) | lacks_id


def _scope(state: Values) -> Values:
    return (state >> 1) & ((1 << _SCOPE_BITS) - 1)
