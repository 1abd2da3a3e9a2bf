"""Numbers inside JSON attributes, as rows of keys of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from collector.decode.columns import VALUE_BOOL, VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.normalise.fields import Fields
from collector.normalise.keys import BLOB_READERS, BLOB_TARGETS, KEYS
from otel_cost.normalise.transforms import BLOBS, at_path

Found = tuple[int, int, int, float, str | None]
"""Key, kind, and the value as a whole number, a double or a text."""


def add_blob_rows(fields: Fields) -> None:
    """Add one row for every number that a table reads inside a JSON attribute. Equal texts are parsed once."""
    rows: list[Found] = []
    for blob in fields.keys.blobs:
        key = KEYS[fields.keys.ids[blob]]
        place = fields.table[blob]
        owners = np.flatnonzero(place >= 0)
        owners = owners[fields.kind[place[owners]] == VALUE_STRING]
        texts = fields.strings.take(pa.array(place[owners])).dictionary_encode()
        inside = [_inside(key, text) for text in texts.dictionary.to_pylist()]
        for owner, code in zip(owners.tolist(), texts.indices.to_pylist(), strict=True):
            for found in inside[code]:
                target = fields.keys.local[KEYS[found[0]]]
                fields.table[target, owner] = len(fields.kind) + len(rows)
                rows.append(found)
    if rows:
        _, kinds, ints, doubles, strings = zip(*rows, strict=True)
        fields.kind = np.concatenate([fields.kind, np.array(kinds, np.int8)])
        fields.ints = np.concatenate([fields.ints, np.array(ints, np.int64)])
        fields.doubles = np.concatenate([fields.doubles, np.array(doubles, np.float64)])
        if any(text is not None for text in strings):  # else no row of these is looked up among the strings
            fields.strings = pa.concat_arrays([fields.strings, pa.array(strings, pa.string())])


def _inside(key: str, text: str) -> list[Found]:
    parsed = BLOBS[BLOB_READERS[key]](text)
    found: list[Found] = []
    for path, target in BLOB_TARGETS[key]:
        value = at_path(parsed, path) if parsed else None
        if isinstance(value, bool):
            found.append((target, VALUE_BOOL, int(value), 0.0, None))
        elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            found.append((target, VALUE_INT, value, 0.0, None))
        elif isinstance(value, int | float):
            found.append((target, VALUE_DOUBLE, 0, _double(value), None))
        elif isinstance(value, str):
            found.append((target, VALUE_STRING, 0, 0.0, value))
        elif value is not None:
            found.append((target, VALUE_BOOL, 0, 0.0, None))  # any other type is no number either
    return found


def _double(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
