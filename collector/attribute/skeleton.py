"""The skeleton as numpy arrays: strings as integer codes, so that every later step works on whole columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_cost.call import CallKind

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LARGEST_CODE = 1 << 62
NO_TEXTS = pa.array([], pa.string())
UNKNOWN = -1
"""The code of NULL, and the number that stands for a count that a span does not say."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A string column: `codes[row]` indexes `values`, `UNKNOWN` is NULL."""

    codes: Ints
    values: pa.Array


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    found = column.unify_dictionaries().combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def encode(*columns: pa.Array | pa.ChunkedArray) -> list[Coded]:
    """String columns (or dictionaries of strings) of equal length as codes into one shared dictionary.

    Empty strings are NULL.
    """
    length = len(columns[0])
    arrays = [whole(column) for column in columns]
    said = [array for array in arrays if array.null_count < length]
    if not said:
        return [Coded(np.full(length, UNKNOWN, np.int64), NO_TEXTS)] * len(columns)
    coded = _encoded(said[0]) if len(said) == 1 else _encoded_together(said)
    found, start = [], 0
    for array in arrays:
        if array.null_count < length:
            found.append(Coded(coded.codes[start : start + length], coded.values))
            start += length
        else:
            found.append(Coded(np.full(length, UNKNOWN, np.int64), coded.values))
    return found


def plain(array: pa.Array) -> pa.Array:
    """Strings as such, whether or not they came as a dictionary."""
    return array if array.type == pa.string() else array.cast(pa.string())


def _encoded(array: pa.Array) -> Coded:
    if pa.types.is_dictionary(array.type):
        of_value = _encoded(plain(array.dictionary))  # a dictionary may hold NULL, or a text twice
        return Coded(_gathered(of_value.codes, _codes(array.indices)), of_value.values)
    encoded = array.dictionary_encode()
    codes = _codes(encoded.indices)
    empty = np.flatnonzero(lengths(encoded.dictionary) == 0)
    if len(empty):
        codes[codes == empty[0]] = UNKNOWN
    return Coded(codes, encoded.dictionary)


def _encoded_together(arrays: list[pa.Array]) -> Coded:
    """The rows of all, one array after the other. Of dictionaries only the words are looked at."""
    if not all(pa.types.is_dictionary(array.type) for array in arrays):
        return _encoded(pa.concat_arrays([plain(array) for array in arrays]))
    of_word = _encoded(pa.concat_arrays([plain(array.dictionary) for array in arrays]))
    ends = np.cumsum([len(array.dictionary) for array in arrays])
    words = np.split(of_word.codes, ends[:-1])
    codes = [_gathered(own, _codes(array.indices)) for own, array in zip(words, arrays, strict=True)]
    return Coded(np.concatenate(codes), of_word.values)


def _codes(indices: pa.Array) -> Ints:
    filled = indices.fill_null(UNKNOWN) if indices.null_count else indices
    return np.asarray(filled.to_numpy(zero_copy_only=False)).astype(np.int64)


def _gathered(values: Ints, places: Ints) -> Ints:
    """`values` at the places, `UNKNOWN` where the place is."""
    return np.asarray(np.append(values, UNKNOWN)[places])


def lengths(strings: pa.StringArray) -> npt.NDArray[np.int32]:
    """The bytes of each string, 0 for NULL."""
    _, ends, _ = strings.buffers()
    if not len(strings) or ends is None:
        return np.zeros(len(strings), np.int32)
    return np.diff(np.frombuffer(ends, np.int32, count=strings.offset + len(strings) + 1)[strings.offset :])


def has_gaps(column: pa.Array) -> bool:
    """Whether any row of a string column is NULL or empty."""
    if column.null_count:
        return True
    if pa.types.is_dictionary(column.type):
        return column.dictionary.null_count > 0 or not lengths(plain(column.dictionary)).all()
    return not lengths(column).all()


