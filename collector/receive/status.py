"""The one map from what went wrong to what the sender is told, over gRPC and over HTTP.

OTLP decides by code whether a sender tries again: over gRPC `UNAVAILABLE` (and `RESOURCE_EXHAUSTED` only with a
RetryInfo), over HTTP 429, 502, 503 and 504. Everything else is dropped by the sender, so a retryable error must never
get another code, and a permanent one never these.
Source: opentelemetry-proto docs/specification.md, "Failures" and "OTLP/HTTP Response".
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector import errors
from collector.decode.request import Outcome
from collector.limits import RETRY_AFTER_SECONDS

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_GRPC = grpc.StatusCode


@dataclass(frozen=True, slots=True)
class Status:
    """What a class of error becomes. Retryable ones carry a hint of `RETRY_AFTER_SECONDS`."""

    grpc: grpc.StatusCode
    http: int
    retryable: bool = False


UNAVAILABLE = Status(_GRPC.UNAVAILABLE, 503, retryable=True)
"""Also for errors that nobody foresaw: nothing was acknowledged, so a resend is right and a drop loses money."""

STATUSES: dict[type[errors.RequestError], Status] = {
    errors.MalformedRequest: Status(_GRPC.INVALID_ARGUMENT, 400),
    errors.RequestTooLarge: Status(_GRPC.RESOURCE_EXHAUSTED, 413),
    errors.UnsupportedMediaType: Status(_GRPC.INVALID_ARGUMENT, 415),
    errors.UnsupportedEncoding: Status(_GRPC.UNIMPLEMENTED, 415),
    errors.MethodNotAllowed: Status(_GRPC.UNIMPLEMENTED, 405),
    errors.UnknownPath: Status(_GRPC.UNIMPLEMENTED, 404),
    errors.Unauthenticated: Status(_GRPC.UNAUTHENTICATED, 401),
    errors.PermissionDenied: Status(_GRPC.PERMISSION_DENIED, 403),
    errors.PermanentError: Status(_GRPC.INVALID_ARGUMENT, 400),
    errors.Overloaded: UNAVAILABLE,
    errors.StoreUnavailable: UNAVAILABLE,
    errors.StalledRequest: UNAVAILABLE,
    errors.ShuttingDown: UNAVAILABLE,
    errors.RetryableError: UNAVAILABLE,
}


def status_of(error: BaseException) -> Status:
    """The status of the error's nearest listed class."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return UNAVAILABLE


def message_of(error: BaseException) -> str:
    """What the sender may read: our own errors speak for themselves, others stay inside."""
    if isinstance(error, errors.RequestError):
        return str(error)
    return "the collector could not store the request"


def rpc_status(error: BaseException) -> status_pb2.Status:
    """`google.rpc.Status`, with a RetryInfo detail if a resend makes sense."""
    status = status_of(error)
    message = status_pb2.Status(code=code_pb2.Code.Value(status.grpc.name), message=message_of(error))
    if status.retryable:
        message.details.add().Pack(retry_info())
    return message


def retry_info() -> error_details_pb2.RetryInfo:
    """The hint, as gRPC clients read it."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds = RETRY_AFTER_SECONDS
    return info


def grpc_trailers(error: BaseException) -> tuple[tuple[str, bytes], ...]:
    """The status with its details, and for retryable errors the trailer that the Python SDK reads."""
    trailers = [("grpc-status-details-bin", rpc_status(error).SerializeToString())]
    if status_of(error).retryable:
        trailers.append(("google.rpc.retryinfo-bin", retry_info().SerializeToString()))
    return tuple(trailers)


def http_error(error: BaseException, media_type: str) -> tuple[int, dict[str, str], bytes]:
    """Code, headers and body; the body in the format of the request."""
    status = status_of(error)
    headers = {"content-type": media_type}
    if status.retryable:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, errors.StalledRequest):
        headers["connection"] = "close"
    if isinstance(error, errors.Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, errors.MethodNotAllowed):
        headers["allow"] = "POST"
    message = rpc_status(error)
    if media_type == JSON:
        return status.http, headers, json_format.MessageToJson(message, indent=None).encode()
    return status.http, headers, message.SerializeToString()


def success(outcome: Outcome, media_type: str) -> bytes:
    """`ExportTraceServiceResponse`: empty when all was taken, else a partial success that says what was not."""
    if not outcome.rejected_spans and not outcome.reason:
        return b"{}" if media_type == JSON else b""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = outcome.rejected_spans
    response.partial_success.error_message = outcome.reason
    if media_type == JSON:
        return json_format.MessageToJson(response, indent=None).encode()
    body: bytes = response.SerializeToString()
    return body
