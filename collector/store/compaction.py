"""Which segments are worth merging, so that a query opens few files and every row is rewritten about twice in its life.

Rows that were appended a few at a time are decoded and encoded once or twice until they stand in row groups of a good
size; from then on merging copies those groups as they are. Rows whose verdict has changed are rewritten on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.store.folding import Amendments, Read
from collector.store.manifest import Segment, path_of
from collector.store.rewrite import Pause, Rewriter, at_once, joined, name_of, pour

FANOUT = 16
"""Neighbours of one size that are merged. Lower: rows are rewritten more often. Higher: queries open more files."""

GROWTH = 4
"""How much larger than its largest part a merged segment is at least, so that a row is rewritten few times."""

FULL_ROWS = 4 << 20
"""A segment is not merged beyond so many rows. Lower: more files in a year. Higher: one merge takes longer, and a disk
must have that much room for the old and the new file."""

FULL_BYTES = 512 << 20
"""The same for the bytes of rows that carry whole prompts."""

LARGE_ROWS = 1 << 20
"""Fewer than `FANOUT` neighbours are merged when together they reach this, or `FULL_ROWS` if they are larger each."""

FEWEST = 3
"""Neighbours without which a merge is not worth its bytes."""

MOST_FILES = 64
"""Neighbours of one merge, however small: so long may one take that somebody waits for."""

MOST_AMENDMENTS = 50_000
"""Amendments of all segments; beyond it the segment with most of them is rewritten. They live in the manifest and in
every publication: higher makes each refresh dearer, lower rewrites segments more often."""

WORTH_FOLDING = 1_000
"""Amendments of one segment, below which it is not rewritten for their sake."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Neighbours in order of seq that become one segment; a single one is rewritten to take its amendments in."""

    segments: tuple[Segment, ...]

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in self.segments)


def plan(live: Sequence[Segment], amendments: Mapping[str, int]) -> Merge | None:
    """The merge that helps most now, None when all is well. The archive is left alone.

    Args:
        live: all segments, in order of seq.
        amendments: file -> how many amendments of it can be taken in.
    """
    hot = [segment for segment in live if not segment.cold]
    return _neighbours(hot) or _amended(hot, amendments)


def _neighbours(hot: Sequence[Segment]) -> Merge | None:
    """The newest run of neighbours of one size or below, the smallest size first."""
    for size in range(max((_size(segment) for segment in hot), default=0) + 1):
        for run in _runs(hot, size):
            if _worth_it(run, size):
                return Merge(tuple(reversed(run)))
    return None


def _runs(hot: Sequence[Segment], size: int) -> Iterator[list[Segment]]:
    """Neighbours of at most `size` that fit into one file; the newest first."""
    run: list[Segment] = []
    for segment in reversed(hot):
        suits = _size(segment) <= size and not _full(segment)
        if run and not (suits and _room(run, segment)):
            yield run
            run = []
        if suits:
            run.append(segment)
    yield run


def _size(segment: Segment) -> int:
    """0: up to 16 rows, 1: up to 256, and so on."""
    return max(0, (segment.rows - 1).bit_length() - 1) // 4


def _full(segment: Segment) -> bool:
    return segment.rows > FULL_ROWS // 2 or segment.size_bytes > FULL_BYTES // 2


def _room(run: Sequence[Segment], segment: Segment) -> bool:
    """Whether `segment` fits in too."""
    rows = sum(each.rows for each in run) + segment.rows
    size_bytes = sum(each.size_bytes for each in run) + segment.size_bytes
    return rows <= FULL_ROWS and size_bytes <= FULL_BYTES and len(run) < MOST_FILES


def _worth_it(run: Sequence[Segment], size: int) -> bool:
    """Whether enough neighbours are there, and the largest of them is not rewritten for the sake of a few rows."""
    rows = sum(segment.rows for segment in run)
    largest = max((segment.rows for segment in run), default=0)
    if len(run) >= FANOUT and rows >= GROWTH * largest:
        return True
    enough = FULL_ROWS // 2 if 16 ** (size + 1) > LARGE_ROWS else LARGE_ROWS
    return len(run) >= FEWEST and rows >= max(enough, 2 * largest)


def _amended(hot: Sequence[Segment], amendments: Mapping[str, int]) -> Merge | None:
    """The segment with the most amendments, when there are too many. The newest one is about to get more."""
    if sum(amendments.values()) <= MOST_AMENDMENTS:
        return None
    most = max(hot[:-1], key=lambda segment: amendments.get(segment.file, 0), default=None)
    return Merge((most,)) if most and amendments.get(most.file, 0) >= WORTH_FOLDING else None


def merged(merge: Merge, read: Read, folder: Path, pause: Pause = at_once) -> tuple[Segment, Amendments]:
    """Write the merged file; what the manifest says of it, and the amendments that are in it. Raises OSError."""
    first, last = merge.segments[0].first_seq, merge.segments[-1].last_seq
    amendments = Amendments.between(read, first, last)
    with Rewriter(folder, pause) as into:
        for segment in merge.segments:
            pour(path_of(folder, segment.file), into, amendments)
        if into.rows != merge.rows:
            raise OSError(f"{folder}: {into.rows} rows were read of {merge.rows} in {len(merge.segments)} segments")
        path = into.finish(name_of(first, last))
    tier = 1 + max(segment.tier for segment in merge.segments)
    return joined(merge.segments, path.name, folder, tier), amendments
