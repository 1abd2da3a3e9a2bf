"""OTLP over gRPC and HTTP: request bytes in, and an answer only after what they carry is committed."""

from collector.receive.config import ReceiverConfig
from collector.receive.grpc import GrpcReceiver
from collector.receive.http import HttpReceiver
from collector.receive.intake import Received
from collector.tls import TlsFiles

__all__ = ["GrpcReceiver", "HttpReceiver", "Received", "ReceiverConfig", "TlsFiles"]
