"""Groups of spans that record one and the same model call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.attribute.identity import Record, read_record
from collector.attribute.skeleton import Ints, Spans


@dataclass(slots=True)
class _Group:
    """All records of one call, and what choosing among them needs, kept up to date as groups are joined."""

    rows: list[int]
    scopes: set[int]
    response_ids: set[str]
    preference: tuple[int, ...]  # of the most preferred records; only they are in the two maps below
    earliest: dict[int, tuple[int, str, str]]  # trace -> key of its first record
    deepest: dict[int, tuple[int, tuple[int, str, str], Record]]  # trace -> its deepest, then first, record

    def absorb(self, other: _Group) -> None:
        """Take over another group's records. The cost follows the size of the other."""
        self.rows.extend(other.rows)
        self.scopes |= other.scopes
        self.response_ids |= other.response_ids
        if other.preference > self.preference:
            return
        if other.preference < self.preference:
            self.preference, self.earliest, self.deepest = other.preference, other.earliest, other.deepest
            return
        for trace, key in other.earliest.items():
            self.earliest[trace] = min(key, self.earliest.get(trace, key))
            candidate = other.deepest[trace]
            self.deepest[trace] = min(candidate, self.deepest.get(trace, candidate), key=lambda found: found[:2])

    def best(self) -> Record:
        """Of the most preferred records: the deepest one of the trace that saw the call first."""
        trace = min(self.earliest, key=lambda trace: self.earliest[trace])
        return self.deepest[trace][2]


@dataclass(slots=True)
class Calls:
    """Leaf rows joined into calls (a disjoint-set forest), and leaves that turned out to be wrappers of calls."""

    spans: Spans
    depth: Ints
    wrappers: set[int] = field(default_factory=set)
    _records: dict[int, Record] = field(default_factory=dict)
    _parent: dict[int, int] = field(default_factory=dict)
    _groups: dict[int, _Group] = field(default_factory=dict)  # by root row; only of more than one row

    def record(self, row: int) -> Record:
        """The row read out, once."""
        found = self._records.get(row)
        if found is None:
            found = self._records[row] = read_record(self.spans, row)
        return found

    def root(self, row: int) -> int:
        """The row that stands for the row's call."""
        top = row
        while (above := self._parent.get(top, top)) != top:
            top = above
        while (above := self._parent.get(row, row)) != top:
            self._parent[row] = top
            row = above
        return top

    def rows(self, row: int) -> list[int]:
        """All rows that record this row's call."""
        group = self._groups.get(self.root(row))
        return [row] if group is None else group.rows

    def join(self, one: int, other: int) -> None:
        """Both rows record one call."""
        kept, lost = self.root(one), self.root(other)
        if kept == lost:
            return
        if len(self.rows(kept)) < len(self.rows(lost)):
            kept, lost = lost, kept
        group = self._group(kept)
        group.absorb(self._group(lost))
        self._groups[kept] = group
        self._groups.pop(lost, None)
        self._parent[lost] = kept

    def joined(self) -> Iterator[list[int]]:
        """The rows of every call with more than one record."""
        return (group.rows for group in self._groups.values())

    def scopes(self, row: int) -> set[int]:
        """The instrumentations that have already recorded this row's call."""
        return self._group(self.root(row)).scopes

    def response_ids(self, row: int) -> set[str]:
        """The provider's ids that the records of this row's call say."""
        return self._group(self.root(row)).response_ids

    def best(self, row: int) -> Record:
        """The record to keep of this row's call: the preferred one (`Record.preference`), then the deepest."""
        group = self._groups.get(self.root(row))
        return self.record(row) if group is None else group.best()

    def _group(self, root: int) -> _Group:
        found = self._groups.get(root)
        if found is not None:
            return found
        record = self.record(root)
        deepest = {record.trace: (-int(self.depth[root]), record.key, record)}
        ids = set() if record.response_id is None else {record.response_id}
        return _Group([root], {record.scope}, ids, record.preference, {record.trace: record.key}, deepest)
