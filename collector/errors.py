"""The exceptions of the service, as a tree. `collector.receive.status` maps the request half to gRPC and HTTP.

CollectorError
  RequestError                   one request failed; the process serves on
    PermanentError               the same bytes will never be accepted: the sender must not resend them
      MalformedRequest           the body cannot be decoded
      RequestTooLarge            a cap of `collector.limits` is exceeded
      UnsupportedMediaType       a content type that is neither protobuf nor JSON
      UnsupportedEncoding        a content encoding that is not gzip, deflate or identity
      MethodNotAllowed           OTLP/HTTP is POST only
      UnknownPath                no OTLP signal lives there
      Unauthenticated            no token, or one that is not known
      PermissionDenied           a known token that may not send here
    RetryableError               nothing was stored: sending the same bytes later is safe and right
      Overloaded                 the queue or the memory is full
      StoreUnavailable           the ledger cannot commit now (disk full, reopening)
      StalledRequest             the body stopped arriving
      ShuttingDown               the process drains and takes nothing new
  StoreError                     the ledger cannot answer; the message is for whoever asked
    QueryRefused                 the statement is not a single read-only query
    QueryFailed                  the query is wrong, or ran out of memory
      QueryTimedOut              its time is up
  StartupError                   the process cannot start; the message is for the operator
    CannotListen                 an endpoint cannot be bound, or its TLS files cannot be read
"""

from __future__ import annotations


class CollectorError(Exception):
    """Base of everything that the service raises on purpose."""


class RequestError(CollectorError):
    """One request failed; the message is safe to send to its sender."""


class PermanentError(RequestError):
    """The same bytes will never be accepted."""


class MalformedRequest(PermanentError):
    """The body cannot be decoded; the message says where."""


class RequestTooLarge(PermanentError):
    """A cap of `collector.limits` is exceeded; the message names it."""


class UnsupportedMediaType(PermanentError):
    """The content type is neither `application/x-protobuf` nor `application/json`."""


class UnsupportedEncoding(PermanentError):
    """The content encoding is not gzip, deflate or identity."""


class MethodNotAllowed(PermanentError):
    """OTLP/HTTP is POST only."""


class UnknownPath(PermanentError):
    """No OTLP signal lives at this path."""


class Unauthenticated(PermanentError):
    """No ingest token, or one that is not known."""


class PermissionDenied(PermanentError):
    """A known ingest token that may not send here."""


class RetryableError(RequestError):
    """Nothing was stored: sending the same bytes later is safe and right."""


class Overloaded(RetryableError):
    """The queue or the memory is full."""


class StoreUnavailable(RetryableError):
    """The ledger cannot commit now."""


class StalledRequest(RetryableError):
    """The body stopped arriving before it was complete."""


class ShuttingDown(RetryableError):
    """The process drains and takes nothing new."""


class StoreError(CollectorError):
    """The ledger cannot answer; the message is for whoever asked."""


class QueryRefused(StoreError):
    """The statement is not a single read-only query."""


class QueryFailed(StoreError):
    """The query is wrong, or ran out of memory. The message is DuckDB's."""


class QueryTimedOut(QueryFailed):
    """Its time is up."""


class StartupError(CollectorError):
    """The process cannot start; the message is for the operator."""


class CannotListen(StartupError):
    """An endpoint cannot be bound, or its TLS files cannot be read."""
