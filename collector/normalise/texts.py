"""Values through the transform `text`, without copying a string before it is known who wants it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import VALUE_INT, VALUE_STRING
from collector.decode.texts import encoded
from collector.normalise.fields import Fields, Rows, null_texts
from otel_cost.normalise.transforms import text

Index = npt.NDArray[np.int64]
QUOTE = ord('"')


class Texts:
    """The texts of a batch by place; -1: none. Places behind the decoded strings are texts made here."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._first_made = len(fields.strings)
        self._made: list[pa.Array] = []
        self._made_count = 0
        self._nulls: pa.Array | None = None
        starts, stops, data = _buffers(fields.strings)
        kind = fields.kind[: len(starts)]
        self._plain = (kind == VALUE_STRING) & (stops > starts)
        if len(data):
            self._plain &= data[np.minimum(starts, len(data) - 1)] != QUOTE

    def find(self, rows: Rows) -> Index:
        """Place of each row's text."""
        present = rows >= 0
        if not present.any():
            return np.full(len(rows), -1, np.int64)
        plain = present & self._plain[rows]
        found = np.where(plain, rows, np.int64(-1))
        odd = np.flatnonzero(present & ~plain)
        if len(odd):
            self._make(rows, odd, found)
        return found

    def first(self, keys: Sequence[int]) -> Index | None:
        """For each span the place of the first of the keys that has a text; None: there is none of the keys."""
        found: Index | None = None
        for key in keys:
            mine = self.find(self._fields.table[key])
            found = mine if found is None else np.where(found >= 0, found, mine)
            if found.min(initial=0) >= 0:
                break
        return found

    def add(self, strings: pa.Array) -> int:
        """Texts from elsewhere; returns the place of the first of them."""
        place = self._first_made + self._made_count
        self._made.append(strings)
        self._made_count += len(strings)
        return place

    def take(self, places: Index) -> pa.Array:
        """The texts at these places."""
        highest = places.max(initial=-1)
        if highest < 0:
            return pa.nulls(len(places), pa.string())
        decoded = places if highest < self._first_made else np.where(places < self._first_made, places, -1)
        strings = self._fields.strings.take(pa.array(decoded, mask=decoded < 0))
        if decoded is places:
            return strings
        made = places - self._first_made
        return pc.coalesce(strings, pa.concat_arrays(self._made).take(pa.array(made, mask=made < 0)))

    def column(self, places: Index | None, of_owner: Rows | None = None) -> pa.Array:
        """The texts as a DICT_STRING array; with `of_owner`, those of the owners at these numbers."""
        if places is None or places.max(initial=-1) < 0:
            return self._null_column(self._fields.size if of_owner is None else len(of_owner))
        column = self._encoded(places)
        if of_owner is None:
            return column
        return pa.DictionaryArray.from_arrays(column.indices.take(pa.array(of_owner)), column.dictionary)

    def _encoded(self, places: Index) -> pa.DictionaryArray:
        """The texts at these places, of which one at least has a text."""
        if places.max() >= self._first_made:
            return self.take(places).dictionary_encode()
        missing = places < 0
        if not missing.any():
            numbers, words = encoded(self._fields.strings, places.astype(np.int32))
            return pa.DictionaryArray.from_arrays(numbers, words)
        numbers, words = encoded(self._fields.strings, places[~missing].astype(np.int32))
        indices = np.zeros(len(places), np.int32)
        indices[~missing] = numbers
        return pa.DictionaryArray.from_arrays(pa.array(indices, mask=missing), words)

    def _null_column(self, size: int) -> pa.Array:
        if self._nulls is None:
            self._nulls = null_texts(size)
        return self._nulls

    def _make(self, rows: Rows, odd: npt.NDArray[np.intp], found: Index) -> None:
        """Texts of whole numbers and of strings in JSON quotes. Empty strings and other types have none."""
        kind = self._fields.kind[rows[odd]]
        whole = odd[kind == VALUE_INT]
        if len(whole):
            digits = pa.array(self._fields.ints[rows[whole]]).cast(pa.string())
            found[whole] = self.add(digits) + np.arange(len(whole))
        quoted = odd[kind == VALUE_STRING]
        if len(quoted):
            strings = without_quotes(self._fields.strings.take(pa.array(rows[quoted])))
            places = self.add(strings) + np.arange(len(quoted))
            found[quoted] = np.where(strings.is_valid().to_numpy(zero_copy_only=False), places, -1)


def _buffers(strings: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Where each string starts and stops, and the bytes."""
    _, ends, data = strings.buffers()
    if not len(strings) or ends is None or data is None:
        nothing = np.zeros(len(strings), np.int32)
        return nothing, nothing, np.zeros(0, np.uint8)
    offsets = np.frombuffer(ends, np.int32, count=strings.offset + len(strings) + 1)[strings.offset :]
    return offsets[:-1], offsets[1:], np.frombuffer(data, np.uint8)


def without_quotes(strings: pa.Array) -> pa.Array:
    """Strings in JSON quotes without them; empty ones as NULL."""
    return pa.array([text(value) for value in strings.to_pylist()], pa.string())
