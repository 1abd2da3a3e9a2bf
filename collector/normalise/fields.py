"""The attributes of a batch as a dense table: one row of places per known key, one column per span.

Nothing is copied: a place is the number of a row in the decoded columns. All later steps are a few numpy operations
per role, whatever the number of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.compiled.texts import place_rows
from collector.normalise.keys import (
    BLOB,
    BLOB_TARGETS,
    DISCRETE,
    GATES,
    IDENTITY,
    KEY_IDS,
    KEY_ROLES,
    KEYS,
    NUMBER,
    NUMBER_TRANSFORMS,
    PRESENCE,
    ROLES,
)
from otel_cost.normalise.owners import OWNER_KEYS, RESOURCE_KEYS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int32]
"""Numbers of attribute rows; -1: none."""

MAX_KEY_SETS = 256
"""Sets of keys whose roles are kept. A stream of requests has few; each takes some kilobytes."""


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


def null_texts(size: int) -> pa.Array:
    """A DICT_STRING column of nothing. Its codes stay within its dictionary: Arrow reads them, NULL or not, when it
    merges dictionaries, and crashes on those beyond."""
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(size, np.int32), mask=np.ones(size, np.bool_)), pa.array([""], pa.string())
    )


@dataclass(frozen=True, slots=True)
class KeySet:
    """The known keys of a batch, numbered from 0 ("local"), sorted by what is asked of them."""

    ids: tuple[int, ...]  # local -> index into KEYS: numbers first, transform by transform, then deciding texts
    local: Mapping[str, int]
    gates: tuple[int, ...]
    transforms: Mapping[str, tuple[int, int]]  # transform -> its first number key, and the one after its last
    numbers: int  # local keys below this are numbers
    discrete: int  # those from `numbers` to below this are deciding texts
    presence: tuple[int, ...]  # keys of which only the presence shapes a span
    deciding: npt.NDArray[np.intp]  # all that the scalar reader looks at
    blobs: tuple[int, ...]
    owners: Mapping[str, tuple[int, ...]]
    resource_owners: Mapping[str, tuple[int, ...]]


_ORDER = [
    (0, NUMBER_TRANSFORMS[key]) if role & NUMBER else (1, "") if role & DISCRETE else (2, "")
    for key, role in KEY_ROLES.items()
]


@lru_cache(maxsize=MAX_KEY_SETS)
def key_set(found: frozenset[int]) -> KeySet:
    """The roles of a set of keys; the numbers inside JSON attributes are keys of their own."""
    inside = {target for key in found if ROLES[key] & BLOB for _, target in BLOB_TARGETS[KEYS[key]]}
    ids = tuple(sorted(found | inside, key=lambda key: (_ORDER[key], key)))
    local = {KEYS[key]: place for place, key in enumerate(ids)}

    def having(test: Callable[[int], bool]) -> tuple[int, ...]:
        return tuple(place for place, key in enumerate(ids) if test(int(ROLES[key])))

    transforms: dict[str, tuple[int, int]] = {}
    for place in having(lambda role: role & NUMBER != 0):
        name = NUMBER_TRANSFORMS[KEYS[ids[place]]]
        transforms[name] = transforms.get(name, (place, place))[0], place + 1
    numbers = len(having(lambda role: role & NUMBER != 0))
    return KeySet(
        ids=ids,
        local=local,
        gates=having(lambda role: role & GATES != 0),
        transforms=transforms,
        numbers=numbers,
        discrete=numbers + len(having(lambda role: role & DISCRETE != 0)),
        presence=having(lambda role: not role & (NUMBER | DISCRETE) and role & (IDENTITY | PRESENCE) != 0),
        deciding=np.array(having(lambda role: role & (NUMBER | DISCRETE | IDENTITY | PRESENCE) != 0), np.intp),
        blobs=having(lambda role: role & BLOB != 0),
        owners=_present(OWNER_KEYS, local),
        resource_owners=_present(RESOURCE_KEYS, local),
    )


def known_keys(dictionary: pa.Array) -> tuple[list[int], KeySet]:
    """The number of each name of a dictionary of keys (-1: no table names it), and the set of those that are known."""
    numbers = [KEY_IDS.get(name, -1) for name in dictionary.to_pylist()]
    return numbers, key_set(frozenset(number for number in numbers if number >= 0))


def _present(table: Mapping[str, tuple[str, ...]], local: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    return {dimension: tuple(local[key] for key in keys if key in local) for dimension, keys in table.items()}


@dataclass(frozen=True, slots=True)
class Present:
    """The rows of some keys that follow each other, key by key, without the owners that do not have them."""

    size: int  # owners
    place: Ints  # number of the key among them * size + owner, ascending
    rows: Rows
    ends: Ints  # number of the key -> where its rows start; one more: where the last key's stop

    def part(self, number: int) -> slice:
        """The rows of one key."""
        return slice(int(self.ends[number]), int(self.ends[number + 1]))

    def spread(self, number: int, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`values` of the rows, for one key and every owner; 0 for one without it."""
        part = self.part(number)
        if part.stop - part.start == self.size:
            return values[part]
        spread = np.zeros(self.size, values.dtype)
        spread[self.place[part] - number * self.size] = values[part]
        return spread


