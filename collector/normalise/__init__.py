"""The column reader: what `otel_cost.normalise` says of one span, said of a batch of spans at once.

It reads the same tables. Spans are grouped into shapes; the scalar reader reads one span of each shape, and only
quantities, ids and owners are picked per span, vectorised. `tests/parity` holds both readers to the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from collector.decode.columns import CALL_SCHEMA, CallColumns, SpanBatch
from collector.normalise.blobs import add_blob_rows
from collector.normalise.fields import Bools, Fields, Ints, codes_of, null_texts
from collector.normalise.keys import ESSENTIAL_KEYS
from collector.normalise.numbers import Numbers, read_numbers
from collector.normalise.owners import own_owners, resource_owners
from collector.normalise.parts import MAX_SHAPES, halves, is_too_wide, joined
from collector.normalise.settle import Usage, facts_of, settle_columns
from collector.normalise.shapes import Shape, read_shapes, shapes_of
from collector.normalise.sources import of_counts, of_texts
from collector.normalise.texts import Texts
from otel_cost.call import CallKind
from otel_cost.normalise.dialects.generic import GENERIC
from otel_cost.normalise.plan import NAME_GATE, plan_for
from otel_cost.normalise.reader import Reading, read

__all__ = ["ESSENTIAL_KEYS", "normalise_columns"]


def normalise_columns(batch: SpanBatch) -> CallColumns:
    """One row of `CALL_SCHEMA` per span, in the batch's order, and the usage per unit. Never raises on span content."""
    found = None if is_too_wide(batch) else _read_batch(batch)
    if found is not None:
        return found
    parts = halves(batch)
    return joined([normalise_columns(half) for half in parts], [half.attributes.num_rows for half in parts])


def _read_batch(batch: SpanBatch) -> CallColumns | None:
    """A batch read in one go; None: its spans have too many shapes for that."""
    fields = Fields.of(batch.attributes, batch.spans.num_rows)
    add_blob_rows(fields)
    texts, numbers = Texts(fields), read_numbers(fields)
    gated = _gated(batch.spans, fields)
    shape, first = shapes_of(batch.spans, fields, numbers, gated)
    if len(first) > MAX_SHAPES:
        return None
    shapes = _read_shapes(batch.spans, fields, first, gated)
    readings = [found.reading for found in shapes]
    usage, settled = settle_columns(
        Usage(fields.size, _usage(readings, shape, fields, numbers)), facts_of(readings, shape)
    )
    flags = np.array([reading.flags for reading in readings], np.int64)[shape] | settled
    response_ids = _response_ids(shapes, shape, fields, texts)
    owners = own_owners(batch.spans, fields, texts, [reading.agent for reading in readings], shape)
    calls = {
        **_texts_of(shapes, shape),
        "response_id": texts.take(response_ids),
        **_costs(readings, shape, fields, numbers),
        "failed": pa.array(np.array([reading.failed for reading in readings], np.bool_)[shape]),
        "flags": pa.array(flags if gated.all() else np.where(gated, flags, 0)),
        **{name: texts.column(places) for name, places in owners.items()},
        **resource_owners(batch),
    }
    places, attributes = {"response_id": response_ids, **owners}, batch.attributes.num_rows
    return CallColumns(
        pa.Table.from_arrays([calls[name] for name in CALL_SCHEMA.names], schema=CALL_SCHEMA),
        {
            unit: pa.chunked_array([pa.array(values, mask=None if present.all() else ~present)])
            for unit, (values, present) in usage.items()
            if present.any()
        },
        {**of_texts(places, attributes), **of_counts(usage, readings, shape, fields, attributes)},
    )


def _nothing() -> Shape:
    """The shape of all spans that are no GenAI spans."""
    plan = plan_for(GENERIC, frozenset())
    return Shape(plan, replace(read(plan, "", 0, 0, {}), kind=CallKind.IGNORE))


