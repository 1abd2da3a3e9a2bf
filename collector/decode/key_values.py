"""Serialised `KeyValue`s taken apart, all at once.

Encoders write an attribute in one form: the key, then the value, and in the value one member. Rows of that form are
read by the compiled library, about twenty times as fast as by a parser; all others (no key or no value, unknown fields,
a value in two parts) are left to `ptars`, without the library all of them. The form leaves nothing to interpret: each
length must reach exactly to the end of what holds it.

Nothing is copied on the way: a row is four pieces of the wire (head, key, lengths between, payload of the value), and
`pieces` is an array of all of them over the wire's own buffer. What lies between two rows belongs to the second's head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.compiled import texts as compiled
from collector.decode import arrays
from collector.decode.slices import Positions, Slices
from collector.decode.texts import wire_texts
from collector.decode.wire import parse_sliced

Bytes = npt.NDArray[np.uint8]

UNSET, STRING, BOOL, INT, DOUBLE, ARRAY, MAP, BYTES = range(8)
"""The member of `AnyValue` that is set; the numbers are the field numbers."""

_NAMES = ("string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value")
_NOTHING = pa.array([], pa.binary())


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
    found = compiled.key_values(wire.data, wire.starts, wire.ends)
    if found is None:
        nothing = np.zeros(count, dtype=np.int32)
        integers, doubles = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.float64)
        return KeyValues(_NOTHING, nothing, nothing.copy(), np.zeros(count, dtype=np.uint8), integers, doubles)
    rows = np.arange(0, 4 * count, 4, dtype=np.int32)
    pieces = wire_texts(found.bounds, wire.buffer)
    return KeyValues(pieces, rows + 1, rows + 3, found.members, found.integers, found.doubles)


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
