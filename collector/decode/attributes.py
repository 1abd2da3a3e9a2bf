"""Serialised `KeyValue`s -> the long attribute table, all owners at once."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode import arrays, values
from collector.decode.columns import (
    ATTRIBUTE_SCHEMA,
    VALUE_BOOL,
    VALUE_BYTES,
    VALUE_DOUBLE,
    VALUE_INT,
    VALUE_JSON,
    VALUE_STRING,
)
from collector.decode.request import DecodeLimits
from collector.decode.wire import parse_sliced

_SOUNDS_ESSENTIAL = re.compile(r"usage|token|cost|model|provider|operation|system$", re.IGNORECASE)

_MEMBERS = (
    ("string_value", VALUE_STRING),
    ("bool_value", VALUE_BOOL),
    ("int_value", VALUE_INT),
    ("double_value", VALUE_DOUBLE),
    ("array_value", VALUE_JSON),
    ("kvlist_value", VALUE_JSON),
    ("bytes_value", VALUE_BYTES),
)


class AmbiguousValue(Exception):
    """A value has two members of its oneof on the wire; only protobuf's own parser knows which came last."""


@dataclass(frozen=True, slots=True)
class LongAttributes:
    """The table, and what was wrong on the way there."""

    table: pa.Table  # ATTRIBUTE_SCHEMA
    undecodable: arrays.Ints  # owners with a key or value that is not UTF-8 or does not parse
    truncated_values: int


def long_attributes(key_values: pa.BinaryArray, owners: arrays.Ints, limits: DecodeLimits) -> LongAttributes:
    """One row per serialised `KeyValue`; `owners` ascending. Raises `MalformedRequest`, `AmbiguousValue`."""
    if not len(key_values):
        return LongAttributes(ATTRIBUTE_SCHEMA.empty_table(), np.zeros(0, dtype=np.int64), 0)
    batch = parse_sliced("KeyValue", key_values, limits.slice_bytes)
    encoded = pc.dictionary_encode(batch.column(0))
    names, bad_names = arrays.text(encoded.dictionary)
    keys = pa.DictionaryArray.from_arrays(encoded.indices, names)
    members = {name: batch.column(1).field(position) for position, (name, _) in enumerate(_MEMBERS)}
    kinds = _kinds(members, len(batch))
    strings, bad_rows = arrays.text(members["string_value"])
    strings, kinds, broken = _structured(strings, members, kinds, limits)
    strings, kinds, truncated = _truncate(strings, kinds, keys, limits)
    if len(bad_names):
        bad_rows = np.union1d(bad_rows, np.flatnonzero(np.isin(_indices(keys), bad_names)))
    table = pa.Table.from_arrays(
        [
            pa.array(owners.astype(np.int32)),
            keys,
            pa.array(kinds),
            strings,
            _integers(members, len(batch)),
            members["double_value"],
        ],
        schema=ATTRIBUTE_SCHEMA,
    )
    undecodable = np.unique(owners[np.union1d(bad_rows, broken)]) if len(bad_rows) or len(broken) else bad_rows
    return LongAttributes(table, undecodable, truncated)


def _indices(keys: pa.DictionaryArray) -> arrays.Ints:
    return np.asarray(keys.indices.to_numpy(), dtype=np.int64)


def _kinds(members: dict[str, pa.Array], length: int) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """`value_type` per row; a value that is not set is JSON (null)."""
    kinds = np.zeros(length, dtype=np.int8)
    filled = np.zeros(length, dtype=np.int8)
    for name, kind in _MEMBERS:
        array = members[name]
        if array.null_count == length:
            continue
        present = array.is_valid().to_numpy(zero_copy_only=False)
        kinds[present] = kind
        filled += present
    if filled.max(initial=0) > 1:
        raise AmbiguousValue
    kinds[filled == 0] = VALUE_JSON
    return kinds


