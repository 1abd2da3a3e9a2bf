"""Arrow columns as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from collector.price.builder import Array

_NAME_COLUMNS = ("provider", "request_model", "response_model", "service_tier")
_LARGEST_CODE = 2**62


@dataclass(frozen=True, slots=True)
class Names:
    """Distinct (provider, request model, response model, tier) of a batch, and which of them each row has."""

    keys: list[tuple[str | None, str | None, str | None, str | None]]
    of_row: Array

    def said(self) -> list[str | None]:
        """What the spans call the model, by key: the response's name before the request's."""
        return [response or request for _, request, response, _ in self.keys]


def combined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One contiguous array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()


def ints(column: pa.ChunkedArray | pa.Array) -> Array:
    """int64, NULL as 0. Not to be written to: it may be the column itself."""
    array = combined(column)
    values: Array = (array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False)
    return values


def valid(column: pa.Array) -> Array:
    """Which rows are not NULL."""
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    mask: Array = np.array(column.is_valid().to_numpy(zero_copy_only=False))
    return mask


def bools(column: pa.ChunkedArray) -> Array:
    """A mask, NULL as false."""
    array = combined(column)
    mask: Array = (array.fill_null(False) if array.null_count else array).to_numpy(zero_copy_only=False)
    return mask


def codes(column: pa.ChunkedArray) -> tuple[Array, list[str | None]]:
    """One code per row, 0 for NULL, and the texts that they stand for."""
    encoded = combined(column)
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.cast(pa.string()).dictionary_encode()
    indices = encoded.indices
    filled = indices.fill_null(-1) if indices.null_count else indices
    return filled.to_numpy(zero_copy_only=False) + 1, [None, *encoded.dictionary.to_pylist()]


def names(table: pa.Table) -> Names:
    """The distinct name keys of CALL_SCHEMA rows."""
    columns = [codes(table[name]) for name in _NAME_COLUMNS]
    mixed, size = np.zeros(table.num_rows, np.int64), 1
    for column, texts in columns:
        if size * len(texts) > _LARGEST_CODE:
            mixed, size = distinct(mixed)
        if len(texts) > 1:
            mixed, size = mixed * len(texts) + column, size * len(texts)
    of_row, count = distinct(mixed)
    first_rows = np.empty(count, np.int64)
    first_rows[of_row[::-1]] = np.arange(len(of_row) - 1, -1, -1)  # of repeated places the last assignment stands
    picked = [[texts[code] for code in column[first_rows].tolist()] for column, texts in columns]
    return Names(list(zip(*picked, strict=True)), of_row)


def distinct(values: Array) -> tuple[Array, int]:
    """A number for each distinct value, from 0 without gaps, and how many there are."""
    encoded = pa.array(values).dictionary_encode()
    numbers: Array = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers, len(encoded.dictionary)
