"""Split levels -> the columns of `SpanBatch`, with the spans that cannot be kept marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.decode import arrays, values
from collector.decode.attributes import LongAttributes, cap_per_owner, long_attributes, two_long_attributes
from collector.decode.columns import SPAN_SCHEMA, SpanBatch
from collector.decode.extras import resource_extras, span_extras, with_extras
from collector.decode.origins import marks, organizations, texts_of, without_claims
from collector.decode.remainder import attributes_json
from collector.decode.request import DecodeLimits, Request
from collector.decode.slices import Lists, Slices

SERVICE_NAME = "service.name"


class LevelTables(Protocol):
    """What is read of `collector.decode.protobuf.Levels`."""

    @property
    def resources(self) -> pa.RecordBatch: ...
    @property
    def scopes(self) -> pa.RecordBatch: ...
    @property
    def spans(self) -> pa.RecordBatch: ...
    @property
    def request_of_resource(self) -> arrays.Ints: ...
    @property
    def resource_of_scope(self) -> arrays.Ints: ...
    @property
    def scope_of_span(self) -> arrays.Ints: ...
    @property
    def request_of_span(self) -> arrays.Ints: ...
    @property
    def resource_of_span(self) -> arrays.Ints: ...
    @property
    def attributes(self) -> Lists: ...
    @property
    def resource_attributes(self) -> Lists: ...


@dataclass(slots=True)
class Verdict:
    """Which spans are kept, and why the others are not. A span counts for the first reason found."""

    kept: arrays.Mask
    undecodable_requests: arrays.Mask  # something in the request is not what its field says
    rejections: list[tuple[str, arrays.Ints]] = field(default_factory=list)

    def reject(self, reason: str, wrong: arrays.Mask) -> None:
        """Spans that parse and cannot be stored."""
        rows = arrays.rows(wrong & self.kept)
        if len(rows):
            self.rejections.append((reason, rows))
            self.kept[rows] = False

    def undecodable(self, reason: str, bad: arrays.Ints, row_of_span: arrays.Ints, request_of_row: arrays.Ints) -> None:
        """Rows of some level that do not parse or are not UTF-8: their spans go, and their requests are marked."""
        if len(bad):
            self.reject(reason, np.isin(row_of_span, bad))
            self.undecodable_requests[request_of_row[bad]] = True


@dataclass(frozen=True, slots=True)
class SpanColumns:
    """The batch of kept spans, and what happened to the others. Rows are of all spans sent."""

    batch: SpanBatch
    verdict: Verdict
    truncated_values: int
    dropped_attributes: int


def span_columns(levels: LevelTables, requests: Sequence[Request], limits: DecodeLimits) -> SpanColumns:
    """Builds every column. Raises `MalformedRequest` or `AmbiguousValue` for an attribute that spoils its request."""
    count = len(levels.spans)
    verdict = Verdict(np.ones(count, dtype=np.bool_), np.zeros(len(requests), dtype=np.bool_))
    long, long_of_resources = two_long_attributes((levels.attributes, levels.resource_attributes), limits)
    resources = _resources(levels, long_of_resources, requests, limits, verdict)
    _undecodable_spans(levels, verdict, "attribute", long.undecodable)
    attributes, lost = cap_per_owner(long.table, levels.attributes.counts, limits)
    attributes = without_claims(attributes, requests, levels.request_of_span)
    columns = {
        **_identity(levels.spans, verdict),
        **_texts(levels, verdict),
        **_numbers(levels.spans, verdict, lost),
        **_scope(levels, limits, verdict),
        **_lists(levels, limits, verdict),
        **_placement(levels, resources),
    }
    spans = pa.Table.from_arrays([columns[name] for name in SPAN_SCHEMA.names], schema=SPAN_SCHEMA)
    attributes = with_extras(attributes, span_extras(levels.spans, levels.scopes, levels.scope_of_span, limits))
    if not verdict.kept.all():
        spans, attributes = _only(verdict.kept, spans, attributes)
    batch = SpanBatch(spans, attributes, resources.json, resources.attributes)
    return SpanColumns(batch, verdict, len(long.cut), int(lost.sum()))


def _undecodable_spans(levels: LevelTables, verdict: Verdict, what: str, bad: arrays.Ints) -> None:
    if len(bad):
        every = np.arange(len(levels.spans))
        verdict.undecodable(f"{what} is not valid UTF-8 or does not parse", bad, every, levels.request_of_span)


def _undecodable_scopes(levels: LevelTables, verdict: Verdict, what: str, bad: arrays.Ints) -> None:
    if len(bad):
        requests = levels.request_of_resource[levels.resource_of_scope]
        verdict.undecodable(f"{what} is not valid UTF-8 or does not parse", bad, levels.scope_of_span, requests)


def _only(kept: arrays.Mask, spans: pa.Table, attributes: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The kept spans, and their attributes with owners renumbered."""
    owners = np.asarray(attributes.column("owner_index").to_numpy(), dtype=np.int64)
    attributes = attributes.filter(pa.array(kept[owners]))
    renumbered = (np.cumsum(kept) - 1)[owners[kept[owners]]].astype(np.int32)
    attributes = attributes.set_column(0, attributes.schema.field(0), pa.array(renumbered))
    return spans.filter(pa.array(kept)), attributes


