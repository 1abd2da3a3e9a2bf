"""What a target says to one request: delivered, try again, or never."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Verdict(Enum):
    """The three answers that OTLP knows."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A target's answer. `retry_after_seconds` is its hint; `rejected_spans` those of a partial success."""

    verdict: Verdict
    message: str = ""
    retry_after_seconds: float = 0.0
    rejected_spans: int = 0


class Client(Protocol):
    """One connection to one target, used by one thread. It connects when it first sends, and again after a failure."""

    def send(self, payload: bytes) -> Delivery:
        """Send one request and wait for the answer, at most the exporter's timeout. Never raises."""

    def close(self) -> None:
        """Let go of the connection."""
