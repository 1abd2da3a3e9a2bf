"""The attributes that matter, as numpy columns: one row per attribute, with a dense (span, key) -> row index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import VALUE_BOOL, VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.normalise.keys import BLOB, BLOB_READERS, BLOB_TARGETS, KEY_IDS, KEYS, NUMBER_TRANSFORMS, ROLES
from otel_cost.call import Flag
from otel_cost.normalise.transforms import (
    BLOBS,
    MAX_COUNT,
    MAX_USD,
    MICROS_PER_SECOND,
    NUMBERS,
    PICO_PER_USD,
    at_path,
)

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEGATIVE, NOT_A_NUMBER, TOO_LARGE = int(Flag.NEGATIVE), int(Flag.NOT_A_NUMBER), int(Flag.TOO_LARGE)


@dataclass(slots=True)
class Rows:
    """Attribute rows of known keys, ascending by span. `strings` is NULL unless the type is STRING, JSON or BYTES."""

    owner: npt.NDArray[np.int32]
    key: npt.NDArray[np.int16]  # index into keys.KEYS
    value_type: npt.NDArray[np.int8]
    ints: Ints
    doubles: npt.NDArray[np.float64]
    strings: pa.Array

    def take(self, index: npt.NDArray[np.intp]) -> Rows:
        """The rows at these places."""
        return Rows(
            self.owner[index],
            self.key[index],
            self.value_type[index],
            self.ints[index],
            self.doubles[index],
            self.strings.take(pa.array(index)),
        )


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; dictionaries of its chunks are merged."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def values_of(array: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The values of a fixed-width array without a copy; NULL slots hold anything."""
    buffer = array.buffers()[1]
    if len(array) == 0 or buffer is None:
        return np.zeros(len(array), dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype, count=array.offset + len(array))[array.offset :]


def known_rows(attributes: pa.Table) -> Rows:
    """The rows of an attribute table whose key any table names. Of a key that stands twice on a span the last wins."""
    key = one_chunk(attributes.column("key"))
    dictionary = key.dictionary.to_pylist()
    numbers = np.array([KEY_IDS.get(name, -1) for name in dictionary] or [-1], dtype=np.int16)
    known = numbers[values_of(key.indices, np.int32)] if len(key) else np.zeros(0, dtype=np.int16)
    index = np.flatnonzero(known >= 0)
    return Rows(
        values_of(one_chunk(attributes.column("owner_index")), np.int32)[index],
        known[index],
        values_of(one_chunk(attributes.column("value_type")), np.int8)[index],
        values_of(one_chunk(attributes.column("int_value")), np.int64)[index],
        values_of(one_chunk(attributes.column("double_value")), np.float64)[index],
        one_chunk(attributes.column("string_value")).take(pa.array(index)),
    )


