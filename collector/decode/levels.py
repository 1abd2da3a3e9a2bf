"""Requests as tables: resources, scopes, spans; each level counted before the next is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from collector.decode import arrays
from collector.decode.request import DecodeLimits
from collector.decode.slices import Lists
from collector.decode.wire import parse, parse_sliced
from collector.errors import RequestTooLarge


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of all requests. `*_of_*` map a row of a level to its row in the level above.

    `spans` and `resources` need not have the columns `attributes` and `scope_spans` of their messages.
    """

    resources: pa.RecordBatch
    scopes: pa.RecordBatch
    spans: pa.RecordBatch
    request_of_resource: arrays.Ints
    resource_of_scope: arrays.Ints
    scope_of_span: arrays.Ints
    attributes: Lists  # serialised `KeyValue`s of the spans
    resource_attributes: Lists

    @property
    def resource_of_span(self) -> arrays.Ints:
        return self.resource_of_scope[self.scope_of_span]

    @property
    def request_of_scope(self) -> arrays.Ints:
        return self.request_of_resource[self.resource_of_scope]

    @property
    def request_of_span(self) -> arrays.Ints:
        return self.request_of_resource[self.resource_of_span]


def split(bodies: Sequence[bytes], limits: DecodeLimits) -> Levels:
    """Opens requests down to spans, whatever is on the wire. Raises `MalformedRequest`, `RequestTooLarge`."""
    request_lists = parse("ExportTraceServiceRequest", bodies).column(0)
    request_of_resource = arrays.owners(request_lists)
    _check_count("resources", request_of_resource, limits.max_spans_per_request)
    resources = parse("ResourceSpans", request_lists.values)
    scope_lists = resources.column("scope_spans")
    resource_of_scope = arrays.owners(scope_lists)
    _check_count("scopes", request_of_resource[resource_of_scope], limits.max_spans_per_request)
    scopes = parse("ScopeSpans", scope_lists.values)
    span_lists = scopes.column("spans")
    scope_of_span = arrays.owners(span_lists)
    request_of_span = request_of_resource[resource_of_scope[scope_of_span]]
    _check_count("spans", request_of_span, limits.max_spans_per_request)
    spans = parse_sliced("Span", span_lists.values, limits.slice_bytes)
    return Levels(
        resources=resources,
        scopes=scopes,
        spans=spans,
        request_of_resource=request_of_resource,
        resource_of_scope=resource_of_scope,
        scope_of_span=scope_of_span,
        attributes=Lists.of(spans.column("attributes")),
        resource_attributes=Lists.of(resources.column("resource").field(0)),
    )


def check_contents(levels: Levels, limits: DecodeLimits) -> None:
    """Raises `RequestTooLarge`."""
    for what, requests, lists in (
        ("attributes", levels.request_of_span, levels.attributes),
        ("resource attributes", levels.request_of_resource, levels.resource_attributes),
        ("scope attributes", levels.request_of_scope, Lists.of(levels.scopes.column("scope").field(2))),
        ("events", levels.request_of_span, Lists.of(levels.spans.column("events"))),
        ("links", levels.request_of_span, Lists.of(levels.spans.column("links"))),
    ):
        most = limits.max_attributes_per_request if "attributes" in what else limits.max_events_per_request
        if len(lists.messages) > most:
            _check_total(what, np.bincount(requests, weights=lists.counts), most)


def _check_count(what: str, requests: arrays.Ints, most: int) -> None:
    _check_total(what, np.bincount(requests), most)


def _check_total(what: str, per_request: np.ndarray[tuple[int], np.dtype[np.generic]], most: int) -> None:
    highest = int(per_request.max(initial=0))
    if highest > most:
        raise RequestTooLarge(f"{highest} {what} in one request, at most {most} are taken")