@dataclass(slots=True)
class Fields:
    """The decoded attribute columns, and where in them each owner's known keys stand."""

    size: int  # owners: spans, or resources
    keys: KeySet
    table: Rows  # [local key, owner]
    kind: npt.NDArray[np.int8]
    ints: Ints
    doubles: npt.NDArray[np.float64]
    strings: pa.Array  # NULL unless the kind is STRING, JSON or BYTES

    @classmethod
    def of(cls, attributes: pa.Table, size: int) -> Fields:
        """The fields of an ATTRIBUTE_SCHEMA table. Of a key that stands twice on a span the last one counts."""
        owner, key, kind, strings, ints, doubles = (one_chunk(column) for column in attributes.columns)
        numbers, keys = known_keys(key.dictionary)
        place_of = {number: place for place, number in enumerate(keys.ids)}
        unknown = len(keys.ids)  # a last row of the table takes the keys that no one reads
        starts = np.array([place_of.get(number, unknown) for number in numbers] or [unknown], np.int64) * size
        table = np.full((unknown + 1, size), -1, np.int32)
        if len(key):
            _place(values_of(key.indices, np.int32), values_of(owner, np.int32), starts, table)
        return cls(
            size,
            keys,
            table,
            values_of(kind, np.int8),
            values_of(ints, np.int64),
            values_of(doubles, np.float64),
            strings,
        )

    def present(self, start: int, stop: int) -> Present:
        """The rows of the local keys from `start` to below `stop`."""
        flat = self.table[start:stop].reshape(-1)
        place = np.flatnonzero(flat >= 0)
        rows = flat if len(place) == len(flat) else flat[place]
        return Present(self.size, place, rows, np.searchsorted(place, np.arange(stop - start + 1) * self.size))

    def rows_of(self, keys: Iterable[str | None], shape: Ints) -> Rows | None:
        """The row of each span's own key, where `keys` has one per shape; None: no span has one."""
        places = [-1 if key is None else self.keys.local[key] for key in keys]
        distinct = set(places)
        if distinct == {-1} or not distinct:
            return None
        if len(distinct) == 1:
            row: Rows = self.table[distinct.pop()]
            return row
        place = np.array(places, np.intp)[shape]
        found = self.table[place, np.arange(self.size)]
        return np.where(place >= 0, found, np.int32(-1)) if -1 in distinct else found


def _place(codes: Rows, owners: Rows, starts: Ints, table: Rows) -> None:
    """Put the number of each row at its owner, behind the start of its key. Of a place that is named twice the last
    row stands."""
    if not place_rows(codes, owners, starts, table.shape[1], table.reshape(-1)):
        places = starts[codes]
        places += owners
        table.reshape(-1)[places] = np.arange(len(places), dtype=np.int32)


def codes_of(column: pa.ChunkedArray) -> tuple[Rows, list[str | None]]:
    """Codes (-1: NULL) and dictionary of a DICT_STRING column."""
    array = one_chunk(column)
    codes = values_of(array.indices, np.int32)
    if array.null_count:
        codes = np.where(array.is_null().to_numpy(zero_copy_only=False), np.int32(-1), codes)
    return codes, array.dictionary.to_pylist()
