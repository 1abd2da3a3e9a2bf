"""Quantities as the transforms of the tables read them, for all number keys at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.normalise.fields import Bools, Fields, Ints, Present
from otel_cost.call import Flag
from otel_cost.normalise.transforms import MAX_COUNT, MAX_USD, MICROS_PER_SECOND, NUMBERS, PICO_PER_USD

NEGATIVE, NOT_A_NUMBER, TOO_LARGE = int(Flag.NEGATIVE), int(Flag.NOT_A_NUMBER), int(Flag.TOO_LARGE)
ESTIMATED = int(Flag.ESTIMATED)
FACTORS = {"micros": (MICROS_PER_SECOND, MAX_COUNT), "usd": (PICO_PER_USD, MAX_USD * PICO_PER_USD)}


@dataclass(frozen=True, slots=True)
class Numbers:
    """Per row of a number key. A quantity that is not valid is 0."""

    present: Present
    quantity: Ints
    valid: Bools
    flags: Ints | None  # what reading raised; None: nothing anywhere

    def chosen(self, keys: list[int], shape: Ints) -> tuple[Ints, Bools]:
        """Each span's quantity (0: none) of the key of its shape (-1: none), and which spans have one."""
        distinct = set(keys) - {-1}
        if not distinct:
            return np.zeros(len(shape), np.int64), np.zeros(len(shape), np.bool_)
        if len(distinct) == 1 and -1 not in keys:
            return self.present.spread(distinct.pop(), self.quantity), np.ones(len(shape), np.bool_)
        key_of_row = np.array(keys, np.int64)[shape]
        quantity = np.zeros(len(shape), np.int64)
        for key in distinct:
            quantity += self.present.spread(key, self.quantity) * (key_of_row == key)
        return quantity, key_of_row >= 0


def read_numbers(fields: Fields) -> Numbers:
    """All quantities of the batch, whether they are usable, and the flags of reading them."""
    present = fields.present(0, fields.keys.numbers)
    kind, values = fields.kind[present.rows], fields.ints[present.rows]
    values[kind != VALUE_INT] = 0
    quantity, valid = np.empty(len(kind), np.int64), np.empty(len(kind), np.bool_)
    flags: Ints | None = None
    for transform, (first, last) in fields.keys.transforms.items():
        part = slice(int(present.ends[first]), int(present.ends[last]))
        rows = present.rows[part]
        if len(rows):
            quantity[part], valid[part], raised = _read(fields, transform, rows, kind[part], values[part])
            if raised is not None:
                flags = np.zeros(len(kind), np.int64) if flags is None else flags
                flags[part] = raised
    return Numbers(present, quantity, valid, flags)


def _read(
    fields: Fields, transform: str, rows: npt.NDArray[np.int32], kind: npt.NDArray[np.int8], values: Ints
) -> tuple[Ints, Bools, Ints | None]:
    factor, limit = FACTORS.get(transform, (1, MAX_COUNT))
    valid = kind == VALUE_INT
    others = np.flatnonzero(~valid)
    flags: Ints | None = None
    if not len(others) and values.min() >= 0 and values.max() <= limit // factor:
        quantity = values if factor == 1 else values * factor
    else:
        quantity, flags = _whole(values, factor, limit)
        valid &= flags == 0
        if len(others):
            _read_others(fields, transform, others, (rows[others], kind[others]), (quantity, valid, flags))
    if transform == "positive":
        valid &= quantity > 0
    elif transform == "estimate":
        flags = np.where(valid, ESTIMATED, 0) | (0 if flags is None else flags)
    return quantity, valid, flags


def _read_others(
    fields: Fields,
    transform: str,
    others: npt.NDArray[np.intp],
    said: tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]],
    found: tuple[Ints, Bools, Ints],
) -> None:
    """Quantities that are no integers, written into `found` at the places `others`."""
    (rows, kind), (quantity, valid, flags) = said, found
    flags[others] = NOT_A_NUMBER
    real = np.flatnonzero(kind == VALUE_DOUBLE)
    if len(real):
        at = others[real]
        factor, limit = FACTORS.get(transform, (1, MAX_COUNT))
        quantity[at], flags[at] = _real(fields.doubles[rows[real]], factor, limit, transform in FACTORS)
        valid[at] = flags[at] == 0
    text = np.flatnonzero(kind == VALUE_STRING)
    if len(text):
        at = others[text]
        strings = fields.strings.take(pa.array(rows[text]))
        quantity[at], valid[at], flags[at] = _text(strings, NUMBERS[transform])


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