@dataclass(frozen=True, slots=True)
class _Resources:
    json: pa.Table
    attributes: pa.Table
    service_names: pa.StringArray
    org_ids: pa.StringArray


def _resources(
    levels: LevelTables, long: LongAttributes, requests: Sequence[Request], limits: DecodeLimits, verdict: Verdict
) -> _Resources:
    count = len(levels.resources)
    _, bad_urls = arrays.text_or_null(levels.resources.column("schema_url"))
    if len(long.undecodable) or len(bad_urls):
        bad = np.union1d(long.undecodable, bad_urls)
        reason = "resource is not valid UTF-8 or does not parse"
        verdict.undecodable(reason, bad, levels.resource_of_span, levels.request_of_resource)
    table, _ = cap_per_owner(long.table, levels.resource_attributes.counts, limits)
    named = organizations(requests, levels.request_of_resource, table)
    for reason, rows in (("organization is missing", named.missing), ("organization is no name", named.invalid)):
        if len(rows):
            verdict.reject(reason, np.isin(levels.resource_of_span, rows))
    extras = [*resource_extras(levels.resources), *marks(requests, levels.request_of_resource)]
    table = with_extras(table, extras)
    json = pa.table({"attributes_json": attributes_json(table, count)})
    return _Resources(json, table, texts_of(table, SERVICE_NAME, count), named.names)


def _identity(spans: pa.RecordBatch, verdict: Verdict) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    for name, width in (("trace_id", 16), ("span_id", 8)):
        matrix, right = arrays.fixed_width(spans.column(name), width)
        verdict.reject(f"{name} is not {width} bytes", ~right)
        verdict.reject(f"{name} is all zeros", ~_any(matrix))
        columns[name] = arrays.hex_strings(matrix)
    parents = spans.column("parent_span_id")
    matrix, right = arrays.fixed_width(parents, 8)
    verdict.reject("parent_span_id is not 8 bytes", ~right & (arrays.lengths(parents) > 0))
    columns["parent_span_id"] = arrays.hex_strings(matrix, _any(matrix))
    return columns


def _any(matrix: npt.NDArray[np.uint8]) -> arrays.Mask:
    """Which rows of 8 or 16 bytes are not all zeros."""
    words = matrix.view(np.uint64)
    return np.asarray((words[:, 0] | words[:, -1]) != 0)


def _texts(levels: LevelTables, verdict: Verdict) -> dict[str, pa.Array]:
    spans = levels.spans
    encoded = spans.column("name").dictionary_encode()
    names, bad = arrays.text(encoded.dictionary)
    if len(bad):
        _undecodable_spans(levels, verdict, "name", arrays.rows(np.isin(encoded.indices.to_numpy(), bad)))
    columns: dict[str, pa.Array] = {"name": pa.DictionaryArray.from_arrays(encoded.indices, names)}
    status = spans.column("status").field(0)
    for name, array in (("trace_state", spans.column("trace_state")), ("status_message", status)):
        columns[name], bad = arrays.text_or_null(array)
        _undecodable_spans(levels, verdict, name, bad)
    return columns


