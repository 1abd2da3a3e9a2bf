"""Serialised `KeyValue`s taken apart, all at once.

Encoders write an attribute in one form: the key, then the value, and in the value one member. Rows of that form are
read with a few operations on whole columns, about five times as fast as by a parser; all others (no key or no value,
unknown fields, a value in two parts, keys of 128 bytes and more) are left to `ptars`. The form leaves nothing to
interpret: each length must reach exactly to the end of what holds it.

Nothing is copied on the way: a row is four pieces of the wire (head, key, lengths between, payload of the value), and
`pieces` is an array of all of them over the wire's own buffer. What lies between two rows belongs to the second's head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode import arrays
from collector.decode.slices import Positions, Slices
from collector.decode.wire import parse_sliced

Bytes = npt.NDArray[np.uint8]

UNSET, STRING, BOOL, INT, DOUBLE, ARRAY, MAP, BYTES = range(8)
"""The member of `AnyValue` that is set; the numbers are the field numbers."""

_NAMES = ("string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value")
_TAGS = {0x0A: STRING, 0x10: BOOL, 0x18: INT, 0x21: DOUBLE, 0x2A: ARRAY, 0x32: MAP, 0x3A: BYTES}
_MEMBER_OF_TAG = np.array([_TAGS.get(tag, UNSET) for tag in range(256)], dtype=np.uint8)
_IS_TEXT = np.isin(np.arange(8), (STRING, ARRAY, MAP, BYTES))
_KEY_TAG, _VALUE_TAG = 0x0A, 0x12
_MAX_VARINT_BYTES = 10


class AmbiguousValue(Exception):
    """A value has two members of its oneof on the wire; only protobuf's own parser knows which came last."""


@dataclass(slots=True)
class KeyValues:
    """What `parse_key_values` yields; one row per attribute but for `pieces`."""

    pieces: pa.BinaryArray
    keys: Positions  # the piece that is the key
    payloads: Positions  # the piece that is the value, if it is text, bytes, an array or a map
    members: Bytes  # STRING .. BYTES; UNSET
    integers: arrays.Ints  # INT; BOOL as 0 or 1
    doubles: npt.NDArray[np.float64]  # DOUBLE


def parse_key_values(wire: Slices, slice_bytes: int) -> KeyValues:
    """Takes every row of `wire` apart. Raises `MalformedRequest`, `AmbiguousValue`."""
    parsed = _common_form(wire)
    others = arrays.rows(parsed.members == UNSET)
    if len(others):
        _add_others(parsed, wire.take(others), others, slice_bytes)
    return parsed


def _common_form(wire: Slices) -> KeyValues:
    """The rows of the form that encoders write; the others are UNSET."""
    count = len(wire)
    data, starts, ends = wire.data, wire.starts, wire.ends
    key_sizes = _at(data, starts + 1)
    between = starts + 2 + key_sizes
    good = (_at(data, starts) == _KEY_TAG) & (key_sizes < 0x80) & (_at(data, between) == _VALUE_TAG)
    values, fits = _body(data, between + 1, ends)
    good &= fits
    members = _MEMBER_OF_TAG[_at(data, values)]
    payloads, fits = _body(data, values + 1, ends)
    is_text = _IS_TEXT[members]
    members[~good | (is_text & ~fits)] = UNSET
    integers = np.zeros(count, dtype=np.int64)
    doubles = np.zeros(count, dtype=np.float64)
    if not is_text.all():
        _read_numbers(data, values + 1, ends, members, integers, doubles)
    bounds = np.empty(4 * count + 1, dtype=np.int32)
    bounds[0] = starts[0]
    bounds[4::4] = ends
    bounds[1::4] = np.where(good, starts + 2, starts)
    bounds[2::4] = np.where(good, between, starts)
    bounds[3::4] = np.where(good & is_text & fits, payloads, ends)
    pieces = pa.BinaryArray.from_buffers(pa.binary(), 4 * count, [None, pa.py_buffer(bounds), wire.buffer])
    rows = np.arange(0, 4 * count, 4, dtype=np.int32)
    return KeyValues(pieces, rows + 1, rows + 3, members, integers, doubles)


def _at(data: Bytes, positions: Positions) -> Bytes:
    return data.take(positions, mode="clip")


