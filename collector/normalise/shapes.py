"""Spans that differ only in quantities and ids are one shape: the scalar reader reads one span of each.

A shape is the scope, the relevant name, kind, status, every deciding text, which keys are there and which quantities
are usable. All that the scalar reader decides follows from it, so a batch of thousands of spans costs tens of readings.
Shapes are told apart exactly: each fact is a small code, and the codes of a span are digits of one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import VALUE_BOOL, VALUE_BYTES, VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.decode.texts import encoded
from collector.normalise.fields import Bools, Fields, Ints, codes_of, one_chunk, values_of
from collector.normalise.keys import KEYS, name_matters
from collector.normalise.numbers import Numbers
from otel_cost.normalise.plan import Plan, dialect_of, plan_for
from otel_cost.normalise.reader import Reading, read

MAX_PLANS = 4_096
LARGEST_WORD = 1 << 62
KINDS = 8
"""Above every `value_type`; 0 is that of a key that is not there."""

_plans: dict[tuple[str, frozenset[str]], Plan] = {}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the scalar reader says of all spans of one shape."""

    plan: Plan
    reading: Reading


class _Words:
    """One number per span, equal where all digits added so far are equal."""

    def __init__(self, size: int) -> None:
        self.words = np.zeros(size, np.int64)
        self._count = 1  # words are below this

    def add(self, digits: npt.NDArray[Any], count: int) -> None:
        """Add a digit below `count` for every span."""
        if count < 2 or not len(digits) or digits.min() == digits.max():
            return
        if self._count * count > LARGEST_WORD:
            self.words, self._count = _compressed(self.words)
        if self._count * count > LARGEST_WORD:
            digits, count = _compressed(digits)
        self.words = self.words * count + digits if self._count > 1 else digits.astype(np.int64)
        self._count *= count


def _compressed(values: npt.NDArray[Any]) -> tuple[Ints, int]:
    """Equal values as equal codes from 0, and how many there are."""
    encoded = pa.array(values).dictionary_encode()
    return values_of(encoded.indices, np.int32).astype(np.int64), len(encoded.dictionary)


def shapes_of(spans: pa.Table, fields: Fields, numbers: Numbers, gated: Bools) -> tuple[Ints, Ints]:
    """The shape of each span, from 0, and the first span of each shape. Spans that are not `gated` are all alike."""
    words = _Words(spans.num_rows)
    _add_span(words, spans)
    for key in fields.keys.presence:
        _add_mask(words, fields.table[key] >= 0)
    _add_numbers(words, numbers)
    _add_discrete(words, fields)
    if not gated.all():
        words.words = np.where(gated, words.words, -1)
    if not len(words.words) or words.words.min() == words.words.max():
        return np.zeros(spans.num_rows, np.int64), np.zeros(min(spans.num_rows, 1), np.int64)
    shape, count = _compressed(words.words)
    first = np.empty(count, np.int64)
    first[shape[::-1]] = np.arange(len(shape) - 1, -1, -1)  # of repeated places the last assignment stands
    return shape, first


def _add_mask(words: _Words, mask: Bools) -> None:
    if not mask.all():
        words.add(mask, 2)


def _add_span(words: _Words, spans: pa.Table) -> None:
    scope, scopes = codes_of(spans.column("scope_name"))
    words.add(scope + 1, len(scopes) + 1)
    name, names = codes_of(spans.column("name"))
    matters = [place + 1 for place, value in enumerate(names) if name_matters(value or "")]
    if matters:
        digit = np.zeros(len(names) + 1, np.int64)  # the last entry answers for NULL
        digit[np.array(matters) - 1] = matters
        words.add(digit[name], len(names) + 1)
    for column in ("kind", "status_code"):
        code = one_chunk(spans.column(column))
        values = values_of(code.fill_null(0) if code.null_count else code, np.int8)
        words.add(values.astype(np.int64) + 128, 256)  # int8


def _add_numbers(words: _Words, numbers: Numbers) -> None:
    """Which quantities are there, which of them are usable, and what was wrong with the others."""
    usable = numbers.valid.astype(np.int8) + np.int8(1)  # 0: not there
    for key in range(len(numbers.present.ends) - 1):
        words.add(numbers.present.spread(key, usable), 3)
        if numbers.flags is not None and numbers.flags[numbers.present.part(key)].any():
            words.add(*_compressed(numbers.present.spread(key, numbers.flags)))


def _add_discrete(words: _Words, fields: Fields) -> None:
    """The deciding texts, all keys' in one dictionary, and what the values of other types decide."""
    present = fields.present(fields.keys.numbers, fields.keys.discrete)
    kind = fields.kind[present.rows]
    written = kind == VALUE_STRING
    numbers, texts = encoded(fields.strings, present.rows if written.all() else present.rows[written])
    digits = numbers + KINDS
    if len(numbers) < len(kind):
        digits = kind.astype(np.int32)
        digits[written] = numbers + KINDS
    whole = (kind == VALUE_INT) | (kind == VALUE_BOOL)
    values = np.where(whole, fields.ints[present.rows], 0) if whole.any() else None
    for key in range(len(present.ends) - 1):
        words.add(present.spread(key, digits), KINDS + len(texts))
        if values is not None and whole[present.part(key)].any():
            words.add(*_compressed(present.spread(key, values)))


def read_shapes(spans: pa.Table, fields: Fields, wanted: Ints) -> list[Shape]:
    """The scalar reader's answers for these spans, each of which stands for its shape."""
    picked = spans.select(("scope_name", "name", "kind", "status_code")).take(pa.array(wanted)).to_pylist()
    rows = fields.table[fields.keys.deciding][:, wanted].T
    said = rows >= 0
    keys = [KEYS[fields.keys.ids[place]] for place in fields.keys.deciding[np.nonzero(said)[1]].tolist()]
    items = list(zip(keys, _values(fields, rows[said]), strict=True))
    shapes, at = [], 0
    for span, count in zip(picked, said.sum(axis=1).tolist(), strict=True):
        scope, name = span["scope_name"] or "", span["name"] or ""
        shapes.append(_read(scope, name, span["kind"] or 0, span["status_code"] or 0, dict(items[at : at + count])))
        at += count
    return shapes


def _read(scope: str, name: str, kind: int, status: int, attributes: dict[str, object]) -> Shape:
    dialect = dialect_of(scope, name, attributes)
    shape = (dialect.name, frozenset(attributes))
    plan = _plans.get(shape)
    if plan is None:
        if len(_plans) >= MAX_PLANS:
            _plans.clear()
        plan = _plans[shape] = plan_for(dialect, shape[1])
    return Shape(plan, read(plan, name, kind, status, attributes))


def _values(fields: Fields, rows: npt.NDArray[np.int32]) -> list[object]:
    """Values as the app wrote them; lists and bytes, which no transform reads, as empty ones."""
    if not len(rows):
        return []
    kinds = fields.kind[rows]
    strings = fields.strings.take(pa.array(rows, mask=kinds != VALUE_STRING)).to_pylist()
    columns = kinds.tolist(), fields.ints[rows].tolist(), fields.doubles[rows].tolist()
    return [_value(*value) for value in zip(*columns, strings, strict=True)]


def _value(kind: int, whole: int, real: float, string: str | None) -> object:
    if kind == VALUE_STRING:
        return string
    if kind == VALUE_INT:
        return whole
    if kind == VALUE_BOOL:
        return bool(whole)
    if kind == VALUE_DOUBLE:
        return real
    return b"" if kind == VALUE_BYTES else ()
