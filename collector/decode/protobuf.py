"""OTLP protobuf requests -> one `SpanBatch`, and an outcome for each request.

A request is split level by level (resource, scope, span, attribute). Each level is one Arrow table, counted before the
next is opened, so that a small body cannot unfold into a large one. Wrong spans are marked on the way and left out at
the end. What spoils a whole request (it does not parse, it is too large) is found by decoding the requests one by one,
so a bad request costs its neighbours time and nothing else.

UTF-8: protobuf's own parsers refuse a whole request for one invalid string. Here it costs the spans that carry it (all
spans of a resource or scope for theirs), and the whole request only if none is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import arrays, direct
from collector.decode.concat import concat_batches
from collector.decode.direct import Unusual
from collector.decode.key_values import AmbiguousValue
from collector.decode.levels import Levels, check_contents, split
from collector.decode.request import Decoded, DecodeLimits, Outcome, Request
from collector.decode.spans import SpanColumns, span_columns
from collector.errors import MalformedRequest, RequestError

DEFAULT_LIMITS = DecodeLimits()

_DIRECT_BYTES = 256 * 1024
"""Bodies from which the compiled library splits them. Lower: its fixed cost in columns, 0.2 ms, is more than a parser
takes. Higher: a parser copies every byte three times, into memory that is new each time."""


def decode_requests(requests: Sequence[Request], limits: DecodeLimits = DEFAULT_LIMITS) -> Decoded:
    """All accepted spans of `requests` in order. Never raises for anything that a sender can send.

    Decoding takes about eight times the memory of the bodies, so many requests are decoded in several parts.
    """
    parts = [_decode_part(part, limits) for part in _parts(requests, limits.part_bytes)]
    if len(parts) == 1:
        return parts[0]
    return Decoded(
        batch=concat_batches([part.batch for part in parts]),
        outcomes=tuple(outcome for part in parts for outcome in part.outcomes),
        truncated_values=sum(part.truncated_values for part in parts),
        dropped_attributes=sum(part.dropped_attributes for part in parts),
    )


def _parts(requests: Sequence[Request], part_bytes: int) -> Iterator[Sequence[Request]]:
    """Runs of requests of about `part_bytes`; one run if there are none."""
    start = size = 0
    for index, request in enumerate(requests):
        size += len(request.body)
        if size >= part_bytes:
            yield requests[start : index + 1]
            start, size = index + 1, 0
    if start < len(requests) or not requests:
        yield requests[start:]


def _decode_part(requests: Sequence[Request], limits: DecodeLimits) -> Decoded:
    try:
        return _decode(requests, limits)
    except (RequestError, AmbiguousValue):
        pass  # and out of this block, for the exception keeps the columns of the first attempt alive
    checked = [_check(request, limits) for request in requests]
    good = [request for request in checked if isinstance(request, Request)]
    decoded = _decode(good, limits)
    taken = iter(decoded.outcomes)
    outcomes = tuple(next(taken) if isinstance(request, Request) else Outcome(0, error=request) for request in checked)
    return replace(decoded, outcomes=outcomes)


def _check(request: Request, limits: DecodeLimits) -> Request | RequestError:
    """The request if it decodes alone, in protobuf's canonical form if need be; else why it does not."""
    try:
        _decode([request], limits)
        return request
    except RequestError as error:
        return error.with_traceback(None)  # its frames would keep the columns alive
    except AmbiguousValue:
        try:
            message = ExportTraceServiceRequest.FromString(request.body)
        except DecodeError as error:
            return MalformedRequest(str(error))
        return _check(replace(request, body=message.SerializeToString()), limits)


def _decode(requests: Sequence[Request], limits: DecodeLimits) -> Decoded:
    levels = _levels([request.body for request in requests], limits)
    columns = span_columns(levels, requests, limits)
    outcomes = _outcomes(columns, levels.request_of_span, len(requests))
    return Decoded(
        batch=columns.batch,
        outcomes=tuple(_confirmed(one, request) for one, request in zip(outcomes, requests, strict=True)),
        truncated_values=columns.truncated_values,
        dropped_attributes=columns.dropped_attributes,
    )


def _levels(bodies: Sequence[bytes], limits: DecodeLimits) -> Levels:
    """Opens requests down to spans. Raises `MalformedRequest`, `RequestTooLarge`."""
    levels: Levels | None = None
    if sum(map(len, bodies)) >= _DIRECT_BYTES:
        with suppress(Unusual):
            levels = direct.split(bodies, limits)
    levels = levels or split(bodies, limits)
    check_contents(levels, limits)
    return levels


def _outcomes(columns: SpanColumns, request_of_span: arrays.Ints, request_count: int) -> tuple[Outcome, ...]:
    totals = np.bincount(request_of_span, minlength=request_count).tolist()
    verdict = columns.verdict
    if not verdict.rejections and not verdict.undecodable_requests.any():
        return tuple(Outcome(total) for total in totals)
    lost = np.bincount(request_of_span[~verdict.kept], minlength=request_count).tolist()
    reasons: list[list[str]] = [[] for _ in range(request_count)]
    for reason, rows in verdict.rejections:
        affected, counts = np.unique(request_of_span[rows], return_counts=True)
        for request, count in zip(affected.tolist(), counts.tolist(), strict=True):
            reasons[request].append(f"{count}x {reason}")
    outcomes: list[Outcome] = []
    for request, total in enumerate(totals):
        undecodable = verdict.undecodable_requests[request]
        reason = "; ".join(reasons[request]) or (
            "a resource or scope without spans does not parse" if undecodable else ""
        )
        if undecodable and lost[request] == total:
            outcomes.append(Outcome(0, error=MalformedRequest(reason)))
        else:
            outcomes.append(Outcome(total - lost[request], lost[request], reason))
    return tuple(outcomes)


def _confirmed(outcome: Outcome, request: Request) -> Outcome:
    """A body without any span is checked by protobuf's own parser: `ptars` skips some garbage as unknown groups."""
    if not request.body or outcome.accepted_spans or outcome.rejected_spans or outcome.error:
        return outcome
    try:
        ExportTraceServiceRequest.FromString(request.body)
    except DecodeError as error:
        return Outcome(0, error=MalformedRequest(str(error)))
    return outcome
