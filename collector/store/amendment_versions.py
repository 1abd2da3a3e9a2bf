"""Which amendments have changed since they were copied: most stay as they are from one publication to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


def _none() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Versions:
    """Amendments by what tells one state of them from another: at most one per seq, and its revision."""

    seqs: Ints = field(default_factory=_none)  # ascending
    revisions: Ints = field(default_factory=_none)

    @classmethod
    def of(cls, amendments: pa.Table) -> Self:
        """Those of a table with these two columns, in any order."""
        seqs = amendments.column("seq").to_numpy()
        order = np.argsort(seqs, kind="stable")
        return cls(seqs[order], amendments.column("revision").to_numpy()[order])

    def without(self, other: Versions) -> Ints:
        """Seqs of the amendments that `other` has not, or has in another revision."""
        if not len(other.seqs):
            return self.seqs
        place = np.minimum(np.searchsorted(other.seqs, self.seqs), len(other.seqs) - 1)
        same = (other.seqs[place] == self.seqs) & (other.revisions[place] == self.revisions)
        changed: Ints = self.seqs[~same]
        return changed
