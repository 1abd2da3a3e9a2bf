"""Long attribute tables -> one compact JSON object per owner, without a Python object per attribute.

The JSON of all owners is one run of bytes: each attribute adds a prefix (`{"key":` or `,"key":"` ...), which depends
only on its key and on whether it and its neighbour are quoted, and its value. So the text of all prefixes is made once
per distinct key, one `take` lays prefixes and values out in order, and its buffer, cut at each owner's end, is the
result.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode import arrays
from collector.decode.columns import VALUE_BOOL, VALUE_BYTES, VALUE_DOUBLE, VALUE_INT, VALUE_STRING

_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_OPENINGS = ("{", ",", '",')  # first of its owner; after a bare value; after a quoted one
_QUOTES = ("", '"')
_ENDINGS = ("{}", "}", '"}')  # the same for the end of the object
_TRUTHS = pa.array(["false", "true"], pa.string())
_MAX_DENSE_PAIRS = 20_000_000


def attributes_json(attributes: pa.Table, row_count: int) -> pa.StringArray:
    """A JSON object for each of `row_count` owners (`{}` for one without attributes), keys in the order sent.

    `attributes` is an ATTRIBUTE_SCHEMA table, owner rows ascending. Of a key that an owner has twice, the last counts.
    Integers are JSON numbers of any size; NaN and the infinities are the strings "NaN", "Infinity", "-Infinity".
    """
    attributes = _last_wins(attributes.combine_chunks(), row_count)
    owners = _numpy(attributes, "owner_index")
    if not len(owners):
        return pa.array(["{}"] * row_count, pa.string())
    keys = arrays.single(attributes.column("key"))
    values, quoted = _values(attributes)
    first = np.concatenate([[True], owners[1:] != owners[:-1]])
    before = np.where(first, 0, 1 + np.concatenate([[False], quoted[:-1]]))
    codes = np.asarray(keys.indices.to_numpy(), dtype=np.int64)
    prefixes, prefix_texts = _prefixes(codes * 6 + before * 2 + quoted, keys.dictionary)
    counts = np.bincount(owners, minlength=row_count)
    last = np.concatenate([[False], quoted])[np.cumsum(counts)]  # of owners without attributes this is not used
    endings = np.where(counts == 0, 0, 1 + last)
    return _lay_out(prefix_texts, values, prefixes, endings, counts)


def _lay_out(
    prefix_texts: list[str], values: pa.Array, prefixes: arrays.Ints, endings: arrays.Ints, counts: arrays.Ints
) -> pa.StringArray:
    """prefix, value, prefix, value, ..., ending of each owner, one after the other in one buffer."""
    pieces = pa.concat_arrays([pa.array([*prefix_texts, *_ENDINGS], pa.string()), values])
    rows = np.repeat(np.arange(len(counts)), counts)
    at = 2 * np.arange(len(prefixes)) + rows
    picks = np.empty(2 * len(prefixes) + len(counts), dtype=np.int64)
    picks[at] = prefixes
    picks[at + 1] = len(prefix_texts) + len(_ENDINGS) + np.arange(len(prefixes))
    stops = 2 * np.cumsum(counts) + np.arange(len(counts))
    picks[stops] = len(prefix_texts) + endings
    laid = pieces.take(pa.array(picks))
    ends = arrays.offsets(laid)[np.concatenate([[0], stops + 1])]
    return pa.StringArray.from_buffers(len(counts), pa.py_buffer(np.ascontiguousarray(ends)), laid.buffers()[2])


def _prefixes(codes: arrays.Ints, names: pa.StringArray) -> tuple[arrays.Ints, list[str]]:
    """The texts of the prefixes in use, and for every attribute which one is its own.

    A code is six times the key, plus two times the opening, plus one if the value has quotes.
    """
    in_use = np.zeros(6 * len(names), dtype=np.bool_)
    in_use[codes] = True
    used = np.flatnonzero(in_use)
    keys = names.take(pa.array(used // 6)).to_pylist()
    forms = ((used % 6) // 2).tolist(), (used % 2).tolist()
    texts = [
        f"{_OPENINGS[opening]}{json.dumps(key, ensure_ascii=False)}:{_QUOTES[has_quotes]}"
        for key, opening, has_quotes in zip(keys, *forms, strict=True)
    ]
    return (np.cumsum(in_use) - 1)[codes], texts


def _values(attributes: pa.Table) -> tuple[pa.StringArray, arrays.Mask]:
    """The JSON of every value without its quotes, and whether it has quotes."""
    kinds = _numpy(attributes, "value_type")
    quoted = (kinds == VALUE_STRING) | (kinds == VALUE_BYTES)
    text = _escaped(arrays.single(attributes.column("string_value")), kinds == VALUE_STRING)
    integers = arrays.single(attributes.column("int_value"))
    booleans = kinds == VALUE_BOOL
    if (kinds == VALUE_INT).any():
        text = pc.coalesce(text, integers.cast(pa.string()))
    if booleans.any():
        rows = np.flatnonzero(booleans)
        text = arrays.replace_rows(text, rows, _TRUTHS.take(integers.take(pa.array(rows))))
    doubles = np.flatnonzero(kinds == VALUE_DOUBLE)
    if len(doubles):
        numbers = arrays.single(attributes.column("double_value"))
        text = pc.coalesce(text, numbers.cast(pa.string()))
        special = doubles[~np.isfinite(numbers.take(pa.array(doubles)).to_numpy())]
        named = [_special(number) for number in numbers.take(pa.array(special)).to_pylist()]
        text = arrays.replace_rows(text, special, named)
    return text, quoted


def _special(number: float) -> str:
    return '"NaN"' if number != number else '"Infinity"' if number > 0 else '"-Infinity"'


def _escaped(strings: pa.StringArray, subject: arrays.Mask) -> pa.StringArray:
    """JSON escapes in the rows of `subject`; only rows that hold a character to escape are copied."""
    ends = arrays.offsets(strings)
    start, stop = int(ends[0]), int(ends[-1])
    if start == stop:
        return strings
    data = np.frombuffer(strings.buffers()[2], dtype=np.uint8, count=stop)[start:]
    special = start + np.flatnonzero((data < 0x20) | (data == ord('"')) | (data == ord("\\")))
    if not len(special):
        return strings
    rows = np.unique(np.searchsorted(ends, special, side="right") - 1)
    rows = rows[subject[rows]]
    if not len(rows):
        return strings
    part = strings.take(pa.array(rows))
    for character, escape in _ESCAPES:
        part = pc.replace_substring(part, character, escape)
    part_data = np.frombuffer(part.buffers()[2], dtype=np.uint8)
    if (part_data < 0x20).any():
        part = pa.array([_controls(text) for text in part.to_pylist()], pa.string())
    return arrays.replace_rows(strings, rows, part)


def _controls(text: str) -> str:
    """The control characters that have no short escape."""
    return "".join(character if character >= " " else f"\\u{ord(character):04x}" for character in text)


def _last_wins(attributes: pa.Table, row_count: int) -> pa.Table:
    """Without the earlier rows of a key that an owner has more than once."""
    if not len(attributes):
        return attributes
    keys = arrays.single(attributes.column("key"))
    pairs = _numpy(attributes, "owner_index") * len(keys.dictionary) + np.asarray(keys.indices.to_numpy())
    size = row_count * len(keys.dictionary)
    if size <= _MAX_DENSE_PAIRS:
        seen = np.zeros(size, dtype=np.bool_)
        seen[pairs] = True
        if np.count_nonzero(seen) == len(pairs):
            return attributes
    _, last = np.unique(pairs[::-1], return_index=True)
    if len(last) == len(pairs):
        return attributes
    return attributes.take(pa.array(np.sort(len(pairs) - 1 - last))).combine_chunks()


def _numpy(table: pa.Table, name: str) -> arrays.Ints:
    return np.asarray(arrays.single(table.column(name)).to_numpy(zero_copy_only=False), dtype=np.int64)
