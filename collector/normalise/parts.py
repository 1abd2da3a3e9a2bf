"""Batches that say too much to be read in one go: memory follows what is said, not only how many spans say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import CallColumns, SpanBatch
from collector.normalise.fields import known_keys, one_chunk, values_of
from collector.normalise.keys import KEYS

MAX_CELLS = 1 << 22
"""Known keys of a batch times its spans that are read in one go, about 15 bytes each. Far fewer would read a large
batch of one emitter (tens of keys) in parts, and each part has a fixed cost of a millisecond."""

MAX_SHAPES = 1 << 13
"""Shapes held at a time, some kilobytes each. Apps have tens; a sender who writes a new model name into every span
makes as many as there are spans."""


def is_too_wide(batch: SpanBatch) -> bool:
    """Whether the spans of a batch, with all keys that any of them has, are more than `MAX_CELLS`."""
    size = batch.spans.num_rows
    if size < 2 or size * len(KEYS) <= MAX_CELLS:
        return False
    _, keys = known_keys(one_chunk(batch.attributes.column("key")).dictionary)
    return bool(len(keys.ids) * size > MAX_CELLS)


def halves(batch: SpanBatch) -> tuple[SpanBatch, SpanBatch]:
    """A batch as two; the rows are not copied, except the numbers of the owners."""
    middle = batch.spans.num_rows // 2
    owners = values_of(one_chunk(batch.attributes.column("owner_index")), np.int32)
    row = int(np.searchsorted(owners, middle))
    later = batch.attributes.slice(row).set_column(0, batch.attributes.schema.field(0), pa.array(owners[row:] - middle))
    return (
        replace(batch, spans=batch.spans.slice(0, middle), attributes=batch.attributes.slice(0, row)),
        replace(batch, spans=batch.spans.slice(middle), attributes=later),
    )


def joined(parts: Sequence[CallColumns], attributes: Sequence[int]) -> CallColumns:
    """What was read of the parts of a batch, as if it had been read in one go; `attributes`: how many each has."""
    before = np.cumsum([0, *attributes]).tolist()

    def usage(unit: str) -> pa.ChunkedArray:
        columns = [
            part.usage.get(unit, pa.chunked_array([pa.nulls(part.calls.num_rows, pa.int64())])) for part in parts
        ]
        return pa.chunked_array([pa.concat_arrays([one_chunk(column) for column in columns])])

    def sources(name: str) -> npt.NDArray[np.int64]:
        nowhere = [np.full(part.calls.num_rows, -1) for part in parts]
        rows = [part.sources.get(name, none) for part, none in zip(parts, nowhere, strict=True)]
        return np.concatenate([np.where(found < 0, -1, found + at) for found, at in zip(rows, before, strict=False)])

    units = dict.fromkeys(unit for part in parts for unit in part.usage)
    calls = pa.concat_tables([part.calls for part in parts]).unify_dictionaries().combine_chunks()
    names = dict.fromkeys(name for part in parts for name in part.sources)
    return CallColumns(calls, {unit: usage(unit) for unit in units}, {name: sources(name) for name in names})
