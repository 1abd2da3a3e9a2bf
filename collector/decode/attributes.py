"""Serialised `KeyValue`s -> the long attribute table, all owners at once."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
from collector.decode.key_values import ARRAY, BOOL, BYTES, DOUBLE, INT, MAP, UNSET, KeyValues, parse_key_values
from collector.decode.request import DecodeLimits
from collector.decode.slices import Lists, Slices
from collector.decode.texts import encoded, laid

_SOUNDS_ESSENTIAL = re.compile(r"usage|token|cost|model|provider|operation|system$", re.IGNORECASE)

_KIND_OF_MEMBER = np.array(
    [VALUE_JSON, VALUE_STRING, VALUE_BOOL, VALUE_INT, VALUE_DOUBLE, VALUE_JSON, VALUE_JSON, VALUE_BYTES], dtype=np.int8
)
"""`value_type` of each member of `AnyValue`; a value that is not set is JSON (null)."""

_FEW_ATTRIBUTES = 16_384

Kinds = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class LongAttributes:
    """The table, and what was wrong on the way there."""

    table: pa.Table  # ATTRIBUTE_SCHEMA
    undecodable: arrays.Ints  # owners with a key or value that is not UTF-8 or does not parse
    cut: arrays.Ints  # rows whose text was too long


def long_attributes(key_values: Slices, owners: npt.NDArray[np.integer[Any]], limits: DecodeLimits) -> LongAttributes:
    """One row per serialised `KeyValue`; `owners` ascending. Raises `MalformedRequest`, `AmbiguousValue`."""
    if not len(key_values):
        return LongAttributes(ATTRIBUTE_SCHEMA.empty_table(), arrays.NO_ROWS, arrays.NO_ROWS)
    parsed = parse_key_values(key_values, limits.slice_bytes)
    codes, distinct = encoded(parsed.pieces, parsed.keys)
    names, bad_names = arrays.text(distinct)
    keys = pa.DictionaryArray.from_arrays(pa.array(codes), names)
    kinds = _KIND_OF_MEMBER[parsed.members]
    payloads, broken = _payloads(parsed, limits)
    strings, bad_rows = arrays.text(payloads)
    strings, kinds, cut = _truncate(strings, kinds, keys, limits)
    if len(bad_names):
        bad_rows = np.union1d(bad_rows, arrays.rows(np.isin(_indices(keys), bad_names)))
    table = pa.Table.from_arrays(
        [
            pa.array(owners.astype(np.int32, copy=False)),
            keys,
            pa.array(kinds),
            strings,
            arrays.where(parsed.integers, (parsed.members == INT) | (parsed.members == BOOL)),
            arrays.where(parsed.doubles, parsed.members == DOUBLE),
        ],
        schema=ATTRIBUTE_SCHEMA,
    )
    undecodable = np.unique(owners[np.union1d(bad_rows, broken)]) if len(bad_rows) or len(broken) else bad_rows
    return LongAttributes(table, undecodable, cut)


def two_long_attributes(lists: tuple[Lists, Lists], limits: DecodeLimits) -> list[LongAttributes]:
    """The attributes of two levels, each given as lists of serialised `KeyValue`s.

    A few attributes of both are read at once and then parted: a call costs as much as the reading of 2,000 of them.
    """
    owners = [one.owners for one in lists]
    few, more = sorted(map(len, owners))
    if not few or more > _FEW_ATTRIBUTES:
        return [long_attributes(one.messages, rows, limits) for one, rows in zip(lists, owners, strict=True)]
    rows, border = len(owners[0]), len(lists[0].counts)
    both = long_attributes(
        Slices.of(pa.concat_arrays([one.messages.array() for one in lists])),
        np.concatenate([owners[0], owners[1] + border]),
        limits,
    )
    second = both.table.take(pa.array(np.arange(rows, both.table.num_rows)))
    second = second.set_column(0, ATTRIBUTE_SCHEMA.field(0), pa.array(owners[1].astype(np.int32)))
    undecodable, cut = both.undecodable, both.cut
    return [
        LongAttributes(both.table.slice(0, rows), undecodable[undecodable < border], cut[cut < rows]),
        LongAttributes(second, undecodable[undecodable >= border] - border, cut[cut >= rows] - rows),
    ]


def _indices(keys: pa.DictionaryArray) -> arrays.Ints:
    return np.asarray(keys.indices.to_numpy(), dtype=np.int64)


def _payloads(parsed: KeyValues, limits: DecodeLimits) -> tuple[pa.BinaryArray, arrays.Ints]:
    """The text of every value that is no number, NULL for the others; also says which rows do not parse.

    Arrays, maps and bytes are written once per distinct value: most are short lists such as finish reasons.
    """
    writers: tuple[tuple[int, Callable[[bytes], str | None]], ...] = (
        (ARRAY, lambda wire: values.array_json(wire, limits.max_structured_bytes)),
        (MAP, lambda wire: values.map_json(wire, limits.max_structured_bytes)),
        (BYTES, lambda wire: base64.b64encode(wire).decode()),
    )
    texts = [b"null"]
    broken = [arrays.NO_ROWS]
    border = len(parsed.pieces)
    picks = parsed.payloads.copy()
    picks[parsed.members == UNSET] = border
    picks[(parsed.members >= BOOL) & (parsed.members <= DOUBLE)] = -1
    for member, write in writers:
        rows = arrays.rows(parsed.members == member)
        if not len(rows):
            continue
        codes, distinct = encoded(parsed.pieces, parsed.payloads[rows])
        written = [write(wire) for wire in distinct.to_pylist()]
        picks[rows] = border + len(texts) + codes
        broken.append(rows[np.array([text is None for text in written])[codes]])
        texts.extend((text or "").encode() for text in written)
    return laid(parsed.pieces, picks, pa.array(texts, pa.binary())), np.concatenate(broken)


def _truncate(
    strings: pa.StringArray,
    kinds: Kinds,
    keys: pa.DictionaryArray,
    limits: DecodeLimits,
) -> tuple[pa.StringArray, Kinds, arrays.Ints]:
    """Cuts long text at a character. Structured values stay whole: cut JSON would not be JSON."""
    long = (arrays.lengths(strings) > limits.max_string_bytes) & (kinds != VALUE_JSON)
    if not long.any():
        return strings, kinds, arrays.NO_ROWS
    long &= ~essential(keys.dictionary, limits)[_indices(keys)]
    rows = arrays.rows(long)
    cut = [values.cut_text(text, limits.max_string_bytes) for text in strings.take(pa.array(rows)).to_pylist()]
    kinds = np.where(long, np.int8(VALUE_STRING), kinds)
    return arrays.replace_rows(strings, rows, cut), kinds, rows


def essential(names: pa.StringArray, limits: DecodeLimits) -> arrays.Mask:
    """Which keys must survive every cap: those that usage, model, cost and owners are read from."""
    listed = limits.essential_keys
    return np.array(
        [name in listed or _SOUNDS_ESSENTIAL.search(name) is not None for name in names.to_pylist()], dtype=np.bool_
    )


def cap_per_owner(
    table: pa.Table, counts: npt.NDArray[np.int32], limits: DecodeLimits
) -> tuple[pa.Table, npt.NDArray[np.int32]]:
    """At most `max_attributes_per_span` rows per owner, which has `counts`, essential keys first; also the losses."""
    lost = np.maximum(counts - limits.max_attributes_per_span, 0)
    if not lost.any():
        return table, lost
    owners = np.asarray(table.column("owner_index").to_numpy(), dtype=np.int64)
    keys = arrays.single(table.column("key"))
    optional = ~essential(keys.dictionary, limits)[_indices(keys)]
    order = np.lexsort((np.arange(len(owners)), optional, owners))
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.sort(order[np.arange(len(owners)) - starts < limits.max_attributes_per_span])
    return table.take(pa.array(kept)), lost
