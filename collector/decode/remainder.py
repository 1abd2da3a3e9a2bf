"""Long attribute tables -> one compact JSON object per owner, without a Python object per attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.compiled import objects as compiled
from collector.decode import arrays
from collector.decode.columns import VALUE_BOOL, VALUE_BYTES, VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.decode.texts import texts_of
from collector.decode.values import compact

_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_OPENINGS = ("{", ",", '",')  # first of its owner; after a bare value; after a quoted one
_QUOTES = ("", '"')
_FORMS = len(_OPENINGS) * len(_QUOTES)
_ENDINGS = ("{}", "}", '"}')  # the same for the end of the object
_TRUTHS = pa.array(["false", "true"], pa.string())
_NO_TEXTS = pa.array([], pa.string())
_MAX_DENSE_PAIRS = 20_000_000

Picks = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Marked:
    """Attributes whose value is written as a mark (`collector.decode.columns.MARKS`)."""

    rows: npt.NDArray[np.integer[Any]]  # of the attributes
    mark: str


def attributes_json(attributes: pa.Table, row_count: int, marked: Sequence[Marked] = ()) -> pa.StringArray:
    """A JSON object for each of `row_count` owners (`{}` for one without attributes), keys in the order sent.

    `attributes` is an ATTRIBUTE_SCHEMA table, owner rows ascending. Of a key that an owner has twice, the last counts.
    Integers are JSON numbers of any size; NaN and the infinities are the strings "NaN", "Infinity", "-Infinity".
    A text that needs escapes is written out though it is among `marked`; of two rows for one key these hold the last.
    """
    attributes = attributes.combine_chunks()
    if not len(attributes):
        return pa.array(["{}"] * row_count, pa.string())
    written = _compiled(attributes, row_count, marked)
    if written is not None:
        return written
    attributes, kept = _last_wins(attributes, row_count)
    if kept is not None:
        return attributes_json(
            attributes, row_count, [Marked(np.searchsorted(kept, one.rows), one.mark) for one in marked]
        )
    return _by_arrow(attributes, row_count, marked)


def _by_arrow(attributes: pa.Table, row_count: int, marked: Sequence[Marked]) -> pa.StringArray:
    """As `attributes_json`, of attributes without a key twice, without the library.

    The JSON of all owners is one run of bytes: each attribute adds a prefix (`{"key":` or `,"key":"` ...), which
    depends only on its key and on whether it and its neighbour are quoted, and its value. So the text of all prefixes
    is made once per distinct key, one `take` lays prefixes and values out in order, and its buffer, cut at each owner's
    end, is the result.
    """
    owners = _numpy(attributes, "owner_index")
    kinds = _numpy(attributes, "value_type")
    keys = arrays.single(attributes.column("key"))
    counts = np.bincount(owners, minlength=row_count)
    quoted = (kinds == VALUE_STRING) | (kinds == VALUE_BYTES)
    forms = np.full(len(owners), 2, dtype=np.int32)
    forms[1:] += 2 * quoted[:-1]
    forms[1:] *= owners[1:] == owners[:-1]
    forms[0] = 0
    forms += quoted
    forms += keys.indices.to_numpy() * _FORMS
    prefixes, prefix_texts = _prefixes(forms, keys.dictionary)
    endings = np.where(counts == 0, 0, 1 + quoted[np.cumsum(counts) - 1])
    return _lay_out(prefix_texts, _values(attributes, kinds, marked), prefixes, endings, counts)


def _compiled(attributes: pa.Table, row_count: int, marked: Sequence[Marked]) -> pa.StringArray | None:
    """The objects as the compiled library writes them; None: it is not there, or an owner has a key twice."""
    keys = arrays.single(attributes.column("key"))
    kinds = _numpy(attributes, "value_type")
    marks = np.zeros(len(kinds), dtype=np.uint8)
    for one in marked:
        marks[one.rows] = ord(one.mark)
    rows = arrays.rows(kinds == VALUE_DOUBLE)
    doubles = _double_texts(arrays.single(attributes.column("double_value")), rows) if len(rows) else _NO_TEXTS
    columns = compiled.Attributes(
        counts=np.bincount(_numpy(attributes, "owner_index"), minlength=row_count).astype(np.int32),
        codes=keys.indices.to_numpy(),
        kinds=kinds,
        marks=marks,
        integers=_plain_integers(arrays.single(attributes.column("int_value"))),
    )
    texts = [arrays.single(attributes.column("string_value")), doubles, _key_texts(keys.dictionary)]
    found = compiled.write_objects(columns, *map(texts_of, texts))
    if found is None:
        return None
    ends, data = found
    return pa.StringArray.from_buffers(row_count, pa.py_buffer(ends), pa.py_buffer(data))


def _key_texts(names: pa.StringArray) -> pa.StringArray:
    return pa.array([f"{compact(name)}:" for name in names.to_pylist()], pa.string())


def _plain_integers(integers: pa.Int64Array) -> arrays.Ints:
    """What the column holds, with whatever there is under its NULLs."""
    return np.frombuffer(integers.buffers()[1], dtype=np.int64, count=len(integers), offset=8 * integers.offset)


def _double_texts(doubles: pa.DoubleArray, rows: arrays.Ints) -> pa.StringArray:
    doubles = doubles.take(pa.array(rows))
    special = arrays.rows(~np.isfinite(doubles.to_numpy()))
    named = [_special(number) for number in doubles.take(pa.array(special)).to_pylist()]
    return arrays.replace_rows(doubles.cast(pa.string()), special, named)


@dataclass(slots=True)
class _Values:
    """The JSON of every value without its quotes: row `picks[i]` of the texts, one array after the other."""

    texts: list[pa.StringArray]
    picks: Picks

    def put(self, rows: arrays.Ints, texts: pa.StringArray) -> None:
        """The value of the rows is a text of their own."""
        self.picks[rows] = self._end() + np.arange(len(rows), dtype=np.int32)
        self.texts.append(texts)

    def set(self, rows: npt.NDArray[np.integer[Any]], text: pa.StringArray) -> None:
        """The value of the rows is one text."""
        self.picks[rows] = self._end()
        self.texts.append(text)

    def choose(self, rows: arrays.Ints, choices: arrays.Ints, texts: pa.StringArray) -> None:
        """The value of the rows is one of few texts."""
        self.picks[rows] = self._end() + choices
        self.texts.append(texts)

    def _end(self) -> int:
        return sum(map(len, self.texts))


def _lay_out(
    prefix_texts: list[str], values: _Values, prefixes: arrays.Ints, endings: arrays.Ints, counts: arrays.Ints
) -> pa.StringArray:
    """prefix, value, prefix, value, ..., ending of each owner, one after the other in one buffer."""
    fixed = pa.array([*prefix_texts, *_ENDINGS], pa.string())
    stops = 2 * np.cumsum(counts) + np.arange(len(counts))
    at = np.arange(0, 2 * len(prefixes), 2) + np.repeat(np.arange(len(counts)), counts)
    picks = np.empty(2 * len(prefixes) + len(counts), dtype=np.int32)
    picks[at] = prefixes
    picks[at + 1] = values.picks + len(fixed)
    picks[stops] = len(prefix_texts) + endings
    laid = pa.concat_arrays([fixed, *values.texts]).take(pa.array(picks))
    ends = np.zeros(len(counts) + 1, dtype=np.int32)
    ends[1:] = arrays.offsets(laid)[stops + 1]
    return pa.StringArray.from_buffers(len(counts), pa.py_buffer(ends), laid.buffers()[2])


def _prefixes(codes: Picks, names: pa.StringArray) -> tuple[arrays.Ints, list[str]]:
    """The texts of the prefixes in use, and for every attribute which one is its own.

    A code is six times the key, plus two times the opening, plus one if the value has quotes.
    """
    in_use = np.zeros(_FORMS * len(names), dtype=np.bool_)
    in_use[codes] = True
    used = arrays.rows(in_use)
    keys = names.take(pa.array(used // _FORMS)).to_pylist()
    texts = [
        f"{_OPENINGS[form // 2]}{compact(key)}:{_QUOTES[form % 2]}"
        for key, form in zip(keys, (used % _FORMS).tolist(), strict=True)
    ]
    return (np.cumsum(in_use) - 1)[codes], texts


def _values(attributes: pa.Table, kinds: npt.NDArray[np.int8], marked: Sequence[Marked]) -> _Values:
    strings = arrays.single(attributes.column("string_value"))
    integers = arrays.single(attributes.column("int_value"))
    values = _Values([strings], np.arange(len(strings), dtype=np.int32))
    is_integer = kinds == VALUE_INT
    for one in marked:
        values.set(one.rows, pa.array([one.mark]))
        is_integer[one.rows] = False
    _put_escaped(values, strings, kinds == VALUE_STRING)
    rows = arrays.rows(is_integer)
    if len(rows):
        values.put(rows, integers.take(pa.array(rows)).cast(pa.string()))
    rows = arrays.rows(kinds == VALUE_BOOL)
    if len(rows):
        values.choose(rows, integers.take(pa.array(rows)).to_numpy(), _TRUTHS)
    rows = arrays.rows(kinds == VALUE_DOUBLE)
    if len(rows):
        values.put(rows, _double_texts(arrays.single(attributes.column("double_value")), rows))
    return values


def _special(number: float) -> str:
    return '"NaN"' if number != number else '"Infinity"' if number > 0 else '"-Infinity"'


def _put_escaped(values: _Values, strings: pa.StringArray, subject: arrays.Mask) -> None:
    """JSON escapes in the rows of `subject`; only rows that hold a character to escape are copied."""
    ends = arrays.offsets(strings)
    start, stop = int(ends[0]), int(ends[-1])
    if start == stop:
        return
    data = np.frombuffer(strings.buffers()[2], dtype=np.uint8, count=stop)[start:]
    special = start + arrays.rows((data < 0x20) | (data == ord('"')) | (data == ord("\\")))
    rows = arrays.rows(_rows_that_hold(special, ends) & subject)
    if not len(rows):
        return
    part = strings.take(pa.array(rows))
    part_data = np.frombuffer(part.buffers()[2], dtype=np.uint8)
    for character, escape in _ESCAPES:
        if (part_data == ord(character)).any():
            part = pc.replace_substring(part, character, escape)
    if (np.frombuffer(part.buffers()[2], dtype=np.uint8) < 0x20).any():
        part = pa.array([_controls(text) for text in part.to_pylist()], pa.string())
    values.put(rows, part)


def _rows_that_hold(positions: arrays.Ints, ends: Picks) -> arrays.Mask:
    """Which rows have any of the (ascending) positions; the fewer are looked up among the more."""
    if len(positions) > len(ends):
        before = np.searchsorted(positions, ends)
        return np.asarray(before[1:] > before[:-1])
    holds = np.zeros(len(ends) - 1, dtype=np.bool_)
    holds[np.searchsorted(ends, positions, side="right") - 1] = True
    return holds


def _controls(text: str) -> str:
    """The control characters that have no short escape."""
    return "".join(character if character >= " " else f"\\u{ord(character):04x}" for character in text)


def _last_wins(attributes: pa.Table, row_count: int) -> tuple[pa.Table, arrays.Ints | None]:
    """Without the earlier rows of a key that an owner has more than once, and which rows stay; None: all."""
    if not len(attributes):
        return attributes, None
    keys = arrays.single(attributes.column("key"))
    pairs = _numpy(attributes, "owner_index") * np.int64(len(keys.dictionary)) + keys.indices.to_numpy()
    size = row_count * len(keys.dictionary)
    if size <= _MAX_DENSE_PAIRS:
        seen = np.zeros(size, dtype=np.bool_)
        seen[pairs] = True
        if np.count_nonzero(seen) == len(pairs):
            return attributes, None
    _, last = np.unique(pairs[::-1], return_index=True)
    if len(last) == len(pairs):
        return attributes, None
    kept = np.sort(len(pairs) - 1 - last)
    return attributes.take(pa.array(kept)).combine_chunks(), kept


def _numpy(table: pa.Table, name: str) -> npt.NDArray[Any]:
    return np.asarray(arrays.single(table.column(name)).to_numpy())
