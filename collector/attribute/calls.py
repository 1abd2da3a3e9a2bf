"""Groups of spans that record one and the same model call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.attribute.identity import Record, read_record
from collector.attribute.skeleton import Ints, Spans


@dataclass(slots=True)
class Calls:
    """Groups of leaf rows that record one call (a disjoint-set forest), and leaves that turned out to be wrappers."""

    spans: Spans
    depth: Ints
    wrappers: set[int] = field(default_factory=set)
    _records: dict[int, Record] = field(default_factory=dict)
    _parent: dict[int, int] = field(default_factory=dict)
    _members: dict[int, list[int]] = field(default_factory=dict)

    def record(self, row: int) -> Record:
        """The row read out, once."""
        found = self._records.get(row)
        if found is None:
            found = self._records[row] = read_record(self.spans, row)
        return found

    def root(self, row: int) -> int:
        """The row that stands for the row's group."""
        top = row
        while (above := self._parent.get(top, top)) != top:
            top = above
        while (above := self._parent.get(row, row)) != top:
            self._parent[row] = top
            row = above
        return top

    def members(self, root: int) -> list[int]:
        """All rows of a group."""
        return self._members.get(root, [root])

    def join(self, one: int, other: int) -> None:
        """One call: put both rows' groups together."""
        kept, lost = self.root(one), self.root(other)
        if kept == lost:
            return
        if len(self.members(kept)) < len(self.members(lost)):
            kept, lost = lost, kept
        self._members[kept] = self.members(kept) + self.members(lost)
        self._members.pop(lost, None)
        self._parent[lost] = kept

    def joined(self) -> Iterator[list[int]]:
        """All groups of more than one row."""
        return iter(self._members.values())

    def scopes(self, row: int) -> set[int]:
        """The instrumentations that have already recorded this row's call."""
        return {int(self.spans.scope.codes[member]) for member in self.members(self.root(row))}

    def best(self, row: int) -> Record:
        """The record to keep of this row's call.

        Usage before none, measured before estimated, priced before unpriced, more known of the cache, the more
        trusted dialect, success before failure; then the trace that saw the call first, the deeper span, the earlier.
        """
        records = [self.record(member) for member in self.members(self.root(row))]
        if len(records) == 1:
            return records[0]
        top = min(record.preference for record in records)
        records = [record for record in records if record.preference == top]
        trace = min(records, key=lambda record: record.key).trace
        return min(records, key=lambda record: (record.trace != trace, -int(self.depth[record.row]), record.key))
