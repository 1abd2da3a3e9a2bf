"""Messages where they lie in a buffer, without a copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode import arrays

Positions = npt.NDArray[np.int32]

NO_BYTES = pa.py_buffer(bytes(1))
"""Stands for an empty buffer: NumPy makes no view of none."""


@dataclass(frozen=True, slots=True)
class Slices:
    """Message i is `buffer[starts[i]:ends[i]]`; ascending, none over another, anything between them."""

    buffer: pa.Buffer
    starts: Positions
    ends: Positions

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def of(cls, array: pa.BinaryArray) -> Slices:
        """The rows of an array."""
        bounds = arrays.offsets(array)
        return cls(array.buffers()[2] if bounds[-1] else NO_BYTES, bounds[:-1], bounds[1:])

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        """The buffer's bytes."""
        return np.frombuffer(self.buffer, dtype=np.uint8)

    def take(self, rows: arrays.Ints) -> pa.BinaryArray:
        """A copy of some messages; `rows` ascending."""
        count = len(rows)
        bounds = np.zeros(2 * count + 1, dtype=np.int32)
        bounds[1::2] = self.starts[rows]
        bounds[2::2] = self.ends[rows]
        pieces = pa.BinaryArray.from_buffers(pa.binary(), 2 * count, [None, pa.py_buffer(bounds), self.buffer])
        return pieces.take(pa.array(np.arange(1, 2 * count, 2, dtype=np.int32)))

    def array(self) -> pa.BinaryArray:
        """A copy of all."""
        return self.take(np.arange(len(self), dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Lists:
    """Messages in lists: those of owner 0, then those of owner 1, ..."""

    messages: Slices
    counts: Positions  # messages of each owner

    @classmethod
    def of(cls, array: pa.ListArray) -> Lists:
        """The rows of a list array of messages."""
        return cls(Slices.of(array.values), arrays.lengths(array))

    @property
    def owners(self) -> Positions:
        """For every message its owner."""
        return np.arange(len(self.counts), dtype=np.int32).repeat(self.counts)
