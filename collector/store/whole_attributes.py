"""The attributes of spans as they were sent: values in the place of the marks that stand for them in a segment."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from collector.decode.columns import MARKS
from collector.store.rows import one_chunk, plain_column

_FIRST_TEXT = 0x20
"""JSON text holds no character below it, so what is found there is a mark."""


def whole_sql() -> str:
    """The whole attributes of a segment's row. What is marked is the span's own value, whatever `derived` says."""
    expression = "attributes"
    for name, mark in MARKS.items():
        expression = f"""replace({expression}, chr({ord(mark)}), coalesce(CAST("{name}" AS VARCHAR), ''))"""
    return expression


def with_whole_attributes(rows: pa.Table) -> pa.Table:
    """`rows`, which have `attributes` and the columns of `MARKS`, with the attributes that were sent."""
    texts = one_chunk(rows.column("attributes"))
    ends = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1] if len(texts) else np.zeros(1)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[: int(ends[-1])]
    marks = int(ends[0]) + np.flatnonzero(data[int(ends[0]) :] < _FIRST_TEXT)
    if not len(marks):
        return rows
    cuts = np.sort(np.concatenate([ends, marks, marks + 1]), kind="stable").astype(np.int32)
    cuts = cuts[np.append(True, cuts[1:] != cuts[:-1])]  # np.unique hashes, which takes ten times as long
    pieces = pa.StringArray.from_buffers(len(cuts) - 1, pa.py_buffer(cuts), pa.py_buffer(data))
    picks = np.arange(len(pieces))
    row_of_mark = np.searchsorted(ends, marks, side="right") - 1
    values = [pieces]
    for name, mark in MARKS.items():
        at = np.flatnonzero(data[marks] == ord(mark))
        if len(at):
            picks[np.searchsorted(cuts, marks[at])] = sum(map(len, values)) + row_of_mark[at]
            values.append(one_chunk(plain_column(rows.column(name)).cast(pa.string())))
    laid = pa.concat_arrays(values).take(pa.array(picks))
    new_ends = np.frombuffer(laid.buffers()[1], np.int32)[np.searchsorted(cuts, ends)]
    whole = pa.StringArray.from_buffers(len(texts), pa.py_buffer(new_ends), laid.buffers()[2])
    return rows.set_column(rows.schema.get_field_index("attributes"), rows.schema.field("attributes"), whole)