def _integers(members: dict[str, pa.Array], length: int) -> pa.Array:
    flags = members["bool_value"]
    if flags.null_count == length:
        return members["int_value"]
    return pc.coalesce(members["int_value"], flags.cast(pa.int64()))


def _structured(
    strings: pa.StringArray,
    members: dict[str, pa.Array],
    kinds: np.ndarray[tuple[int], np.dtype[np.int8]],
    limits: DecodeLimits,
) -> tuple[pa.StringArray, np.ndarray[tuple[int], np.dtype[np.int8]], arrays.Ints]:
    """Fills in the text of arrays, maps, bytes and unset values; also says which rows do not parse."""
    writers: tuple[tuple[str, Callable[[bytes], str | None]], ...] = (
        ("array_value", lambda wire: values.array_json(wire, limits.max_structured_bytes)),
        ("kvlist_value", lambda wire: values.map_json(wire, limits.max_structured_bytes)),
        ("bytes_value", lambda wire: base64.b64encode(wire).decode()),
    )
    rows: list[int] = []
    texts: list[str | None] = []
    for name, write in writers:
        array = members[name]
        if array.null_count == len(array):
            continue
        found = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
        rows.extend(found.tolist())
        texts.extend(write(wire) for wire in array.take(pa.array(found)).to_pylist())
    broken = np.asarray([row for row, text in zip(rows, texts, strict=True) if text is None], dtype=np.int64)
    unset = np.flatnonzero(kinds == VALUE_JSON)
    if len(unset) > len(rows) or rows:
        unset = np.setdiff1d(unset, np.asarray(rows, dtype=np.int64))
        rows.extend(unset.tolist())
        texts.extend(["null"] * len(unset))
        strings = pc.coalesce(strings, arrays.sparse(len(strings), rows, texts, pa.string()))
    return strings, kinds, broken


def _truncate(
    strings: pa.StringArray,
    kinds: np.ndarray[tuple[int], np.dtype[np.int8]],
    keys: pa.DictionaryArray,
    limits: DecodeLimits,
) -> tuple[pa.StringArray, np.ndarray[tuple[int], np.dtype[np.int8]], int]:
    """Cuts long text at a character. Structured values stay whole: cut JSON would not be JSON."""
    long = (arrays.lengths(strings) > limits.max_string_bytes) & (kinds != VALUE_JSON)
    if not long.any():
        return strings, kinds, 0
    long &= ~essential(keys.dictionary, limits)[_indices(keys)]
    rows = np.flatnonzero(long)
    cut = [values.cut_text(text, limits.max_string_bytes) for text in strings.take(pa.array(rows)).to_pylist()]
    kinds = np.where(long, np.int8(VALUE_STRING), kinds)
    return arrays.replace_rows(strings, rows, cut), kinds, len(rows)


def essential(names: pa.StringArray, limits: DecodeLimits) -> arrays.Mask:
    """Which keys must survive every cap: those that usage, model, cost and owners are read from."""
    listed = limits.essential_keys
    return np.array(
        [name in listed or _SOUNDS_ESSENTIAL.search(name) is not None for name in names.to_pylist()], dtype=np.bool_
    )


def cap_per_owner(table: pa.Table, owner_count: int, limits: DecodeLimits) -> tuple[pa.Table, arrays.Ints]:
    """At most `max_attributes_per_span` rows per owner, essential keys first; and how many each owner lost."""
    owners = np.asarray(table.column("owner_index").to_numpy(), dtype=np.int64)
    counts = np.bincount(owners, minlength=owner_count)
    lost = np.maximum(counts - limits.max_attributes_per_span, 0)
    if not lost.any():
        return table, lost
    keys = arrays.single(table.column("key"))
    optional = ~essential(keys.dictionary, limits)[_indices(keys)]
    order = np.lexsort((np.arange(len(owners)), optional, owners))
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(order[np.arange(len(owners)) - starts < limits.max_attributes_per_span])
    return table.take(pa.array(kept)), lost
