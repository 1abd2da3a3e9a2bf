"""The error map holds for every class of the tree, over both transports."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from collector import errors
from collector.decode import Outcome
from collector.receive.status import (
    JSON,
    PROTOBUF,
    STATUSES,
    grpc_trailers,
    http_error,
    message_of,
    status_of,
    success,
)

RETRIED_OVER_HTTP = {429, 502, 503, 504}
"""opentelemetry-proto docs/specification.md, "Retryable Response Codes"."""


def _tree(root: type[errors.RequestError]) -> Iterator[type[errors.RequestError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _kinds(root: type[errors.RequestError]) -> list[type[errors.RequestError]]:
    """Those that every stage may raise; a stage's own refinement of one is answered as that one."""
    return [kind for kind in _tree(root) if kind.__module__ == "collector.errors"]


PERMANENT, RETRYABLE = _kinds(errors.PermanentError), _kinds(errors.RetryableError)


def test_every_class_of_the_tree_is_in_the_map() -> None:
    """A new error without a line in the map fails here, not in production."""
    assert {*PERMANENT, *RETRYABLE} == set(STATUSES)


@pytest.mark.parametrize("kind", RETRYABLE)
def test_retryable_errors_get_codes_that_senders_retry(kind: type[errors.RequestError]) -> None:
    """UNAVAILABLE with RetryInfo in both trailers, 503 with Retry-After."""
    error = kind("full")
    status = status_of(error)
    assert (status.grpc, status.http, status.retryable) == (grpc.StatusCode.UNAVAILABLE, 503, True)
    trailers = dict(grpc_trailers(error))
    assert 1 <= error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds <= 2
    details = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.RetryInfo()
    assert details.details[0].Unpack(info)
    assert 1 <= info.retry_delay.seconds <= 2
    code, headers, _ = http_error(error, PROTOBUF)
    assert code == 503
    assert headers["retry-after"] in {"1", "2"}


@pytest.mark.parametrize("kind", PERMANENT)
def test_permanent_errors_get_codes_that_senders_do_not_retry(kind: type[errors.RequestError]) -> None:
    """Never UNAVAILABLE, never a RetryInfo, never 429 or 5xx."""
    error = kind("no")
    status = status_of(error)
    assert status.grpc not in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.DATA_LOSS,
    }
    assert 400 <= status.http < 500
    assert status.http not in RETRIED_OVER_HTTP
    assert [key for key, _ in grpc_trailers(error)] == ["grpc-status-details-bin"]
    assert not status_pb2.Status.FromString(dict(grpc_trailers(error))["grpc-status-details-bin"]).details
    assert "retry-after" not in http_error(error, JSON)[1]


def test_an_unforeseen_error_is_retried_and_says_nothing_of_the_inside() -> None:
    """Nothing was acknowledged, so a resend loses nothing."""
    error = ZeroDivisionError("secret")
    assert status_of(error).retryable
    assert "secret" not in message_of(error)
    assert b"secret" not in http_error(error, PROTOBUF)[2]


def test_error_bodies_are_google_rpc_status_in_the_format_of_the_request() -> None:
    """Protobuf or JSON, with code and message."""
    error = errors.MalformedRequest("where")
    status = status_pb2.Status.FromString(http_error(error, PROTOBUF)[2])
    assert (status.code, status.message) == (code_pb2.INVALID_ARGUMENT, "where")
    assert json.loads(http_error(error, JSON)[2]) == {"code": code_pb2.INVALID_ARGUMENT, "message": "where"}


def test_success_is_an_empty_response_and_partial_success_says_what_was_not_taken() -> None:
    """Both formats; int64 is a string in JSON."""
    assert success(Outcome(3), PROTOBUF) == b""
    assert success(Outcome(3), JSON) == b"{}"
    partial = json.loads(success(Outcome(3, 2, "2x no id"), JSON))
    assert partial == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "2x no id"}}
    warning = json.loads(success(Outcome(3, 0, "odd"), JSON))
    assert warning == {"partialSuccess": {"errorMessage": "odd"}}
