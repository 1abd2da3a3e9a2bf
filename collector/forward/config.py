"""Settings of one exporter that passes spans on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How long a failed request is tried again: waits double from the first to the longest."""

    initial_interval_seconds: float = 1.0
    max_interval_seconds: float = 30.0
    max_elapsed_seconds: float = 300.0
    """Age at which a request is given up and counted as failed; 0 is never."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How the target is trusted. `insecure` is no TLS at all (gRPC only; for HTTP the URL says it)."""

    insecure: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ForwardConfig:
    """One `otlp/NAME` (gRPC) or `otlphttp/NAME` exporter."""

    name: str
    """Component id as the config writes it."""
    protocol: str
    """`grpc` or `http`."""
    endpoint: str
    """`host:port` for gRPC; for HTTP the full URL of the traces resource."""
    headers: tuple[tuple[str, str], ...] = ()
    compression: str = "gzip"
    timeout_seconds: float = 5.0
    tls: ClientTls = ClientTls()
    retry: RetryConfig = RetryConfig()
    queue_bytes: int = 64 * MIB
    """Bound of what waits for this target. A down target costs this much memory and no more."""
    drop_oldest: bool = True
    """What gives way when the queue is full: the oldest waiting request, or the one that arrives."""
