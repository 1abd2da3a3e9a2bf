"""OTLP/gRPC to one target."""

from __future__ import annotations

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.forward.config import ClientTls, ForwardConfig
from collector.forward.delivery import Delivery, Verdict

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""OTLP specification, "Failures": every other code is final, RESOURCE_EXHAUSTED unless it comes with RetryInfo."""

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),
)


class GrpcClient:
    """A channel that is opened at the first send."""

    def __init__(self, config: ForwardConfig) -> None:
        self._config = config
        self._channel: grpc.Channel | None = None
        self._compression = grpc.Compression.Gzip if config.compression == "gzip" else grpc.Compression.NoCompression

    def send(self, payload: bytes) -> Delivery:
        """See `Client`."""
        try:
            if self._channel is None:
                self._channel = _open(self._config)
            export = self._channel.unary_unary(EXPORT)
            answer = export(
                payload,
                timeout=self._config.timeout_seconds,
                metadata=self._config.headers,
                compression=self._compression,
            )
        except grpc.RpcError as error:
            return _judge(error)
        except (OSError, ValueError) as error:
            return Delivery(Verdict.RETRY, str(error))
        return delivered(answer)

    def close(self) -> None:
        """See `Client`."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def delivered(answer: bytes) -> Delivery:
    """The delivery that an `ExportTraceServiceResponse` tells of; an answer that is none counts as success."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return Delivery(Verdict.DELIVERED)
    return Delivery(Verdict.DELIVERED, partial.error_message, rejected_spans=partial.rejected_spans)


def _open(config: ForwardConfig) -> grpc.Channel:
    if config.tls.insecure:
        return grpc.insecure_channel(config.endpoint, options=_OPTIONS)
    return grpc.secure_channel(config.endpoint, _credentials(config.tls), options=_OPTIONS)


def _credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=tls.ca_file.read_bytes() if tls.ca_file else None,
        private_key=tls.key_file.read_bytes() if tls.key_file else None,
        certificate_chain=tls.cert_file.read_bytes() if tls.cert_file else None,
    )


def _judge(error: grpc.RpcError) -> Delivery:
    code = error.code()
    message = f"{code.name}: {error.details()}"
    hint_seconds = _retry_hint_seconds(error)
    if code in RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and hint_seconds is not None):
        return Delivery(Verdict.RETRY, message, hint_seconds or 0.0)
    return Delivery(Verdict.REFUSED, message)


def _retry_hint_seconds(error: grpc.RpcError) -> float | None:
    """The delay that a server asks for: RetryInfo in its status details, or in a trailer of its own."""
    try:
        for key, value in error.trailing_metadata() or ():
            if key == "google.rpc.retryinfo-bin":
                return _seconds(RetryInfo.FromString(value))
            if key == "grpc-status-details-bin":
                for detail in Status.FromString(value).details:
                    if detail.Is(RetryInfo.DESCRIPTOR):
                        return _seconds(RetryInfo.FromString(detail.value))
    except DecodeError:
        return None
    return None


def _seconds(info: RetryInfo) -> float:
    return float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9