def _numbers(spans: pa.RecordBatch, verdict: Verdict, lost: npt.NDArray[np.int32]) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    for name, wire in (("start_time_ns", "start_time_unix_nano"), ("end_time_ns", "end_time_unix_nano")):
        times = np.asarray(spans.column(wire).to_numpy(), dtype=np.uint64)
        # 2**63 - 1 itself is how DuckDB writes `infinity`, which is no time.
        verdict.reject(f"{wire} is beyond the year 2262", times >= np.uint64(2**63 - 1))
        columns[name] = pa.array(times.view(np.int64))
    columns["kind"] = _enum(spans.column("kind"), 5)
    columns["status_code"] = _enum(spans.column("status").field(1), 2)
    dropped = np.asarray(spans.column("dropped_attributes_count").to_numpy(), dtype=np.int64) + lost
    columns["dropped_attributes_count"] = pa.array(np.minimum(dropped, 2**31 - 1).astype(np.int32))
    return columns


def _enum(array: pa.Array, highest: int) -> pa.Array:
    """An enum of proto3 is open: numbers that we do not know read as 0, unspecified."""
    if array.null_count == len(array):
        return pa.array(np.zeros(len(array), dtype=np.int8))
    numbers = np.asarray((array.fill_null(0) if array.null_count else array).to_numpy(), dtype=np.int32)
    return pa.array(np.where((numbers < 0) | (numbers > highest), 0, numbers).astype(np.int8))


def _scope(levels: LevelTables, limits: DecodeLimits, verdict: Verdict) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    scope = levels.scopes.column("scope")
    _, bad = arrays.text_or_null(levels.scopes.column("schema_url"))
    _undecodable_scopes(levels, verdict, "scope schema_url", bad)
    for position, name in enumerate(("scope_name", "scope_version")):
        strings, bad = arrays.text_or_null(scope.field(position))
        _undecodable_scopes(levels, verdict, name, bad)
        columns[name] = _repeat(strings, levels.scope_of_span)
    if arrays.lengths(scope.field(2)).any():
        bad = long_attributes(Slices.of(scope.field(2).values), arrays.owners(scope.field(2)), limits).undecodable
        _undecodable_scopes(levels, verdict, "scope attribute", bad)
    return columns


def _repeat(strings: pa.StringArray, rows: npt.NDArray[np.int64]) -> pa.DictionaryArray:
    """`strings` taken at `rows`, each distinct text once."""
    if len(strings) == 1 and not strings.null_count:
        return pa.DictionaryArray.from_arrays(pa.array(rows.astype(np.int32)), strings)
    encoded = strings.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(pa.array(rows)), encoded.dictionary)


def _placement(levels: LevelTables, said: _Resources) -> dict[str, pa.Array]:
    resources = levels.resource_of_span
    return {
        "org_id": _repeat(said.org_ids, resources),
        "service_name": _repeat(said.service_names, resources),
        "resource_index": pa.array(resources.astype(np.int32)),
    }


def _lists(levels: LevelTables, limits: DecodeLimits, verdict: Verdict) -> dict[str, pa.Array]:
    writers: tuple[tuple[str, Callable[[Sequence[bytes]], str | None]], ...] = (
        ("events", values.events_json),
        ("links", values.links_json),
    )
    columns: dict[str, pa.Array] = {}
    for name, write in writers:
        array = levels.spans.column(name)
        if not len(array.values):
            columns[name] = pa.nulls(len(array), pa.string())
            continue
        rows = arrays.rows(arrays.lengths(array))
        most = limits.max_events_per_span
        texts = [write(items[:most]) for items in array.take(pa.array(rows)).to_pylist()]
        broken = [row for row, text in zip(rows, texts, strict=True) if text is None]
        _undecodable_spans(levels, verdict, name.removesuffix("s"), np.asarray(broken, dtype=np.int64))
        columns[name] = arrays.sparse(len(levels.spans), rows, texts, pa.string())
    return columns
