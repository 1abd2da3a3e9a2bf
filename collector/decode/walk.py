"""Spans on the wire, split into their fields all at once: step k reads the k-th field of every span.

Spans of one sender have the same fields in the same order, so a step is a few operations on whole columns. The form
that encoders write is read; whatever else may be on the wire is left to `ptars`, for the whole part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from collector.decode import arrays
from collector.decode.slices import Lists, Positions, Slices

Bytes = npt.NDArray[np.uint8]

TRACE_ID, SPAN_ID, TRACE_STATE, PARENT_ID, NAME, KIND, START, END = 0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x30, 0x39, 0x41
ATTRIBUTES, DROPPED_ATTRIBUTES, EVENTS, DROPPED_EVENTS, LINKS = 0x4A, 0x50, 0x5A, 0x60, 0x6A
DROPPED_LINKS, STATUS, FLAGS = 0x70, 0x7A, 0x85
"""The tags of `Span`: field number and wire type. That of the flags has a second byte, 1."""

_REPEATED = frozenset({ATTRIBUTES, EVENTS, LINKS})
_VARINTS = frozenset({KIND, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS})
_KNOWN = _REPEATED | _VARINTS | {TRACE_ID, SPAN_ID, TRACE_STATE, PARENT_ID, NAME, START, END, STATUS, FLAGS}

_MOST_CELLS = 1 << 22
"""Steps times spans of a list of fields, 8 bytes each on the way."""
_MANY_STEPS = 64
_WORTH = 16
"""Behind `_MANY_STEPS` a step must move one span in so many forward, else the parser is faster."""


class Unusual(Exception):
    """Something on the wire is not in the form that is read here."""


@dataclass(slots=True)
class Fields:
    """Where the fields of all spans are. Rows are spans."""

    starts: Positions  # of the spans
    _single: dict[int, tuple[Positions, Positions]] = field(default_factory=dict)
    _steps: dict[int, list[tuple[arrays.Ints | None, Positions, Positions]]] = field(default_factory=dict)

    def add(self, tag: int, rows: arrays.Ints | None, bodies: Positions, ends: Positions) -> None:
        """One step's fields of a tag; `rows`: None for all spans. Raises Unusual."""
        if tag in _REPEATED:
            steps = self._steps.setdefault(tag, [])
            steps.append((rows, bodies, ends))
            if len(steps) * len(self.starts) > _MOST_CELLS:
                raise Unusual
            return
        found = self._single.get(tag)
        if found is None and rows is None:
            self._single[tag] = bodies, ends
            return
        if found is None:
            found = self._single[tag] = self.starts.copy(), self.starts.copy()
        if rows is None or (found[1][rows] != self.starts[rows]).any():
            raise Unusual  # twice in one span
        found[0][rows] = bodies
        found[1][rows] = ends

    def spans_of(self, tag: int) -> tuple[Positions, Positions]:
        """Where the field starts and ends in each span; both are the span's start where it is not there."""
        return self._single.get(tag, (self.starts, self.starts))

    def lists_of(self, tag: int, messages: Slices) -> Lists:
        """A repeated field, in the order of the spans. `messages`: the spans."""
        steps = self._steps.get(tag, [])
        count = len(self.starts)
        if all(rows is None for rows, _, _ in steps):
            starts = _transposed([bodies for _, bodies, _ in steps], count)
            ends = _transposed([stops for _, _, stops in steps], count)
            return Lists(Slices(messages.buffer, starts, ends), np.full(count, len(steps), dtype=np.int32))
        grids = np.full((2, len(steps), count), -1, dtype=np.int32)
        for number, (rows, bodies, stops) in enumerate(steps):
            at = slice(None) if rows is None else rows
            grids[0, number, at] = bodies
            grids[1, number, at] = stops
        starts, ends = (_transposed(list(grid), count) for grid in grids)
        there = starts >= 0
        counts = np.count_nonzero(there.reshape(count, -1), axis=1).astype(np.int32)
        return Lists(Slices(messages.buffer, starts[there], ends[there]), counts)