@dataclass(frozen=True, slots=True)
class Places:
    """Where the value of a (span, key) stands in the rows; -1: nowhere."""

    table: npt.NDArray[np.int32]  # [span, local key]
    local: npt.NDArray[np.int16]  # key -> local key, -1: no such key in the batch

    def of(self, key: int) -> npt.NDArray[np.int32] | None:
        """Row of the key for every span, or None when the batch has no such key."""
        place = self.local[key]
        return None if place < 0 else self.table[:, place]

    def chosen(self, keys: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        """Row of each span's own key (-1: none)."""
        place = np.where(keys >= 0, self.local[keys], -1)
        found = self.table[np.arange(len(keys)), place]
        return np.where(place >= 0, found, np.int32(-1))


def place(rows: Rows, spans: int) -> tuple[Rows, Places]:
    """The rows without repeated keys, and where they stand."""
    local = np.full(len(KEYS), -1, dtype=np.int16)
    present = np.flatnonzero(np.bincount(rows.key, minlength=len(KEYS)))
    local[present] = np.arange(len(present), dtype=np.int16)
    table = np.full((spans, max(len(present), 1)), -1, dtype=np.int32)
    column = local[rows.key]
    numbers = np.arange(len(rows.key), dtype=np.int32)
    flat = rows.owner.astype(np.int64) * table.shape[1] + column
    table.ravel()[flat] = numbers
    kept = table.ravel()[flat] == numbers
    if kept.all():
        return rows, Places(table, local)
    return place(rows.take(np.flatnonzero(kept)), spans)


def with_blob_rows(rows: Rows) -> Rows:
    """The rows and one more for every number that a table reads inside a JSON attribute."""
    index = np.flatnonzero((ROLES[rows.key] & BLOB != 0) & (rows.value_type == VALUE_STRING))
    if not len(index):
        return rows
    owner, key, kind, ints, doubles, strings = [], [], [], [], [], []
    texts = rows.strings.take(pa.array(index)).dictionary_encode()
    parsed: dict[tuple[int, int], list[tuple[int, int, int, float, str | None]]] = {}
    for row, code in zip(index.tolist(), texts.indices.to_pylist(), strict=True):
        blob = int(rows.key[row])
        found = parsed.get((blob, code))
        if found is None:
            found = parsed[blob, code] = _inside(KEYS[blob], texts.dictionary[code].as_py())
        for target, value_type, whole, real, text in found:
            owner.append(rows.owner[row])
            key.append(target)
            kind.append(value_type)
            ints.append(whole)
            doubles.append(real)
            strings.append(text)
    merged = Rows(
        np.concatenate([rows.owner, np.array(owner, dtype=np.int32)]),
        np.concatenate([rows.key, np.array(key, dtype=np.int16)]),
        np.concatenate([rows.value_type, np.array(kind, dtype=np.int8)]),
        np.concatenate([rows.ints, np.array(ints, dtype=np.int64)]),
        np.concatenate([rows.doubles, np.array(doubles, dtype=np.float64)]),
        pa.concat_arrays([rows.strings, pa.array(strings, pa.string())]),
    )
    return merged.take(np.argsort(merged.owner, kind="stable"))


def _inside(key: str, text: str) -> list[tuple[int, int, int, float, str | None]]:
    parsed = BLOBS[BLOB_READERS[key]](text)
    found: list[tuple[int, int, int, float, str | None]] = []
    for path, target in BLOB_TARGETS[key]:
        value = at_path(parsed, path) if parsed else None
        if isinstance(value, bool):
            found.append((target, VALUE_BOOL, int(value), 0.0, None))
        elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            found.append((target, VALUE_INT, value, 0.0, None))
        elif isinstance(value, int | float):
            found.append((target, VALUE_DOUBLE, 0, _double(value), None))
        elif isinstance(value, str):
            found.append((target, VALUE_STRING, 0, 0.0, value))
        elif value is not None:
            found.append((target, VALUE_BOOL, 0, 0.0, None))  # any other type is no number either
    return found


def _double(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def read_numbers(rows: Rows) -> tuple[Ints, Bools, Ints]:
    """For every row the quantity, whether there is one, and the flags that reading it raised (0 for other keys).

    The quantities have one entry more, a 0 that answers for row -1.
    """
    size = len(rows.key)
    quantity, valid, flags = np.zeros(size + 1, np.int64), np.zeros(size, np.bool_), np.zeros(size, np.int64)
    present = np.bincount(rows.key, minlength=len(KEYS)) > 0
    for transform, mine in _KEYS_READ_AS.items():
        if (present & mine).any():
            index = np.flatnonzero(mine[rows.key])
            quantity[index], valid[index], flags[index] = _read(rows, index, transform)
    return quantity, valid, flags


def _read_as(transform: str) -> Bools:
    mine = np.zeros(len(KEYS), np.bool_)
    mine[[KEY_IDS[key] for key, name in NUMBER_TRANSFORMS.items() if name == transform]] = True
    return mine


_KEYS_READ_AS = {transform: _read_as(transform) for transform in sorted(set(NUMBER_TRANSFORMS.values()))}


FACTORS = {"micros": (MICROS_PER_SECOND, MAX_COUNT), "usd": (PICO_PER_USD, MAX_USD * PICO_PER_USD)}


def _read(rows: Rows, index: npt.NDArray[np.intp], transform: str) -> tuple[Ints, Bools, Ints]:
    kind = rows.value_type[index]
    factor, limit = FACTORS.get(transform, (1, MAX_COUNT))
    quantity = np.zeros(len(index), np.int64)
    flags = np.full(len(index), NOT_A_NUMBER, np.int64)
    whole = np.flatnonzero(kind == VALUE_INT)
    quantity[whole], flags[whole] = _whole(rows.ints[index[whole]], factor, limit)
    real = np.flatnonzero(kind == VALUE_DOUBLE)
    if len(real):
        quantity[real], flags[real] = _real(rows.doubles[index[real]], factor, limit, transform in FACTORS)
    valid = flags == 0
    text = np.flatnonzero(kind == VALUE_STRING)
    if len(text):
        quantity[text], valid[text], flags[text] = _text(rows.strings.take(pa.array(index[text])), NUMBERS[transform])
    if transform == "positive":
        valid &= quantity > 0
    return quantity, valid, flags


def _whole(values: Ints, factor: int, limit: int) -> tuple[Ints, Ints]:
    flags = np.where(values < 0, NEGATIVE, np.where(values > limit // factor, TOO_LARGE, 0))
    return np.where(flags == 0, values, 0) * factor, flags


def _real(values: npt.NDArray[np.float64], factor: int, limit: int, rounds: bool) -> tuple[Ints, Ints]:
    flags = np.where(values < 0, NEGATIVE, np.where(values > limit // factor, TOO_LARGE, 0))
    flags = np.where(np.isnan(values), NOT_A_NUMBER, flags)
    usable = np.where(flags == 0, values, 0.0) * factor
    rounded = np.rint(usable)
    if not rounds:
        flags = np.where((flags == 0) & (rounded != usable), NOT_A_NUMBER, flags)
    return np.where(flags == 0, rounded, 0.0).astype(np.int64), flags


def _text(strings: pa.Array, read: Callable[[object], tuple[int | None, int]]) -> tuple[Ints, Bools, Ints]:
    encoded = strings.dictionary_encode()
    found = [read(value) for value in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    quantity = np.array([number or 0 for number, _ in found], dtype=np.int64)[codes]
    valid = np.array([number is not None for number, _ in found], dtype=np.bool_)[codes]
    return quantity, valid, np.array([int(flag) for _, flag in found], dtype=np.int64)[codes]


def count_distinct(strings: pa.Array) -> tuple[Ints, pa.Array]:
    """Codes and dictionary of strings; NULL has the code -1."""
    encoded = strings.dictionary_encode()
    return pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64), encoded.dictionary
