"""Which stored calls a price run is about, and what they cost by another card."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.limits import TRUNCATION_MARK
from collector.store.figures import Price, Seqs, as_stored
from collector.store.manifest import Segment
from collector.store.rows import one_chunk

Flags = npt.NDArray[np.bool_]

_MODEL_NAMES = ("model", "request_model", "response_model")
_NAMES = ("provider", "request_model", "response_model", "service_tier")
_ALL_TIME_NS = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Selection:
    """Calls that start in [`since_ns`, `until_ns`) and have one of each of the names; nothing chosen: all of them.

    A model is found by the name it was priced as, by the one asked for, and by the one that answered.
    """

    since_ns: int | None = None
    until_ns: int | None = None
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()

    def may_be_in(self, segment: Segment) -> bool:
        """Whether such a call may be there, by what the manifest says."""
        low, high = self._range_ns()
        if self.organizations and not set(self.organizations) & set(segment.org_ids):
            return False
        return segment.overlaps([(low, high - 1)])

    def chosen(self, rows: pa.Table) -> Flags:
        """Which rows are such calls, priced or not."""
        low, high = self._range_ns()
        starts_ns = rows.column("start_time").cast(pa.int64()).to_numpy()
        chosen = (starts_ns >= low) & (starts_ns < high) & pc.is_valid(rows.column("call_kind")).to_numpy()
        chosen &= ~_where(rows, _NAMES, _is_cut)
        for columns, wanted in (
            (["org_id"], self.organizations),
            (["provider"], self.providers),
            (_MODEL_NAMES, self.models),
        ):
            if wanted:
                chosen &= _where(rows, columns, _among(wanted))
        return np.asarray(chosen)

    def _range_ns(self) -> tuple[int, int]:
        low = _ALL_TIME_NS[0] if self.since_ns is None else self.since_ns
        return low, _ALL_TIME_NS[1] if self.until_ns is None else self.until_ns


def _among(wanted: Collection[str]) -> Callable[[pa.Array], pa.Array]:
    names = pa.array(sorted(wanted), pa.string())
    return lambda texts: pc.is_in(texts, value_set=names)


def _is_cut(texts: pa.Array) -> pa.Array:
    """A name that was too long to be kept: no card knows it, and what was said of it cannot be said again."""
    return pc.ends_with(texts, TRUNCATION_MARK)


def _where(rows: pa.Table, columns: Sequence[str], test: Callable[[pa.Array], pa.Array]) -> Flags:
    """Which rows have a text in one of `columns` that passes a test."""
    found = np.zeros(rows.num_rows, np.bool_)
    for name in columns:
        column = one_chunk(rows.column(name))
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        codes = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
        hits = test(column.dictionary.cast(pa.string())).to_numpy(zero_copy_only=False)
        found |= np.append(hits, False)[codes]
    return found


class PricedAgain:
    """The restatement of a price run: chosen calls get what `price` says."""

    def __init__(self, selection: Selection, price: Price) -> None:
        self._selection = selection
        self._price = price
        self.columns = tuple(price.columns)

    def restate(self, rows: pa.Table, final: pa.Table) -> tuple[Seqs, pa.Table]:
        """See `Restatement`. Spans that are no billable calls, by either card, are not chosen."""
        places = np.flatnonzero(self._selection.chosen(final))
        whole = len(places) == rows.num_rows
        asked = rows.select(self.columns)
        figures = as_stored(self._price(asked if whole else asked.take(pa.array(places))))
        before = asked.column("cost_status") if whole else asked.column("cost_status").take(pa.array(places))
        billable = pc.or_(pc.is_valid(figures.column("cost_status")), pc.is_valid(before)).to_numpy()
        if not billable.all():
            at = np.flatnonzero(billable)
            places, figures = places[at], figures.take(pa.array(at))
        return places, figures