NOTHING = _nothing()


def _gated(spans: pa.Table, fields: Fields) -> Bools:
    """Which spans are GenAI spans: by a key of the gate, or by their name."""
    gated = np.zeros(spans.num_rows, np.bool_)
    for key in fields.keys.gates:
        gated |= fields.table[key] >= 0
        if gated.all():
            return gated
    name, names = codes_of(spans.column("name"))
    named = [value is not None and value.startswith(NAME_GATE) for value in names]
    return gated | np.array([*named, False], np.bool_)[name] if any(named) else gated


def _read_shapes(spans: pa.Table, fields: Fields, first: Ints, gated: Bools) -> list[Shape]:
    found = iter(read_shapes(spans, fields, first[gated[first]]))
    return [next(found) if is_gen_ai else NOTHING for is_gen_ai in gated[first].tolist()]


def _texts_of(shapes: Sequence[Shape], shape: Ints) -> dict[str, pa.Array]:
    """The columns whose value is the same for all spans of a shape."""
    alike = pa.array(np.zeros(len(shape), np.int32))

    def column(value: Callable[[Shape], str | None]) -> pa.Array:
        texts: dict[str, int] = {}
        said = [None if one is NOTHING else value(one) for one in shapes]
        codes = [-1 if text is None else texts.setdefault(text, len(texts)) for text in said]
        if not texts:
            return null_texts(len(shape))
        indices = alike
        if len(set(codes)) > 1:
            of_row = np.array(codes, np.int32)[shape]
            missing = of_row < 0 if -1 in codes else None
            indices = pa.array(np.maximum(of_row, 0), mask=missing)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(texts), pa.string()))

    return {
        "call_kind": column(lambda found: found.reading.kind.value),
        "dialect": column(lambda found: found.plan.dialect.name),
        "operation": column(lambda found: found.reading.operation),
        "provider": column(lambda found: found.reading.provider),
        "request_model": column(lambda found: found.reading.request_model),
        "response_model": column(lambda found: found.reading.response_model),
        "service_tier": column(lambda found: found.reading.service_tier),
    }


def _usage(readings: Sequence[Reading], shape: Ints, fields: Fields, numbers: Numbers) -> dict[str, tuple[Ints, Bools]]:
    """Unit -> each span's quantity (0: none), and which spans have one."""
    chosen = [dict(zip(reading.usage, reading.usage_keys, strict=True)) for reading in readings]
    places = fields.keys.local
    return {
        unit: numbers.chosen([places[keys[unit]] if unit in keys else -1 for keys in chosen], shape)
        for unit in dict.fromkeys(unit for keys in chosen for unit in keys)
    }


def _costs(readings: Sequence[Reading], shape: Ints, fields: Fields, numbers: Numbers) -> dict[str, pa.Array]:
    by_provider = np.array([reading.cost_by_provider for reading in readings], np.bool_)[shape]
    places = [-1 if reading.cost_key is None else fields.keys.local[reading.cost_key] for reading in readings]
    amount = pa.nulls(len(shape), pa.int64())
    if max(places, default=-1) >= 0:
        quantity, present = numbers.chosen(places, shape)
        amount = pa.array(quantity, mask=~present)
    return {"reported_cost_pico_usd": amount, "reported_by_provider": pa.array(by_provider)}


def _response_ids(shapes: Sequence[Shape], shape: Ints, fields: Fields, texts: Texts) -> Ints:
    """The place of each span's response id; -1: none."""
    found = np.full(len(shape), -1, np.int64)
    wanted = [tuple(key for key, _, _ in one.plan.response_id) for one in shapes]
    for rank in range(max(map(len, wanted), default=0)):
        rows = fields.rows_of([keys[rank] if rank < len(keys) else None for keys in wanted], shape)
        if rows is not None and found.min(initial=0) < 0:
            found = np.where(found >= 0, found, texts.find(rows))
    return found
