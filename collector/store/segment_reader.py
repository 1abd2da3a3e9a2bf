"""Reading rows back from segments: only the row groups that may hold them, only the columns that are asked for."""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from collector.store.errors import StoreUnavailable
from collector.store.manifest import Segment, path_of

_FOOTER_GROUPS = 256
"""Row groups of the files whose footers are kept, about 60 KB each, whatever the rows. Lower: look-ups in old segments
parse them again, 0.05 ms each. Higher: a ledger of months holds hundreds of megabytes."""

_LISTED_FILES = 4_096
"""Files whose row groups are known, about 300 bytes each."""

_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM})
"""Of the machine, not of the file: a process out of descriptors must not take its whole ledger for damaged."""

Flags = npt.NDArray[np.bool_]
Keep = Callable[[pa.Table], Flags]
"""The key columns of a row group -> which of its rows are wanted."""


class SegmentUnreadable(StoreUnavailable):
    """A segment's file is missing or damaged. What waits for it may be sent again once the store has set it aside."""

    def __init__(self, segment: Segment, error: Exception) -> None:
        super().__init__(f"segment {segment.file} cannot be read: {error}")
        self.segment = segment
        self.error = error


@dataclass(frozen=True, slots=True)
class Group:
    """One row group and what its statistics say of it; both ends are included."""

    segment: Segment
    number: int
    rows: int
    first_seq: int
    last_seq: int
    first_start_ns: int
    last_start_ns: int


class SegmentReader:
    """Reads segments of one folder. May be used by several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._footers: OrderedDict[str, Any] = OrderedDict()
        self._groups: OrderedDict[str, list[Group]] = OrderedDict()
        self._lock = threading.Lock()

    def groups(self, segment: Segment) -> list[Group]:
        """The row groups of a segment, in order of seq. Raises SegmentUnreadable, StoreUnavailable."""
        with self._lock:
            known = self._groups.get(segment.file)
            if known is not None:
                self._groups.move_to_end(segment.file)
                return known
        metadata = self._footer(segment)
        with _readable(segment):
            found = [_group(segment, metadata, number) for number in range(metadata.num_row_groups)]
        with self._lock:
            self._groups[segment.file] = found
            if len(self._groups) > _LISTED_FILES:
                self._groups.popitem(last=False)
        return found

    def read(self, group: Group, columns: Sequence[str]) -> pa.Table:
        """Columns of one row group, plain. Raises SegmentUnreadable, StoreUnavailable."""
        footer = self._footer(group.segment)
        with _readable(group.segment):
            with parquet.ParquetFile(path_of(self._folder, group.segment.file), metadata=footer) as file:
                found = file.read_row_group(group.number, columns=list(columns), use_threads=False)
            return found.select(list(columns))

    def matching(
        self, groups: Sequence[Group], columns: Sequence[str], keys: Sequence[str], keep: Keep
    ) -> Iterator[pa.Table]:
        """Rows of `groups` for which `keep`, asked with the columns `keys`, says so."""
        rest = [name for name in columns if name not in keys]
        for group in groups:
            asked = self.read(group, keys)
            wanted = np.flatnonzero(keep(asked))
            if len(wanted):
                at = pa.array(wanted)
                found = asked.take(at)
                if rest:
                    others = self.read(group, rest).take(at)
                    for name in rest:
                        found = found.append_column(name, others.column(name))
                yield found.select(list(columns))

    def forget(self, segment: Segment) -> None:
        """The segment is no part of the ledger any more."""
        with self._lock:
            self._footers.pop(segment.file, None)
            self._groups.pop(segment.file, None)

    def _footer(self, segment: Segment) -> Any:
        """`parquet.FileMetaData` of a segment's file."""
        with self._lock:
            known = self._footers.get(segment.file)
            if known is not None:
                self._footers.move_to_end(segment.file)
                return known
        with _readable(segment):
            found = parquet.read_metadata(path_of(self._folder, segment.file))
        with self._lock:
            self._footers[segment.file] = found
            held = sum(footer.num_row_groups for footer in self._footers.values())
            while held > _FOOTER_GROUPS and len(self._footers) > 1:
                held -= self._footers.popitem(last=False)[1].num_row_groups
        return found


@contextmanager
def _readable(segment: Segment) -> Iterator[None]:
    """What goes wrong in reading a segment as SegmentUnreadable or StoreUnavailable."""
    try:
        yield
    except MemoryError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise _unavailable(segment, error) from error


def _unavailable(segment: Segment, error: Exception) -> StoreUnavailable:
    if isinstance(error, OSError) and error.errno in _PASSING:
        return StoreUnavailable(f"segment {segment.file} cannot be opened now: {error}")
    return SegmentUnreadable(segment, error)


def _group(segment: Segment, metadata: Any, number: int) -> Group:
    group = metadata.row_group(number)
    names = metadata.schema.to_arrow_schema().names
    seq = group.column(names.index("seq")).statistics
    start = group.column(names.index("start_time")).statistics
    if seq is None or start is None or not seq.has_min_max or not start.has_min_max:
        low, high = segment.start_ranges_ns[0][0], segment.start_ranges_ns[-1][1]
        return Group(segment, number, group.num_rows, segment.first_seq, segment.last_seq, low, high)
    # Raw: a datetime would cut the nanoseconds.
    return Group(segment, number, group.num_rows, seq.min_raw, seq.max_raw, start.min_raw, start.max_raw)


def holds(seqs: npt.NDArray[np.int64], ascending: npt.NDArray[np.int64]) -> Flags:
    """Which of `seqs` are in `ascending`."""
    return np.asarray(pc.is_in(pa.array(seqs), value_set=pa.array(ascending)).to_numpy(zero_copy_only=False))
