"""Values of single attributes of spans, out of their JSON text: columns in, a column out.

An attribute is read as reports by attribute read it: what the span says, else its tag of that name, else its resource.
What is said is text as it stands: `"eu"` is eu, `1.5` is 1.5, `true` is true. Lists, objects, empty text, and what is
longer than `MAX_VALUE_BYTES`, say nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import MARKS
from collector.limits import MAX_NAME_BYTES
from collector.store.rows import one_chunk, plain_column
from otel_cost.attributes import OTEL_COST_TAG_PREFIX
from otel_cost.call import ATTRIBUTE

MAX_VALUE_BYTES = MAX_NAME_BYTES
"""As of owners: a longer one names nobody, and would be held for each of its counters."""

READ_COLUMNS = ("attributes", "resource", *MARKS)
"""What is read of the rows of a segment; of whole attributes, as the view `spans` has them, only the first two."""

_TEXT = r'(?:[^"\\]|\\.)*'


def attributes_in(columns: frozenset[str]) -> list[str]:
    """The attributes among the names of dimensions, as they are named there."""
    return sorted(name for name in columns if name.startswith(ATTRIBUTE))


def attribute_column(rows: pa.Table, name: str) -> pa.Array:
    """The values of an attribute (`ATTRIBUTE` and its key) of spans, NULL where nothing is said. `rows` have
    `READ_COLUMNS`, or whole attributes and the resource."""
    key = name.removeprefix(ATTRIBUTE)
    of_resource = _of_resources(rows.column("resource"), key)
    # One look at all texts: the tag of the same name ends like it.
    says = pc.match_substring(one_chunk(rows.column("attributes")), f"{_text(key)[1:]}:")
    at = np.flatnonzero(says.to_numpy(zero_copy_only=False))
    if not len(at):
        return of_resource
    some = rows.select([each for each in READ_COLUMNS if each in rows.column_names]).take(pa.array(at))
    texts = one_chunk(some.column("attributes"))
    said, tagged = (_said(_unmarked(_values(texts, each), some)) for each in (key, OTEL_COST_TAG_PREFIX + key))
    return _replaced(of_resource, at, pc.coalesce(said, tagged, of_resource.take(pa.array(at))))


def with_attributes(rows: pa.Table, columns: frozenset[str]) -> pa.Table:
    """`rows` with a column for each attribute among `columns` that they have none of."""
    for name in attributes_in(columns):
        if name not in rows.column_names:
            rows = rows.append_column(name, attribute_column(rows, name))
    return rows


def _of_resources(resources: pa.ChunkedArray, key: str) -> pa.Array:
    """Of resources, of which there are few."""
    whole = one_chunk(resources)
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    found = pa.array([_parsed(text, key) for text in whole.dictionary.to_pylist()], pa.string())
    return _said(found).take(whole.indices)


def _text(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _values(texts: pa.Array, key: str) -> pa.Array:
    """Values by key in JSON objects. Objects within objects, escapes and lists are read one by one: they are rare."""
    name = _text(key)
    has_key = pc.match_substring(texts, f"{name}:")
    if not pc.any(has_key).as_py():
        return pa.nulls(len(texts), pa.string())
    at = np.flatnonzero(has_key.to_numpy(zero_copy_only=False))
    some = texts.take(pa.array(at))
    pattern = rf'{re.escape(name)}:(?:"(?P<text>{_TEXT})"|(?P<plain>[^"{{}}\[\],]+))'
    found = pc.extract_regex(some, pattern)
    plain = pc.struct_field(found, "plain")
    values = pc.if_else(pc.equal(plain, ""), pc.struct_field(found, "text"), plain)
    values = pc.if_else(pc.equal(plain, "null"), pa.scalar(None, pa.string()), values)
    is_hard = pc.or_kleene(
        pc.is_null(found), pc.or_kleene(pc.match_substring(some, ":{"), pc.match_substring(values, "\\"))
    )
    hard = np.flatnonzero(pc.fill_null(is_hard, False).to_numpy(zero_copy_only=False))
    if len(hard):
        alone = pa.array([_parsed(some[row].as_py(), key) for row in hard.tolist()], pa.string())
        values = _replaced(values, hard, alone)
    return _replaced(pa.nulls(len(texts), pa.string()), at, values)


def _replaced(values: pa.Array, at: Any, others: pa.Array) -> pa.Array:
    """`values` with others at some places."""
    picks = np.arange(len(values))
    picks[at] = len(values) + np.arange(len(at))
    return pa.concat_arrays([_string(values), _string(others)]).take(pa.array(picks))


def _string(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return whole.cast(pa.string())


def _unmarked(values: pa.Array, rows: pa.Table) -> pa.Array:
    """With the values of columns in the place of the marks that stand for them in a segment."""
    if values.null_count == len(values):
        return values
    for column, mark in MARKS.items():
        if column in rows.column_names:
            marked = pc.equal(values, mark)
            if pc.any(marked).as_py():
                values = pc.if_else(marked, _string(plain_column(rows.column(column))), values)
    return values


def _said(values: pa.Array) -> pa.Array:
    length = pc.binary_length(values)
    says = pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_VALUE_BYTES))
    return pc.if_else(says, values, pa.scalar(None, pa.string()))


def _parsed(text: str | None, key: str) -> str | None:
    """The value of a key in one JSON object, as text."""
    try:
        said = json.loads(text or "{}", parse_float=str, parse_int=str, strict=False)
    except ValueError:
        return None
    value = said.get(key) if isinstance(said, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else None
