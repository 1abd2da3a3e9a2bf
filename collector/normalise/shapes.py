"""Spans that differ only in quantities and ids are one shape: the scalar reader reads one span of each.

A shape is the scope, the relevant name, kind, status, every deciding text, which keys are there and which quantities
are usable. All that the scalar reader decides follows from it, so a batch of thousands of spans costs tens of readings.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import VALUE_BOOL, VALUE_BYTES, VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.normalise.keys import DISCRETE, IDENTITY, KEYS, NUMBER, PRESENCE, ROLES, name_matters
from collector.normalise.rows import Bools, Ints, Rows, count_distinct, one_chunk, values_of
from otel_cost.normalise.plan import Plan, dialect_of, plan_for
from otel_cost.normalise.reader import Reading, read
from otel_cost.normalise.transforms import text

MAX_PLANS = 4_096
SALT = np.uint64(secrets.randbits(64))
"""Fingerprints are salted, so that nobody can write spans that are taken for each other."""

_plans: dict[tuple[str, frozenset[str]], Plan] = {}

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the scalar reader says of all spans of one shape."""

    plan: Plan
    reading: Reading


def fingerprints(spans: pa.Table, rows: Rows, valid: Bools, flags: Ints) -> Words:
    """One number per span, equal for spans of one shape."""
    roles = ROLES[rows.key]
    index = np.flatnonzero(roles & (NUMBER | DISCRETE | IDENTITY | PRESENCE))
    words = _mix(rows.key[index].astype(np.uint64) << np.uint64(40) ^ _detail(rows, index, valid, flags))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
    edges = np.searchsorted(rows.owner[index], np.arange(spans.num_rows + 1))
    own: Words = sums[edges[1:]] - sums[edges[:-1]]
    return _mix(own ^ _span_words(spans))


def _detail(rows: Rows, index: npt.NDArray[np.intp], valid: Bools, flags: Ints) -> Words:
    """What else than its key matters of a row: whether a quantity is usable, or the text itself."""
    roles, kind = ROLES[rows.key[index]], rows.value_type[index]
    detail = kind.astype(np.uint64)
    number = np.flatnonzero(roles & NUMBER)
    detail[number] = (valid[index[number]] | flags[index[number]] << 1).astype(np.uint64)
    discrete = np.flatnonzero((roles & NUMBER == 0) & (roles & DISCRETE != 0))
    whole = discrete[(kind[discrete] == VALUE_INT) | (kind[discrete] == VALUE_BOOL)]
    detail[whole] |= _mix(rows.ints[index[whole]].astype(np.uint64)) << np.uint64(3)
    written = discrete[kind[discrete] == VALUE_STRING]
    codes, _ = count_distinct(rows.strings.take(pa.array(index[written])))
    detail[written] |= (codes + 1).astype(np.uint64) << np.uint64(3)
    passed = np.flatnonzero((roles & (NUMBER | DISCRETE) == 0) & (roles & IDENTITY != 0) & (kind == VALUE_STRING))
    strings = rows.strings.take(pa.array(index[passed]))
    detail[passed] |= readable(strings).astype(np.uint64) << np.uint64(3)
    return detail


def readable(strings: pa.Array) -> Bools:
    """Which strings the transform `text` keeps: all but empty ones, in quotes or not."""
    found: Bools = pc.fill_null(pc.greater(pc.binary_length(strings), 0), False).to_numpy(zero_copy_only=False).copy()
    quoted = np.flatnonzero(pc.fill_null(pc.starts_with(strings, '"'), False).to_numpy(zero_copy_only=False))
    for place in quoted.tolist():
        found[place] = text(strings[place].as_py()) is not None
    return found


def _span_words(spans: pa.Table) -> Words:
    scope, _ = codes_of(spans.column("scope_name"))
    name, names = codes_of(spans.column("name"))
    matters = np.array([index + 1 if name_matters(value or "") else 0 for index, value in enumerate(names)] + [0])
    kind = pc.fill_null(spans.column("kind"), 0).to_numpy().astype(np.uint64)
    status = pc.fill_null(spans.column("status_code"), 0).to_numpy().astype(np.uint64)
    word = (scope + 1).astype(np.uint64) << np.uint64(32) | matters[name].astype(np.uint64)
    return _mix(_mix(word) ^ (kind << np.uint64(8) | status))


def codes_of(column: pa.ChunkedArray) -> tuple[Ints, list[str | None]]:
    """Codes (-1: NULL) and dictionary of a DICT_STRING column."""
    array = one_chunk(column)
    codes = values_of(array.indices, np.int32).astype(np.int64)
    if array.null_count:
        codes = np.where(array.is_null().to_numpy(zero_copy_only=False), -1, codes)
    return codes, array.dictionary.to_pylist()


def _mix(words: Words) -> Words:
    """splitmix64: equal words stay equal, others become unrelated."""
    mixed = words + SALT
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def read_shapes(spans: pa.Table, rows: Rows, wanted: npt.NDArray[np.intp]) -> list[Shape]:
    """The scalar reader's answers for these spans, each of which stands for its shape."""
    picked = spans.select(("scope_name", "name", "kind", "status_code")).take(pa.array(wanted)).to_pylist()
    starts, stops = np.searchsorted(rows.owner, wanted), np.searchsorted(rows.owner, wanted, side="right")
    index = np.concatenate([np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)] or [starts])
    items = _items(rows.take(index))
    shapes, at = [], 0
    for span, count in zip(picked, (stops - starts).tolist(), strict=True):
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


def _items(rows: Rows) -> list[tuple[str, object]]:
    """Keys and values as the app wrote them; lists and bytes, which no transform reads, as empty ones."""
    columns = (rows.key.tolist(), rows.value_type.tolist(), rows.ints.tolist(), rows.doubles.tolist())
    return [
        (KEYS[key], _value(kind, whole, real, string))
        for key, kind, whole, real, string in zip(*columns, rows.strings.to_pylist(), strict=True)
    ]


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
