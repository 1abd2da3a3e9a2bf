"""The column reader: what `otel_cost.normalise` says of one span, said of a batch of spans at once.

It reads the same tables. Spans are grouped into shapes; the scalar reader reads one span of each shape, and only
quantities, ids and owners are picked per span, vectorised. `tests/parity` holds both readers to the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode.columns import (
    CALL_SCHEMA,
    OWNER_COLUMNS,
    RESOURCE_OWNER_COLUMNS,
    CallColumns,
    SpanBatch,
)
from collector.normalise.keys import ESSENTIAL_KEYS, GATES, KEY_IDS, ROLES
from collector.normalise.owners import Texts, dimension_places, own_agents, without_quotes
from collector.normalise.rows import (
    Bools,
    Ints,
    Places,
    Rows,
    known_rows,
    one_chunk,
    place,
    read_numbers,
    values_of,
    with_blob_rows,
)
from collector.normalise.settle import Usage, facts_of, settle_columns
from collector.normalise.shapes import Shape, codes_of, fingerprints, read_shapes
from otel_cost.call import CallKind
from otel_cost.normalise.dialects.generic import GENERIC
from otel_cost.normalise.owners import OWNER_KEYS, RESOURCE_KEYS
from otel_cost.normalise.plan import NAME_GATE, plan_for
from otel_cost.normalise.reader import Reading, read

__all__ = ["ESSENTIAL_KEYS", "normalise_columns"]


def normalise_columns(batch: SpanBatch) -> CallColumns:
    """One row of `CALL_SCHEMA` per span, in the batch's order, and the usage per unit. Never raises on span content."""
    size = batch.spans.num_rows
    rows, places = place(with_blob_rows(known_rows(batch.attributes)), size)
    texts = Texts(rows)
    quantity, valid, flags = read_numbers(rows)
    gated = _gated(batch.spans, rows)
    marks = np.where(gated, fingerprints(batch.spans, rows, valid, flags), np.uint64(0))
    _, first, shape = np.unique(marks, return_index=True, return_inverse=True)
    shapes = _read_shapes(batch.spans, rows, first, gated)
    readings = [found.reading for found in shapes]
    columns, settled = settle_columns(Usage(size, _usage(readings, shape, places, quantity)), facts_of(readings, shape))
    flag_column = np.array([reading.flags for reading in readings], np.int64)[shape] | settled
    calls = {
        **_texts_of(shapes, shape),
        "response_id": _response_ids(shapes, shape, places, texts),
        **_costs(readings, shape, places, quantity),
        "failed": pa.array(np.array([reading.failed for reading in readings], np.bool_)[shape]),
        "flags": pa.array(np.where(gated, flag_column, 0)),
        **_owners(batch, shape, readings, places, texts),
        **_resource_owners(batch),
    }
    usage = {
        unit: pa.chunked_array([pa.array(values, mask=~present)])
        for unit, (values, present) in columns.items()
        if present.any()
    }
    return CallColumns(pa.table({field.name: calls[field.name] for field in CALL_SCHEMA}, schema=CALL_SCHEMA), usage)


def _nothing() -> Shape:
    """The shape of all spans that are no GenAI spans."""
    plan = plan_for(GENERIC, frozenset())
    return Shape(plan, replace(read(plan, "", 0, 0, {}), kind=CallKind.IGNORE))


NOTHING = _nothing()


def _gated(spans: pa.Table, rows: Rows) -> Bools:
    gated = np.zeros(spans.num_rows, np.bool_)
    gated[rows.owner[ROLES[rows.key] & GATES != 0]] = True
    name, names = codes_of(spans.column("name"))
    named = np.array([value is not None and value.startswith(NAME_GATE) for value in names] + [False], np.bool_)
    return gated | named[name]


def _read_shapes(spans: pa.Table, rows: Rows, first: npt.NDArray[np.intp], gated: Bools) -> list[Shape]:
    found = iter(read_shapes(spans, rows, first[gated[first]]))
    return [next(found) if is_gen_ai else NOTHING for is_gen_ai in gated[first]]


