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
    kernels.otel_cost_key_values(address(data), address(starts), address(ends), count, *map(address, rows))
    return rows


def number_texts(texts: Texts, picks: Picks) -> tuple[Picks, Picks] | None:
    """For each picked text a number, and for each number the first place in `picks` that has it; None without the library."""
    kernels = library()
    if kernels is None:
        return None
    count = len(picks)
    numbers, firsts, followers = (np.empty(count, dtype=np.int32) for _ in range(3))
    table = np.full(1 << (2 * count).bit_length(), -1, dtype=np.int32)
    distinct = kernels.otel_cost_number_texts(
        *(address(texts.data), address(texts.bounds), address(picks), count, _SEED),
        *(address(numbers), address(firsts), address(followers), address(table), len(table) - 1),
    )
    return numbers, firsts[:distinct]


def lay_texts(texts: Texts, more: Texts, picks: Picks) -> tuple[Picks, Bytes, Bytes, int] | None:
    """The picked texts one behind the other: bounds, bytes, a bit for each that is there, how many are not.

    Picks behind the last of `texts` are of `more`; negative ones are none. None: no library, or more than fits.
    """
    kernels = library()
    if kernels is None:
        return None
    count, border = len(picks), len(texts.bounds) - 1
    size = kernels.otel_cost_size_texts(
        address(texts.bounds), border, address(more.bounds), address(picks), count
    )
    if size > MOST_BYTES:
        return None
    bounds = np.empty(count + 1, dtype=np.int32)
    data = np.empty(size, dtype=np.uint8)
    valid = np.zeros((count + 7) // 8, dtype=np.uint8)
    nulls = kernels.otel_cost_lay_texts(
        *(address(texts.data), address(texts.bounds), border, address(more.data), address(more.bounds)),
        *(address(picks), count, address(bounds), address(data), address(valid)),
    )
    return bounds, data, valid, nulls
