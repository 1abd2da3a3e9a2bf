"""What goes into decoding and what comes out: bytes and limits in, columns and one outcome per request out."""

from __future__ import annotations

from dataclasses import dataclass, field

from collector import limits
from collector.decode.columns import SpanBatch
from collector.errors import RequestError


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a request's sender beside the organisation. The journal keeps it, with the request."""

    token: str = ""  # the ingest token's name; stands on its spans
    tags: tuple[tuple[str, str], ...] = ()  # owner dimension -> who pays where nobody else says
    organization_key: str = ""  # the attribute of a resource that says whose its spans are; else the request does


NO_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Request:
    """One `ExportTraceServiceRequest` in protobuf, decompressed, and whose it is.

    `org_id` is empty where only resources can say.
    """

    body: bytes
    org_id: str
    origin: Origin = NO_ORIGIN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request. With `error` set nothing of it was taken, and both counts are 0.

    A `reason` without rejected spans is a warning, as OTLP's partial success has it.
    """

    accepted_spans: int
    rejected_spans: int = 0
    reason: str = ""
    error: RequestError | None = None

    @property
    def malformed(self) -> bool:
        """The whole request was refused."""
        return self.error is not None


@dataclass(frozen=True, slots=True)
class Decoded:
    """The accepted spans of all requests, and one outcome per request in the order given."""

    batch: SpanBatch
    outcomes: tuple[Outcome, ...]
    truncated_values: int = 0
    dropped_attributes: int = 0


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The caps of decoding (`collector.limits` says why each is what it is).

    `essential_keys` are the attribute keys from which usage, model, cost or owners are read: they are never cut and
    never dropped. Without them, keys that sound like usage are protected.

    About `part_bytes` of bodies are decoded at a time; a parser opens `slice_bytes` of them in one call, which holds
    the interpreter lock.
    """

    max_spans_per_request: int = limits.MAX_SPANS_PER_REQUEST
    max_attributes_per_request: int = limits.MAX_ATTRIBUTES_PER_REQUEST
    max_attributes_per_span: int = limits.MAX_ATTRIBUTES_PER_SPAN
    max_events_per_request: int = limits.MAX_EVENTS_PER_REQUEST
    max_events_per_span: int = limits.MAX_EVENTS_PER_SPAN
    max_string_bytes: int = limits.MAX_STRING_BYTES
    max_structured_bytes: int = limits.MAX_STRUCTURED_BYTES
    part_bytes: int = limits.DECODE_PART_BYTES
    slice_bytes: int = limits.DECODE_SLICE_BYTES
    essential_keys: frozenset[str] = field(default_factory=frozenset)
