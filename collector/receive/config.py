"""Where a receiver listens and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass

from collector import limits
from collector.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """One endpoint. Port 0 lets the system choose; the receiver then tells which.

    `max_request_bytes` counts after decompression; `max_recv_msg_size_mib` of the config file.
    """

    host: str
    port: int
    max_request_bytes: int = limits.MAX_REQUEST_BYTES
    max_concurrent_requests: int = limits.MAX_CONCURRENT_REQUESTS
    max_in_flight_bytes: int = limits.MAX_IN_FLIGHT_BYTES
    tls: TlsFiles | None = None