def _per_shape(values: Sequence[str | None], shape: Ints) -> pa.Array:
    """A DICT_STRING column of what is the same for all spans of a shape."""
    distinct: dict[str, int] = {}
    codes = np.array([-1 if value is None else distinct.setdefault(value, len(distinct)) for value in values], np.int32)
    indices = codes[shape]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32(), mask=indices < 0), pa.array(list(distinct), pa.string())
    )


def _texts_of(shapes: Sequence[Shape], shape: Ints) -> dict[str, pa.Array]:
    def column(value: Callable[[Shape], str | None]) -> pa.Array:
        return _per_shape([None if found is NOTHING else value(found) for found in shapes], shape)

    return {
        "call_kind": column(lambda found: found.reading.kind.value),
        "dialect": column(lambda found: found.plan.dialect.name),
        "operation": column(lambda found: found.reading.operation),
        "provider": column(lambda found: found.reading.provider),
        "request_model": column(lambda found: found.reading.request_model),
        "response_model": column(lambda found: found.reading.response_model),
        "service_tier": column(lambda found: found.reading.service_tier),
    }


def _rows_of(keys: Sequence[str | None], shape: Ints, places: Places) -> npt.NDArray[np.int32]:
    """The row of each span's key, where `keys` has one per shape; -1: none."""
    return places.chosen(np.array([-1 if key is None else KEY_IDS[key] for key in keys], np.int16)[shape])


def _usage(readings: Sequence[Reading], shape: Ints, places: Places, quantity: Ints) -> dict[str, tuple[Ints, Bools]]:
    chosen = [dict(zip(reading.usage, reading.usage_keys, strict=True)) for reading in readings]
    columns = {}
    for unit in dict.fromkeys(unit for keys in chosen for unit in keys):
        rows = _rows_of([keys.get(unit) for keys in chosen], shape, places)
        present = rows >= 0
        columns[unit] = quantity[rows], present
    return columns


def _costs(readings: Sequence[Reading], shape: Ints, places: Places, quantity: Ints) -> dict[str, pa.Array]:
    rows = _rows_of([reading.cost_key for reading in readings], shape, places)
    return {
        "reported_cost_pico_usd": pa.array(quantity[rows], mask=rows < 0),
        "reported_by_provider": pa.array(np.array([reading.cost_by_provider for reading in readings], np.bool_)[shape]),
    }


def _response_ids(shapes: Sequence[Shape], shape: Ints, places: Places, texts: Texts) -> pa.Array:
    found = np.full(len(shape), -1, np.int64)
    wanted = [tuple(key for key, _, _ in one.plan.response_id) for one in shapes]
    for rank in range(max(map(len, wanted), default=0)):
        rows = _rows_of([keys[rank] if rank < len(keys) else None for keys in wanted], shape, places)
        found = np.where(found >= 0, found, texts.find(rows))
    return texts.take(found)


def _owners(
    batch: SpanBatch, shape: Ints, readings: Sequence[Reading], places: Places, texts: Texts
) -> dict[str, pa.Array]:
    found = dimension_places(OWNER_KEYS, places, texts, len(shape))
    code, values = codes_of(batch.spans.column("name"))
    names = without_quotes(pa.array([value or None for value in values] + [None], pa.string()))
    valid = names.is_valid().to_numpy(zero_copy_only=False)
    code = np.where(code < 0, len(values), code)
    agents = [reading.agent for reading in readings]
    found["agent"] = own_agents(found["agent"], agents, shape, places, texts, (code, valid))
    return {dimension: texts.column(found[dimension], names) for dimension in OWNER_COLUMNS}


def _resource_owners(batch: SpanBatch) -> dict[str, pa.Array]:
    size = batch.resources.num_rows
    rows, places = place(known_rows(batch.resource_attributes), size)
    texts = Texts(rows)
    index = values_of(one_chunk(batch.spans.column("resource_index")), np.int32)
    return {
        column: texts.column(found[index])
        for column, found in zip(
            RESOURCE_OWNER_COLUMNS, dimension_places(RESOURCE_KEYS, places, texts, size).values(), strict=True
        )
    }