def _body(data: Bytes, at: Positions, ends: Positions) -> tuple[Positions, arrays.Mask]:
    """Where the body starts whose length is written at `at`, and whether it reaches exactly to `ends`.

    Lengths of four bytes and more (2 MiB) are not read.
    """
    first = _at(data, at)
    body = at + 1
    fits = first == ends - body
    wide = arrays.rows(first >= 0x80)
    if len(wide):
        start, end = at[wide], ends[wide]
        three = end - start - 3 >= 1 << 14
        sizes = end - start - 2 - three
        second, third = _at(data, start + 1), _at(data, start + 2)
        told = (first[wide] & 0x7F).astype(np.int32) | (second & 0x7F).astype(np.int32) << 7
        told |= np.where(three, third, 0).astype(np.int32) << 14
        ended = np.where(three, (second >= 0x80) & (third < 0x80), second < 0x80)
        fits[wide] = (told == sizes) & ended
        body[wide] += 1 + three
    return body, fits


def _read_numbers(
    data: Bytes,
    at: Positions,
    ends: Positions,
    members: Bytes,
    integers: arrays.Ints,
    doubles: npt.NDArray[np.float64],
) -> None:
    """Fills in the numbers, and takes out of `members` those that do not end where their value ends."""
    rows = arrays.rows(members == BOOL)
    if len(rows):
        flags = _at(data, at[rows])
        integers[rows] = flags
        members[rows[(ends[rows] - at[rows] != 1) | (flags > 1)]] = UNSET
    rows = arrays.rows(members == INT)
    if len(rows):
        integers[rows], good = _varints(data, at[rows], ends[rows])
        members[rows[~good]] = UNSET
    rows = arrays.rows(members == DOUBLE)
    if len(rows):
        good = ends[rows] - at[rows] == 8
        members[rows[~good]] = UNSET
        wire = data.take(at[rows[good]][:, None] + np.arange(8, dtype=np.int32))
        doubles[rows[good]] = wire.view("<f8")[:, 0]


def _varints(data: Bytes, at: Positions, ends: Positions) -> tuple[arrays.Ints, arrays.Mask]:
    """The numbers from `at` (their lowest 64 bits), and whether each is one varint that stops at its end."""
    sizes = ends - at
    good = (sizes > 0) & (sizes <= _MAX_VARINT_BYTES)
    numbers = np.zeros(len(at), dtype=np.uint64)
    for position in range(int(sizes[good].max(initial=0))):
        byte = _at(data, at + position)
        inside = position < sizes
        good &= ~inside | ((byte >= 0x80) == (position < sizes - 1))
        numbers |= np.where(inside, byte & 0x7F, 0).astype(np.uint64) << np.uint64(7 * position)
    return numbers.view(np.int64), good


def _add_others(parsed: KeyValues, wire: pa.BinaryArray, rows: arrays.Ints, slice_bytes: int) -> None:
    """Has `ptars` read `wire`, which is `rows`, and adds its keys and payloads to the pieces."""
    batch = parse_sliced("KeyValue", wire, slice_bytes)
    fields = [batch.column(1).field(position) for position in range(len(_NAMES))]
    members = np.zeros(len(rows), dtype=np.uint8)
    filled = np.zeros(len(rows), dtype=np.uint8)
    for number, field in enumerate(fields, STRING):
        present = field.is_valid().to_numpy(zero_copy_only=False)
        members[present] = number
        filled += present
    if filled.max(initial=0) > 1:
        raise AmbiguousValue
    flags = fields[BOOL - 1].cast(pa.int64())
    texts = [fields[member - 1] for member in (STRING, ARRAY, MAP, BYTES)]
    texts = [field for field in texts if field.null_count < len(rows)]
    payloads = pc.coalesce(*texts, pa.scalar(b"", pa.binary())) if texts else pa.array([b""] * len(rows), pa.binary())
    parsed.keys[rows] = len(parsed.pieces) + np.arange(len(rows))
    parsed.payloads[rows] = parsed.keys[rows] + len(rows)
    parsed.pieces = pa.concat_arrays([parsed.pieces, batch.column(0), payloads])
    parsed.members[rows] = members
    parsed.integers[rows] = pc.coalesce(fields[INT - 1], flags, 0).to_numpy()
    parsed.doubles[rows] = fields[DOUBLE - 1].fill_null(0.0).to_numpy()
