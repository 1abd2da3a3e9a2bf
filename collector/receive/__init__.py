"""OTLP over gRPC and HTTP: request bytes in, and an answer only after what they carry is committed."""

from collector.receive.config import ReceiverConfig, TlsFiles
from collector.receive.grpc import GrpcReceiver
from collector.receive.http import HttpReceiver
from collector.receive.intake import Received, default_organization

__all__ = ["GrpcReceiver", "HttpReceiver", "Received", "ReceiverConfig", "TlsFiles", "default_organization"]