def _transposed(steps: list[Positions], count: int) -> Positions:
    """One position per step and span, span by span."""
    if not steps:
        return np.zeros(0, dtype=np.int32)
    flat = np.empty((count, len(steps)), dtype=np.int32)
    for number, step in enumerate(steps):
        flat[:, number] = step
    return flat.reshape(-1)


def walk(spans: Slices) -> Fields:
    """The fields of all spans. Raises Unusual."""
    data, fields = spans.data, Fields(spans.starts)
    rows, at, stops = _unfinished(None, spans.starts, spans.ends)
    step = 0
    while len(at):
        following = at
        for tag, part in _tags(data, at):
            here = at if part is None else at[part]
            bodies, ends = _field(data, tag, here)
            fields.add(tag, rows if part is None else part if rows is None else rows[part], bodies, ends)
            if part is None:
                following = ends
            else:
                following = following.copy() if following is at else following
                following[part] = ends
        if (following > stops).any():
            raise Unusual
        rows, at, stops = _unfinished(rows, following, stops)
        step += 1
        if step > _MANY_STEPS and 0 < len(at) * _WORTH < len(spans):
            raise Unusual
    return fields


def _unfinished(
    rows: arrays.Ints | None, at: Positions, stops: Positions
) -> tuple[arrays.Ints | None, Positions, Positions]:
    """The spans of which something is left."""
    more = at < stops
    if more.all():
        return rows, at, stops
    left = arrays.rows(more)
    return left if rows is None else rows[left], at[left], stops[left]


def _tags(data: Bytes, at: Positions) -> Iterator[tuple[int, arrays.Ints | None]]:
    """Every tag of a step, and which of the spans have it; None for all. Raises Unusual."""
    tags = data.take(at, mode="clip")
    first = int(tags[0])
    if (tags == first).all():
        yield first, None
        return
    for tag in arrays.rows(np.bincount(tags)).tolist():
        yield tag, arrays.rows(tags == tag)


def _field(data: Bytes, tag: int, at: Positions) -> tuple[Positions, Positions]:
    """The bodies of fields that start at `at`, and where these end. Ends may be beyond the span. Raises Unusual."""
    if tag not in _KNOWN:
        raise Unusual
    bodies = at + np.int32(1)
    if tag in (START, END):
        return bodies, bodies + np.int32(8)
    first = data.take(bodies, mode="clip")
    if tag == FLAGS:
        if (first != 1).any():
            raise Unusual
        bodies = bodies + np.int32(1)
        return bodies, bodies + np.int32(4)
    if tag in _VARINTS:
        if (first >= 0x80).any():
            raise Unusual
        return bodies, bodies + np.int32(1)
    return _delimited(data, bodies, first)


def _delimited(data: Bytes, at: Positions, first: Bytes) -> tuple[Positions, Positions]:
    """Bodies whose length is written at `at`, up to three bytes of it (2 MiB)."""
    bodies = at + np.int32(1)
    sizes = first.astype(np.int32)
    wide = arrays.rows(first >= 0x80)
    if len(wide):
        start = bodies[wide]
        second, third = data.take(start, mode="clip"), data.take(start + 1, mode="clip")
        three = second >= 0x80
        if (three & (third >= 0x80)).any():
            raise Unusual
        told = (sizes[wide] & 0x7F) | (second & 0x7F).astype(np.int32) << 7
        sizes[wide] = told | np.where(three, third, 0).astype(np.int32) << 14
        bodies[wide] = start + 1 + three
    return bodies, bodies + sizes


def numbers(data: Bytes, found: tuple[Positions, Positions], width: int) -> npt.NDArray[np.uint64]:
    """Little-endian numbers of `width` bytes; 0 where a span has none."""
    starts, ends = found
    wide = np.zeros((len(starts), 8), dtype=np.uint8)
    rows = arrays.rows(ends > starts)
    if len(rows):
        places: Positions = np.add.outer(starts[rows], np.arange(width, dtype=np.int32))
        wide[rows, :width] = data.take(places)
    return wide.view("<u8")[:, 0]