def pair_codes(one: Ints, other: Ints) -> Ints:
    """A number for each distinct pair of elements, from 0 without gaps."""
    if not len(one):
        return np.zeros(0, np.int64)
    low, width = int(other.min()), int(other.max()) - int(other.min()) + 1
    if max(abs(int(one.min())), abs(int(one.max()))) * width >= LARGEST_CODE:
        one, other = codes_of(one), codes_of(other)
        low, width = 0, len(other)
    return codes_of(one * width + (other - low))


def codes_of(values: Ints) -> Ints:
    """A number for each distinct value, from 0 without gaps."""
    return _codes(pa.array(values).dictionary_encode().indices)


def _ints(column: pa.ChunkedArray) -> Ints:
    array = whole(column)
    filled = array.fill_null(UNKNOWN) if array.null_count else array
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)


def _bools(column: pa.ChunkedArray) -> Bools:
    array = whole(column)
    filled = array.fill_null(False) if array.null_count else array
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)


@dataclass(frozen=True)
class Spans:
    """All spans of the affected traces, one array element per span (a "row")."""

    table: pa.Table
    org: Coded
    trace: Ints  # one number per (org, trace id)
    span: Ints  # span ids and parent ids share their codes
    parent: Ints
    leaf: Bools
    aggregate: Bools
    start_ns: Ints
    end_ns: Ints
    input_tokens: Ints
    output_tokens: Ints
    has_usage: Bools
    has_money: Bools  # says usage or a cost: there is something to bill
    failed: Bools
    scope: Coded
    response_id: Coded
    arrays: dict[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start_ns)

    def column(self, name: str) -> pa.Array:
        """A column of the skeleton as one array."""
        found = self.arrays.get(name)
        if found is None:
            found = self.arrays[name] = whole(self.table[name])
        return found

    def text(self, name: str, row: int) -> str | None:
        """One string of one span; an empty one is NULL."""
        found: str | None = self.column(name)[row].as_py()
        return found or None

    def key(self, row: int) -> tuple[int, str, str]:
        """A total order of spans that does not depend on how they arrived: start time, trace id, span id."""
        return int(self.start_ns[row]), str(self.column("trace_id")[row]), str(self.column("span_id")[row])

    def value(self, name: str, row: int) -> int | None:
        """One number of one span."""
        found: int | None = self.column(name)[row].as_py()
        return found


def _is(kind: Coded, wanted: CallKind) -> Bools:
    values = kind.values.to_pylist()
    return kind.codes == values.index(wanted) if wanted in values else np.zeros(len(kind.codes), np.bool_)


def read_skeleton(skeleton: pa.Table) -> Spans:
    """Number the ids and pull the columns that every rule reads. `skeleton` has `SKELETON_SCHEMA`."""
    table = skeleton.combine_chunks()
    org, trace = encode(table["org_id"])[0], encode(table["trace_id"])[0]
    span, parent = encode(table["span_id"], table["parent_span_id"])
    kind = encode(table["call_kind"])[0]
    leaf, aggregate = _is(kind, CallKind.LEAF), _is(kind, CallKind.AGGREGATE)
    has_usage = _bools(table["has_usage"])
    # A failed call without usage costs 0 for certain: only a cost above 0 is money of its own.
    failed = _bools(table["failed"])
    has_cost = _ints(table["cost_pico_usd"]) > 0
    reported = table["reported_cost_pico_usd"]
    if reported.null_count < len(reported):
        is_reported = whole(reported).is_valid().to_numpy(zero_copy_only=False)
        has_cost |= is_reported & (~failed | (_ints(reported) > 0))
    return Spans(
        table=table,
        org=org,
        trace=org.codes * max(len(trace.values), 1) + trace.codes,
        span=span.codes,
        parent=parent.codes,
        leaf=leaf,
        aggregate=aggregate,
        start_ns=_ints(table["start_time_ns"]),
        end_ns=_ints(table["end_time_ns"]),
        input_tokens=_ints(table["input_tokens"]),
        output_tokens=_ints(table["output_tokens"]),
        has_usage=has_usage,
        has_money=has_usage | has_cost,
        failed=failed,
        scope=encode(table["scope_name"])[0],
        response_id=encode(table["response_id"])[0],
    )
