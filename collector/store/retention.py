"""Removing spans that are too old, or more than the disk is meant to hold: whole segments, or rows out of them.

What is removed is written down (`_ledger.expiry`) in the transaction that removes it, so that the rest can still be
checked against what the batches promise. Space comes back when the readers' grace period is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from collector.store.folding import Amendments, Read, Seqs
from collector.store.inspect import Written
from collector.store.join import Source
from collector.store.manifest import Segment, path_of, start_ranges
from collector.store.rewrite import Pause, Rewriter, at_once, is_large, name_of, read, seq_range
from collector.store.swap import NO_SEQS
from collector.store.upkeep import Retention

REWRITE_SECONDS = 86_400
"""A segment is rewritten without its expired rows at most so often. Lower: rows go sooner, at the cost of copying."""

_FACTS = ["seq", "org_id", "start_time", "cost_usd"]
_WIDE = pa.decimal128(38, 12)
AGE, SIZE = "age", "size"


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of one segment to be removed: those of `org_ids` that start before the time beside each."""

    segment: Segment
    before_ns: tuple[tuple[str, int], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a segment, and what went."""

    segment: Segment | None
    amendments: Amendments
    expired: Seqs
    expiry: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class OrgFacts:
    """The rows of one organisation in one segment."""

    org_id: str
    rows: int
    lowest_start_ns: int
    highest_start_ns: int


ALWAYS_NS = 2**63 - 1
"""As `before_ns`: every row, whenever it starts."""


def plan(live: Sequence[Written], retention: Retention, folder: Path, now: datetime) -> Cut | None:
    """The next removal, None when everything that is there may stay. Segments whose file is missing are left alone."""
    return _by_age(_present(live, folder), retention, folder, now) or plan_by_size(live, retention, folder)


def plan_by_size(live: Sequence[Written], retention: Retention, folder: Path) -> Cut | None:
    """The same, whatever the time is."""
    return _by_size(_present(live, folder), retention, folder)


def too_old_share(live: Sequence[Written], retention: Retention, now: datetime) -> float:
    """Rows in segments all of whose rows are too old, of all rows; by the longest age of their organisations."""
    now_ns = int(now.timestamp()) * 10**9
    gone = sum(each.segment.rows for each in live if _is_too_old(each.segment, retention, now_ns))
    return gone / max(1, sum(each.segment.rows for each in live))


def _is_too_old(segment: Segment, retention: Retention, now_ns: int) -> bool:
    ages_seconds = [retention.max_age_seconds(org_id) for org_id in segment.org_ids]
    longest_seconds = max((age for age in ages_seconds if age is not None), default=None)
    if longest_seconds is None or None in ages_seconds:
        return False
    return segment.start_ranges_ns[-1][1] < now_ns - int(longest_seconds * 10**9)


def _present(live: Sequence[Written], folder: Path) -> list[Written]:
    return [each for each in live if not each.segment.cold or path_of(folder, each.segment.file).exists()]


def _by_age(live: Sequence[Written], retention: Retention, folder: Path, now: datetime) -> Cut | None:
    now_ns = int(now.timestamp()) * 10**9
    for each in live:
        before = {}
        for org_id in each.segment.org_ids:
            age_seconds = retention.max_age_seconds(org_id)
            if age_seconds is not None:
                before[org_id] = now_ns - int(age_seconds * 10**9)
        if not before or each.segment.start_ranges_ns[0][0] >= max(before.values()):
            continue
        facts = org_facts(path_of(folder, each.segment.file))
        some = tuple((fact.org_id, before[fact.org_id]) for fact in facts if _some(fact, before))
        whole = all(fact.highest_start_ns < before.get(fact.org_id, 0) for fact in facts)
        rested = not each.segment.cold and now - each.at >= timedelta(seconds=REWRITE_SECONDS)
        if whole or (some and rested):
            return Cut(each.segment, some, AGE)
    return None


def _some(fact: OrgFacts, before: dict[str, int]) -> bool:
    return fact.org_id in before and fact.lowest_start_ns < before[fact.org_id]


def _by_size(live: Sequence[Written], retention: Retention, folder: Path) -> Cut | None:
    """The oldest segment, by arrival, while the whole or an organisation takes more than it may; the archive apart."""
    segments = [each.segment for each in live if not each.segment.cold]
    most_bytes = retention.all.max_size_bytes
    if most_bytes is not None and sum(segment.size_bytes for segment in segments) > most_bytes and len(segments) > 1:
        oldest = segments[0]
        return Cut(oldest, tuple((org_id, ALWAYS_NS) for org_id in oldest.org_ids), SIZE)
    for org_id, keep in retention.organizations:
        theirs = [segment for segment in segments if org_id in segment.org_ids]
        if keep.max_size_bytes is None or len(theirs) < 2:
            continue
        if sum(_share_bytes(segment, org_id, folder) for segment in theirs) > keep.max_size_bytes:
            return Cut(theirs[0], ((org_id, ALWAYS_NS),), SIZE)
    return None


def _share_bytes(segment: Segment, org_id: str, folder: Path) -> int:
    if segment.org_ids == (org_id,):
        return segment.size_bytes
    rows = next((fact.rows for fact in org_facts(path_of(folder, segment.file)) if fact.org_id == org_id), 0)
    return segment.size_bytes * rows // segment.rows


@lru_cache(maxsize=4096)
def org_facts(path: Path) -> tuple[OrgFacts, ...]:
    """Of every organisation with rows in a file. Files never change, so it is read once."""
    found: dict[str, OrgFacts] = {}
    with path.open("rb") as file:
        metadata = parquet.ParquetFile(file).metadata
        for number in range(metadata.num_row_groups):
            for rows in read(file, metadata, number, ["org_id", "start_time"]):
                for org_id, starts in _starts_by_org(rows):
                    low, high = int(starts.min()), int(starts.max())
                    before = found.get(org_id, OrgFacts(org_id, 0, low, high))
                    found[org_id] = OrgFacts(
                        org_id,
                        before.rows + len(starts),
                        min(low, before.lowest_start_ns),
                        max(high, before.highest_start_ns),
                    )
    return tuple(found.values())


def _starts_by_org(rows: pa.Table) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    starts = rows.column("start_time").cast(pa.int64()).to_numpy()
    codes, names = _org_codes(rows)
    for code, name in enumerate(names):
        theirs = starts[codes == code]
        if len(theirs):
            yield name, theirs


def _org_codes(rows: pa.Table) -> tuple[npt.NDArray[np.int64], list[str]]:
    """A number per row, and the names by number."""
    column = rows.column("org_id").unify_dictionaries().combine_chunks()
    return column.indices.to_numpy(zero_copy_only=False).astype(np.int64), column.dictionary.to_pylist()


def carry_out(cut: Cut, read_ledger: Read, folder: Path, now: datetime, pause: Pause = at_once) -> Kept:
    """Write what is left of the segment, amendments taken in. Raises OSError."""
    amendments = Amendments.between(read_ledger, cut.segment.first_seq, cut.segment.last_seq)
    gone = _Gone(cut)
    starts: list[npt.NDArray[np.int64]] = []
    with path_of(folder, cut.segment.file).open("rb") as file, Rewriter(folder, pause) as into:
        source, metadata = Source(file), parquet.ParquetFile(file).metadata
        for number in range(metadata.num_row_groups):
            starts += _keep_group(source, metadata, number, gone, amendments, into)
        if into.rows + gone.rows != cut.segment.rows:
            raise OSError(f"{cut.segment.file}: {into.rows} + {gone.rows} rows were read of {cut.segment.rows}")
        segment = None
        if into.rows:
            path = into.finish(name_of(gone.first_seq, gone.last_seq))
            segment = Segment(
                path.name,
                gone.first_seq,
                gone.last_seq,
                into.rows,
                path.stat().st_size,
                cut.segment.cost_usd - gone.cost_usd,
                start_ranges(np.concatenate(starts)),
                tuple(sorted(gone.left_orgs)),
                cut.segment.tier,
            )
    return Kept(segment, amendments, gone.seqs, gone.expiry(now.replace(tzinfo=None)))


def _keep_group(
    source: Source, metadata: parquet.FileMetaData, number: int, gone: _Gone, amendments: Amendments, into: Rewriter
) -> list[npt.NDArray[np.int64]]:
    """Copy, thin out or leave out one row group; the start times of the rows that stay."""
    facts = [gone.look_at(rows) for rows in read(source.file, metadata, number, _FACTS)]
    starts = [fact.starts_ns[~fact.expired] for fact in facts]
    if all(fact.expired.all() for fact in facts):
        return []
    untouched = not any(fact.expired.any() for fact in facts) and is_large(metadata, number)
    if untouched and not amendments.touch(*seq_range(metadata, number)) and into.copy(source, number):
        return starts
    for rows, fact in zip(read(source.file, metadata, number), facts, strict=True):
        left = rows.filter(pa.array(~fact.expired))
        if left.num_rows:
            into.write(amendments.take_in(left))
    return starts


@dataclass(frozen=True, slots=True)
class _Look:
    starts_ns: npt.NDArray[np.int64]
    expired: npt.NDArray[np.bool_]


class _Gone:
    """Adds up what goes and what stays while a segment is read."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._before = dict(cut.before_ns)
        self._seqs: list[Seqs] = []
        self._sums: dict[str, tuple[int, Decimal]] = {}
        self.left_orgs: set[str] = set()
        self.first_seq = self.last_seq = 0

    def look_at(self, rows: pa.Table) -> _Look:
        """Which of these rows (`_FACTS`) expire."""
        starts = rows.column("start_time").cast(pa.int64()).to_numpy()
        seqs = rows.column("seq").to_numpy()
        codes, names = _org_codes(rows)
        limits = np.array([self._before.get(name, -(2**63)) for name in names], dtype=np.int64)
        expired = (starts < limits[codes]) | (limits[codes] == ALWAYS_NS)
        for code, name in enumerate(names):
            theirs = codes == code
            if (theirs & ~expired).any():
                self.left_orgs.add(name)
            self._add(name, rows.column("cost_usd").filter(pa.array(theirs & expired)))
        self._seqs.append(seqs[expired])
        if not expired.all():
            self.first_seq = self.first_seq or int(seqs[~expired][0])
            self.last_seq = int(seqs[~expired][-1])
        return _Look(starts, expired)

    def _add(self, org_id: str, costs: pa.ChunkedArray) -> None:
        if len(costs):
            count, cost = self._sums.get(org_id, (0, Decimal(0)))
            self._sums[org_id] = (count + len(costs), cost + (pc.sum(costs.cast(_WIDE)).as_py() or 0))

    @property
    def rows(self) -> int:
        return sum(count for count, _ in self._sums.values())

    @property
    def cost_usd(self) -> Decimal:
        return sum((cost for _, cost in self._sums.values()), Decimal(0))

    @property
    def seqs(self) -> Seqs:
        return np.concatenate([NO_SEQS, *self._seqs])

    def expiry(self, at: datetime) -> tuple[tuple[object, ...], ...]:
        """Rows of `_ledger.expiry`."""
        return tuple((at, org, count, cost, self._cut.reason) for org, (count, cost) in sorted(self._sums.items()))
