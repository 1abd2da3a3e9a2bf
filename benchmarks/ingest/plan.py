"""What the generator is told to do, and what it reports. Both cross a pipe as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from benchmarks.ingest.payload import CUSTOMERS, Shape, Usage

Protocol = Literal["grpc", "http"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One load. It ends after `requests` or `seconds`, whichever is first; one of them must be given."""

    protocol: Protocol
    port: int
    spans_per_request: int = 512
    shape: Shape = "trace"
    customers: int = CUSTOMERS
    connections: int = 2
    in_flight: int = 4  # HTTP has one request in flight per connection: there it is the number of connections
    requests: int | None = None
    seconds: float | None = None
    requests_per_second: float | None = None  # None: as fast as acknowledged
    pause_seconds: float = 0.0  # after each acknowledgement
    headers: dict[str, str] = field(default_factory=dict)
    resend: bool = False  # also what was lost with a connection
    interval_seconds: float | None = None  # report in between, this often
    seed: int = 1

    def __post_init__(self) -> None:
        if self.requests is None and self.seconds is None:
            raise ValueError("a load needs an end: requests or seconds")

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Latency:
    """Time from sending (or from when a request was due, at a fixed rate) to the acknowledgement, milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """What happened, of a whole load or of an interval of it."""

    at_seconds: float  # end of it, since the first request
    wall_seconds: float
    acked_spans: int
    acked_requests: int
    later: int  # answers that asked to send again later
    lost: int  # connections lost before the answer
    failed: int  # requests that were given up
    latency: Latency
    cpu_seconds: float  # of the generator
    error: str | None
    usage: Usage | None  # of what was sent, to the end of its last block; only in the last report

    @property
    def spans_per_second(self) -> float:
        """Acknowledged spans per second of wall time."""
        return self.acked_spans / self.wall_seconds if self.wall_seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        out = dataclasses.asdict(self)
        if self.usage is not None:
            out["usage"] = {
                "sums": [[*key, *value] for key, value in self.usage.sums.items()],
                "samples": self.usage.samples,
            }
        return out

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """The other way."""
        usage = raw["usage"] and Usage(
            {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in raw["usage"]["sums"]},
            [(row[0], row[1], row[2], row[3], row[4]) for row in raw["usage"]["samples"]],
        )
        return cls(**{**raw, "latency": Latency(**raw["latency"]), "usage": usage})
