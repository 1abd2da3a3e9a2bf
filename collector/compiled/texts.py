"""Attributes taken apart, texts numbered and laid one behind the other: `attributes.c`."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from collector.compiled import library
from collector.compiled.arrays import MOST_BYTES, address

Picks = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

_SEED = int.from_bytes(os.urandom(8), "little")
"""Of the hashes of keys, so that nobody can choose keys that fall together."""


_FEW_SLOTS = 1 << 12
"""Of the table for texts of which few are distinct, as keys are: most are told apart with half of it. Larger: it leaves
the caches. One with room for all is tried when it is full."""


class Texts(NamedTuple):
    """Text i is `data[bounds[i]:bounds[i + 1]]`."""

    data: Bytes
    bounds: Picks


class Rows(NamedTuple):
    """Attributes: `collector.decode.key_values.KeyValues` says what each is."""

    bounds: Picks  # four pieces a row
    members: Bytes
    integers: npt.NDArray[np.int64]
    doubles: npt.NDArray[np.float64]


def key_values(data: Bytes, starts: Picks, ends: Picks) -> Rows | None:
    """Serialised `KeyValue`s taken apart; None without the library."""
    kernels = library()
    if kernels is None:
        return None
    count = len(starts)
    starts, ends = np.ascontiguousarray(starts), np.ascontiguousarray(ends)
    rows = Rows(
        np.empty(4 * count + 1, dtype=np.int32),
        np.empty(count, dtype=np.uint8),
        np.empty(count, dtype=np.int64),
        np.empty(count, dtype=np.float64),
    )
    kernels.otel_cost_key_values(
        *(address(data, 1), address(starts, 4), address(ends, 4), count),
        *(address(rows.bounds, 4), address(rows.members, 1), address(rows.integers, 8), address(rows.doubles, 8)),
    )
    return rows


def number_texts(texts: Texts, picks: Picks) -> tuple[Picks, Picks] | None:
    """For each picked text a number, and for each number the first place in `picks` that has it.

    None without the library. Raises IndexError for a pick that is no text.
    """
    kernels = library()
    if kernels is None:
        return None
    count = len(picks)
    if count and not 0 <= int(picks.min()) <= int(picks.max()) < len(texts.bounds) - 1:
        raise IndexError("a pick is no text")
    numbers, firsts, followers = (np.empty(count, dtype=np.int32) for _ in range(3))
    distinct, enough = -1, 1 << (2 * count).bit_length()
    for slots in (min(_FEW_SLOTS, enough), enough):
        table = np.full(slots, -1, dtype=np.int32)
        distinct = kernels.otel_cost_number_texts(
            *(address(texts.data, 1), address(texts.bounds, 4), address(picks, 4), count, _SEED),
            *(address(numbers, 4), address(firsts, 4), address(followers, 4), address(table, 4), slots - 1),
        )
        if distinct >= 0:
            break
    return numbers, firsts[:distinct]


def place_rows(codes: Picks, owners: Picks, starts: npt.NDArray[np.int64], size: int, table: Picks) -> bool:
    """Into the flat `table`, behind the start of each row's code, at its owner: the row. False without the library.

    Raises IndexError for a code without a start, and for a place that is not in the table.
    """
    kernels = library()
    if kernels is None:
        return False
    if len(codes) != len(owners):
        raise ValueError("columns of different lengths")
    if len(starts) and not 0 <= int(starts.min()) <= int(starts.max()) <= len(table) - size:
        raise IndexError("a start is not in the table")
    placed = kernels.otel_cost_place_rows(
        *(address(codes, 4), address(owners, 4), len(codes), address(starts, 8), len(starts), size, address(table, 4))
    )
    if placed < 0:
        raise IndexError("a place is not in the table")
    return True


def lay_texts(texts: Texts, more: Texts, picks: Picks) -> tuple[Picks, Bytes, Bytes, int] | None:
    """The picked texts one behind the other: bounds, bytes, a bit for each that is there, how many are not.

    Picks behind the last of `texts` are of `more`; negative ones are none. None: no library, or more than fits.
    """
    kernels = library()
    if kernels is None:
        return None
    count, border = len(picks), len(texts.bounds) - 1
    given = address(texts.bounds, 4), border, address(more.bounds, 4), len(more.bounds) - 1, address(picks, 4), count
    size = kernels.otel_cost_size_texts(*given)
    if size < 0:
        raise IndexError("a pick is behind the last text")
    if size > MOST_BYTES:
        return None
    bounds = np.empty(count + 1, dtype=np.int32)
    data = np.empty(size, dtype=np.uint8)
    valid = np.zeros((count + 7) // 8, dtype=np.uint8)
    nulls = kernels.otel_cost_lay_texts(
        *(address(texts.data, 1), address(texts.bounds, 4), border, address(more.data, 1), address(more.bounds, 4)),
        *(address(picks, 4), count, address(bounds, 4), address(data, 1), address(valid, 1)),
    )
    return bounds, data, valid, nulls
