"""Facts of OTLP that have no column, kept as attributes when they say something.

The names are OpenTelemetry's own for backends without such fields (specification, "Mapping to non-OTLP formats").
They are rare: a count is written when it is above 0, trace flags when they are more than "sampled" and "local parent".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode import arrays
from collector.decode.attributes import long_attributes
from collector.decode.columns import ATTRIBUTE_SCHEMA, DICT_STRING, VALUE_INT, VALUE_JSON, VALUE_STRING
from collector.decode.remainder import attributes_json
from collector.decode.request import DecodeLimits
from collector.decode.slices import Slices

DROPPED_ATTRIBUTES = "otel.dropped_attributes_count"
DROPPED_EVENTS = "otel.dropped_events_count"
DROPPED_LINKS = "otel.dropped_links_count"
TRACE_FLAGS = "otel.trace_flags"
SCOPE_ATTRIBUTES = "otel.scope.attributes"
SCHEMA_URL = "otel.schema_url"

_UNUSUAL_FLAGS = np.uint32(0xFFFFFEFE)
"""All bits but "sampled" and "it is known whether the parent is remote"."""


@dataclass(frozen=True, slots=True)
class Extra:
    """One key for some owners (rows ascending); numbers or texts, as `kind` says."""

    key: str
    kind: int
    owners: arrays.Ints
    values: Sequence[object]


def span_extras(
    spans: pa.RecordBatch, scopes: pa.RecordBatch, scope_of_span: arrays.Ints, limits: DecodeLimits
) -> list[Extra]:
    """Trace flags, dropped events and links, and the attributes of the scope."""
    flags = np.asarray(spans.column("flags").to_numpy(), dtype=np.uint32)
    extras = [
        *_dropped(DROPPED_EVENTS, spans.column("dropped_events_count"), spans.column("events"), limits),
        *_dropped(DROPPED_LINKS, spans.column("dropped_links_count"), spans.column("links"), limits),
        *_where(TRACE_FLAGS, flags, (flags & _UNUSUAL_FLAGS) != 0),
    ]
    lists = scopes.column("scope").field(2)
    if arrays.lengths(lists).any():
        long = long_attributes(Slices.of(lists.values), arrays.owners(lists), limits)
        texts = attributes_json(long.table, len(scopes))
        owners = arrays.rows((arrays.lengths(lists) > 0)[scope_of_span])
        extras.append(
            Extra(SCOPE_ATTRIBUTES, VALUE_JSON, owners, texts.take(pa.array(scope_of_span[owners])).to_pylist())
        )
    return extras


def resource_extras(resources: pa.RecordBatch) -> list[Extra]:
    """Dropped attributes and the schema of the resource."""
    dropped = resources.column("resource").field(1)
    numbers = arrays.values_of(dropped.fill_null(0) if dropped.null_count else dropped, np.uint32)
    extras = _where(DROPPED_ATTRIBUTES, numbers, numbers > 0)
    urls = resources.column("schema_url")
    rows = arrays.rows(arrays.lengths(urls))
    if len(rows):
        texts = [url.decode("utf-8", "replace") for url in urls.take(pa.array(rows)).to_pylist()]
        extras.append(Extra(SCHEMA_URL, VALUE_STRING, rows, texts))
    return extras


def _dropped(key: str, counts: pa.Array, parts: pa.Array, limits: DecodeLimits) -> list[Extra]:
    """What the sender dropped, and what is beyond our own cap."""
    if not len(parts.values) and not arrays.values_of(counts, np.uint32).any():
        return []
    beyond = np.maximum(arrays.lengths(parts).astype(np.int64) - limits.max_events_per_span, 0)
    numbers = np.asarray(counts.to_numpy(), dtype=np.int64) + beyond
    return _where(key, numbers, numbers > 0)


def _where(key: str, numbers: npt.NDArray[np.int64] | npt.NDArray[np.uint32], chosen: arrays.Mask) -> list[Extra]:
    rows = arrays.rows(chosen)
    return [Extra(key, VALUE_INT, rows, numbers[rows].tolist())] if len(rows) else []


def with_extras(table: pa.Table, extras: Sequence[Extra]) -> pa.Table:
    """The long table with the extras after each owner's own attributes."""
    if not extras:
        return table
    whole = pa.concat_tables([table, *(_rows(extra) for extra in extras)]).unify_dictionaries().combine_chunks()
    order = np.argsort(np.asarray(whole.column("owner_index").to_numpy()), kind="stable")
    return whole.take(pa.array(order))


def _rows(extra: Extra) -> pa.Table:
    count = len(extra.owners)
    is_number = extra.kind == VALUE_INT
    key = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([extra.key]))
    return pa.Table.from_arrays(
        [
            pa.array(extra.owners.astype(np.int32)),
            key.cast(DICT_STRING),
            pa.array(np.full(count, extra.kind, dtype=np.int8)),
            pa.nulls(count, pa.string()) if is_number else pa.array(extra.values, pa.string()),
            pa.array(extra.values, pa.int64()) if is_number else pa.nulls(count, pa.int64()),
            pa.nulls(count, pa.float64()),
        ],
        schema=ATTRIBUTE_SCHEMA,
    )
