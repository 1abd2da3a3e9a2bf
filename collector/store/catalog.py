"""What the ledger holds, for the writer: the live segments, the newest rows in memory, and later verdicts on them.

Questions are answered from memory where the rows are recent, and else from the row groups that may hold them: by seq
where a trace's place is known, by start time where it is not. Only the writer's thread uses it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.store import manifest
from collector.store.call_rows import VERDICT_SCHEMA, inline_verdicts
from collector.store.hashes import Hashes, span_hashes, trace_hashes
from collector.store.known_traces import Places
from collector.store.manifest import Segment
from collector.store.recent import LaterVerdicts, Marks, RecentRows, Rows, is_among
from collector.store.root_calls import ROOT_COLUMNS, START_WINDOW_NS, RootCalls, root_kinds
from collector.store.rows import RECENT_SCHEMA, conform, one_chunk, own
from collector.store.segment_reader import Group, SegmentReader, holds
from collector.store.statements import fetch, query

_FIRST_PARTS = 64
"""Row groups that are read into memory at start: a backlog of files of one row each must not take seconds."""

_KEY = ["org_id", "trace_id", "span_id", "seq"]
_TRACE = ["org_id", "trace_id"]


class Catalog:
    """`load` it from the manifest, then tell it of every commit."""

    def __init__(self, folder: Path, recent_bytes: int) -> None:
        self._recent_bytes = recent_bytes
        self.reader = SegmentReader(folder)
        self.segments: list[Segment] = []
        self._furthest: list[int] = []  # last seq of each segment and all before it: archived ones overlap
        self.recent = RecentRows(recent_bytes)
        self.later = LaterVerdicts()

    def load(self, connection: Any, next_seq: int, without: Collection[str] = ()) -> None:
        """Take the live segments but those of the files `without`, read the newest rows. Raises SegmentUnreadable."""
        self._take(segment for segment in manifest.live(connection) if segment.file not in without)
        parts: list[pa.Table] = []
        room = self._recent_bytes
        for group in self._newest_first():
            too_many = len(parts) >= _FIRST_PARTS
            if too_many or (parts and room < group.rows * parts[-1].nbytes // parts[-1].num_rows):
                break
            rows = conform(self.reader.read(group, RECENT_SCHEMA.names), RECENT_SCHEMA).combine_chunks()
            room -= rows.nbytes
            if room < 0:
                break
            parts.append(rows)
        self.recent.load(parts[::-1], next_seq)
        sql = query("amendments_from")
        self.later.add(_verdicts(fetch(connection, sql, [self.recent.first_seq])))

    def _take(self, segments: Iterable[Segment]) -> None:
        self.segments = sorted(segments, key=lambda segment: segment.first_seq)
        self._furthest = list(accumulate((segment.last_seq for segment in self.segments), max))

    def _newest_first(self) -> Iterable[Group]:
        """The row groups that lie behind all others, as far back as segments do not overlap."""
        for at in range(len(self.segments) - 1, -1, -1):
            if at and self._furthest[at - 1] >= self.segments[at].first_seq:
                return
            yield from reversed(self.reader.groups(self.segments[at]))

    def add(self, segment: Segment, rows: pa.Table, marks: Marks, amended: pa.Table) -> None:
        """A batch was committed: its segment and rows, and the verdicts (`VERDICT_SCHEMA`) that amend any rows."""
        self.segments.append(segment)
        self._furthest.append(segment.last_seq)
        self.recent.add(rows, marks)
        self.amend(amended)

    def amend(self, amended: pa.Table) -> None:
        """Verdicts (`VERDICT_SCHEMA`) took the place of others."""
        self.later.add(amended)
        self.later.forget_before(self.recent.first_seq)

    def replaced(self, old: Sequence[Segment], new: Sequence[Segment]) -> None:
        """Maintenance swapped segments, or dropped some. Rows in memory are the same ones; dropped ones go."""
        gone = {segment.file for segment in old}
        for segment in old:
            self.reader.forget(segment)
        if sum(segment.rows for segment in old) != sum(segment.rows for segment in new):
            self.recent.forget_before(max(segment.last_seq for segment in old) + 1)
        self._take([*(segment for segment in self.segments if segment.file not in gone), *new])

    def spans_of(self, places: Places) -> pa.Table:
        """The stored rows (`RECENT_SCHEMA`) of some traces, known and distinct."""
        found = []
        for rows, _, at in self.recent.find("trace", places.hashes, int(places.first_seq.min())):
            found.append(rows if len(at) == rows.num_rows else rows.take(pa.array(at)))
        older = places.taken(places.first_seq < self.recent.first_seq)
        if len(older.hashes):
            found += self._older_spans_of(older)
        return pa.concat_tables(found) if found else RECENT_SCHEMA.empty_table()

    def _older_spans_of(self, places: Places) -> list[pa.Table]:
        recent = self.recent.first_seq

        def keep(keys: pa.Table) -> npt.NDArray[np.bool_]:
            wanted = is_among(_traces(keys), places.hashes)
            wanted &= keys.column("seq").to_numpy() < recent
            return wanted

        groups = self._in_seqs(places.first_seq, np.minimum(places.last_seq, recent - 1))
        found = self.reader.matching(groups, RECENT_SCHEMA.names, [*_TRACE, "seq"], keep)
        return [conform(rows, RECENT_SCHEMA) for rows in found]

    def verdicts_on(self, connection: Any, rows: pa.Table) -> pa.Table:
        """`VERDICT_SCHEMA` of stored rows (`RECENT_SCHEMA`), as the ledger has it now; rows side by side."""
        verdicts = inline_verdicts(rows)
        seqs = rows.column("seq").to_numpy()
        if not len(seqs):
            return verdicts
        ordered = np.sort(seqs)
        later = [self.later.find(ordered)]
        old = ordered[ordered < self.recent.first_seq]
        if len(old):
            amended = fetch(connection, query("amendments_between"), [int(old[0]), int(old[-1])])
            later.append(_verdicts(amended.filter(pa.array(holds(amended.column("seq").to_numpy(), old)))))
        amendments = pa.concat_tables(later)
        if not amendments.num_rows:
            return verdicts
        both = pa.concat_tables([verdicts, amendments])
        at = np.arange(len(seqs))
        by_seq = np.argsort(seqs)
        places = by_seq[np.searchsorted(seqs[by_seq], amendments.column("seq").to_numpy())]
        at[places] = len(seqs) + np.arange(amendments.num_rows)
        return both.take(pa.array(at))

    def traces_of_roots(self, wanted: RootCalls) -> Hashes:
        """Traces whose root call may be a second record of one of `wanted`."""
        found: list[Hashes] = []
        for rows, marks, at in self.recent.find("root", np.unique(wanted.kinds)):
            pairs = wanted.paired(RootCalls.of(own(rows.select([*ROOT_COLUMNS, "derived"]).take(pa.array(at)))))
            found.append(marks.trace[at[pairs]])
        ranges = manifest.start_ranges(wanted.start_ns)
        wide = [(low - START_WINDOW_NS, high + START_WINDOW_NS) for low, high in ranges]
        columns = [*ROOT_COLUMNS, "trace_id", "derived"]
        for group in self._starting(wanted.start_ns, self._before_recent(wide), START_WINDOW_NS):
            rows = self.reader.read(group, columns)
            at = np.flatnonzero(root_kinds(rows))
            rows = own(rows.take(pa.array(at)))
            found.append(_traces(rows.filter(pa.array(wanted.paired(RootCalls.of(rows))))))
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def seqs_of_spans(self, spans: Hashes, starts_ns: Rows, places: Places, covered_from: int) -> tuple[Hashes, Rows]:
        """(hash, seq) of those of `spans` that are stored, in any order, candidates of equal hash.

        `starts_ns` is each span's start, by which older ones are looked for; `places` are those of their traces, side
        by side with the spans. A span before `covered_from` may be of a trace whose place is not known.
        """
        known = places.stored
        hashes: list[Hashes] = []
        seqs: list[Rows] = []
        everything = covered_from > self.recent.first_seq
        looked_for = np.unique(spans if everything else spans[known])
        first = 0 if everything or not known.any() else int(places.first_seq[known].min())
        for _, marks, at in self.recent.find("span", looked_for, first):
            hashes.append(marks.span[at])
            seqs.append(marks.seq[at])
        for group, wanted in self._older_candidates(spans, starts_ns, places, covered_from):
            keys = self.reader.read(group, _KEY)
            of_rows = span_hashes(_traces(keys), one_chunk(keys.column("span_id")))
            at = np.flatnonzero(is_among(of_rows, wanted))
            hashes.append(of_rows[at])
            seqs.append(keys.column("seq").to_numpy()[at])
        if not hashes:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        return np.concatenate(hashes), np.concatenate(seqs)

    def content(self, seqs: Rows, columns: Sequence[str]) -> pa.Table:
        """Columns of `ROW_SCHEMA` of some stored rows (ascending seq), with their seq."""
        groups = self._in_seqs(seqs, seqs)
        found = self.reader.matching(
            groups, ["seq", *columns], ["seq"], lambda keys: holds(keys.column("seq").to_numpy(), seqs)
        )
        return pa.concat_tables(list(found))

    def _older_candidates(
        self, spans: Hashes, starts_ns: Rows, places: Places, covered_from: int
    ) -> Iterable[tuple[Group, Hashes]]:
        """Row groups before the recent rows that may hold some of the spans, with the hashes (ascending) of those."""
        recent = self.recent.first_seq
        older = places.stored & (places.first_seq < recent)
        if covered_from:
            older |= True
        if not older.any() or not self.segments or self.segments[0].first_seq >= recent:
            return
        at = np.flatnonzero(older)
        at = at[np.argsort(starts_ns[at], kind="stable")]
        starts = starts_ns[at]
        for segment in self._before_recent(manifest.start_ranges(starts)):
            for group in self._starting(starts, [segment], 0):
                low, high = np.searchsorted(starts, [group.first_start_ns, group.last_start_ns + 1])
                chosen = at[low:high]
                within = (places.first_seq[chosen] <= group.last_seq) & (places.last_seq[chosen] >= group.first_seq)
                chosen = chosen[within | (group.first_seq < covered_from)]
                if len(chosen):
                    yield group, np.unique(spans[chosen])

    def _before_recent(self, ranges_ns: Sequence[tuple[int, int]]) -> list[Segment]:
        """Segments with rows that are not in memory and that start in one of the ranges."""
        end = bisect_left(self.segments, self.recent.first_seq, key=lambda segment: segment.first_seq)
        return [segment for segment in self.segments[:end] if segment.overlaps(ranges_ns)]

    def _starting(self, starts_ns: Rows, segments: Iterable[Segment], within_ns: int) -> Iterable[Group]:
        """Row groups of `segments` with rows before the recent ones that may start near one of `starts_ns`."""
        ordered = np.sort(starts_ns)
        for segment in segments:
            for group in self.reader.groups(segment):
                at = np.searchsorted(ordered, group.first_start_ns - within_ns)
                near = at < len(ordered) and ordered[at] <= group.last_start_ns + within_ns
                if near and group.first_seq < self.recent.first_seq and self._may_start(segment, ordered, within_ns):
                    yield group

    def _may_start(self, segment: Segment, ordered: Rows, within_ns: int) -> bool:
        """Whether one of `ordered` is near a start time of the segment: one absurd time makes no wide range."""
        for low, high in segment.start_ranges_ns:
            at = np.searchsorted(ordered, low - within_ns)
            if at < len(ordered) and ordered[at] <= high + within_ns:
                return True
        return False

    def _in_seqs(self, first: Rows, last: Rows) -> list[Group]:
        """Row groups that overlap one of the ranges (both ends included), any number of them in any order."""
        order = np.argsort(first, kind="stable")
        first, last = first[order], np.maximum.accumulate(last[order])
        begin = bisect_left(self._furthest, int(first[0]))
        found = []
        for segment in self.segments[begin:]:
            if segment.first_seq > last[-1]:
                break
            if _overlaps(first, last, segment.first_seq, segment.last_seq):
                found += [
                    group
                    for group in self.reader.groups(segment)
                    if _overlaps(first, last, group.first_seq, group.last_seq)
                ]
        return found


def _overlaps(first: Rows, furthest: Rows, low: int, high: int) -> bool:
    """Whether a range that begins at or before `high` reaches `low`; `furthest`: of all ranges up to each."""
    begun = int(np.searchsorted(first, high, side="right"))
    return begun > 0 and bool(furthest[begun - 1] >= low)


def _traces(rows: pa.Table) -> Hashes:
    return trace_hashes(*(one_chunk(rows.column(name)) for name in _TRACE))


def _verdicts(amendments: pa.Table) -> pa.Table:
    return conform(amendments, VERDICT_SCHEMA)
