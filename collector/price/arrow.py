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
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def ints(column: pa.ChunkedArray | pa.Array) -> Array:
    """A writable int64 copy, NULL as 0."""
    array = combined(column)
    values = array.fill_null(0) if array.null_count else array
    return np.array(values.to_numpy(zero_copy_only=False), dtype=np.int64)


def valid(column: pa.Array) -> Array:
    """Which rows are not NULL."""
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    mask: Array = column.is_valid().to_numpy(zero_copy_only=False)
    return mask


def bools(column: pa.ChunkedArray) -> Array:
    """A mask, NULL as false."""
    mask: Array = combined(column).fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def codes(column: pa.ChunkedArray) -> tuple[Array, list[str | None]]:
    """One code per row, 0 for NULL, and the texts that they stand for."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    encoded = combined(column.unify_dictionaries())
    indices = encoded.indices
    filled = indices.fill_null(-1) if indices.null_count else indices
    return filled.to_numpy(zero_copy_only=False).astype(np.int64) + 1, [None, *encoded.dictionary.to_pylist()]


def names(table: pa.Table) -> Names:
    """The distinct name keys of CALL_SCHEMA rows."""
    columns = [codes(table[name]) for name in _NAME_COLUMNS]
    mixed, size = np.zeros(table.num_rows, np.int64), 1
    for column, texts in columns:
        if size * len(texts) > _LARGEST_CODE:
            distinct, mixed = np.unique(mixed, return_inverse=True)
            size = len(distinct)
        mixed, size = mixed * len(texts) + column, size * len(texts)
    _, first_rows, of_row = np.unique(mixed, return_index=True, return_inverse=True)
    picked = [[texts[code] for code in column[first_rows].tolist()] for column, texts in columns]
    return Names(list(zip(*picked, strict=True)) if len(first_rows) else [], of_row)
