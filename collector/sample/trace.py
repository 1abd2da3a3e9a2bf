"""One trace in the making: spans as the OpenTelemetry GenAI conventions have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_cost import attributes as keys

Value = str | int | float
MS_NS = 1_000_000
_KIND_INTERNAL, _KIND_CLIENT = Span.SpanKind.SPAN_KIND_INTERNAL, Span.SpanKind.SPAN_KIND_CLIENT


class Model(NamedTuple):
    """A model as spans name it."""

    provider: str
    name: str
    version: str  # what the response says
    tokens_per_second: int = 80


class Usage(NamedTuple):
    """Tokens of a call. `cached` and `cache_written` are parts of `read`, `reasoning` of `written`."""

    read: int
    written: int
    cached: int = 0
    cache_written: int = 0
    reasoning: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NO_USAGE = Usage(0, 0)


@dataclass(slots=True)
class Work:
    """A span that has begun: an agent, a tool, a whole request. Calls below it move `now_ns` on and add to `usage`."""

    span_id: bytes
    parent_id: bytes
    started_ns: int
    now_ns: int
    usage: Usage = NO_USAGE


class Trace:
    """Collects the spans of one trace; `spans` has them in the order in which they ended."""

    def __init__(self, random: Random, start_ns: int) -> None:
        self.random = random
        self.start_ns = start_ns
        self.spans: list[Span] = []
        self._id = random.randbytes(16)

    def begin(self, parent: Work | None = None) -> Work:
        """A span that others will lie in."""
        now_ns = self.start_ns if parent is None else parent.now_ns + self.random.randrange(MS_NS, 20 * MS_NS)
        return Work(self.random.randbytes(8), b"" if parent is None else parent.span_id, now_ns, now_ns)

    def end(self, work: Work, name: str, said: Mapping[str, Value], parent: Work | None = None) -> None:
        """Close it; its parent goes on after it."""
        work.now_ns += self.random.randrange(MS_NS, 15 * MS_NS)
        self._add(work.span_id, work.parent_id, name, work.started_ns, work.now_ns, _KIND_INTERNAL, said)
        if parent is not None:
            parent.now_ns = max(parent.now_ns, work.now_ns)
            parent.usage = parent.usage.plus(work.usage)

    def end_agent(self, work: Work, agent: str, parent: Work | None = None) -> None:
        """Close an agent, which repeats what its calls used, as frameworks do."""
        said: dict[str, Value] = {
            keys.GEN_AI_OPERATION_NAME: "invoke_agent",
            keys.GEN_AI_AGENT_NAME: agent,
            keys.GEN_AI_USAGE_INPUT_TOKENS: work.usage.read,
            keys.GEN_AI_USAGE_OUTPUT_TOKENS: work.usage.written,
        }
        self.end(work, f"invoke_agent {agent}", said, parent)

    def call(
        self,
        work: Work,
        model: Model,
        usage: Usage | None,
        *,
        operation: str = "chat",
        error: str = "",
        said: Mapping[str, Value] | None = None,
    ) -> None:
        """A model call. Usage None: nobody said. `error`: it failed, with what usage the provider billed."""
        started_ns = work.now_ns + self.random.randrange(MS_NS, 10 * MS_NS)
        seconds = self.random.uniform(0.2, 0.9) + (usage.written if usage else 0) / model.tokens_per_second
        attributes: dict[str, Value] = {
            keys.GEN_AI_OPERATION_NAME: operation,
            keys.GEN_AI_PROVIDER_NAME: model.provider,
            keys.GEN_AI_REQUEST_MODEL: model.name,
            **(said or {}),
        }
        if error:
            attributes[keys.ERROR_TYPE] = error
        else:
            attributes[keys.GEN_AI_RESPONSE_MODEL] = model.version
            attributes[keys.GEN_AI_RESPONSE_ID] = f"resp-{self.random.randbytes(12).hex()}"
        if usage is not None:
            attributes |= _usage(usage, operation)
            work.usage = work.usage.plus(usage)
        work.now_ns = started_ns + int(seconds * 1e9)
        ids = self.random.randbytes(8), work.span_id
        self._add(*ids, f"{operation} {model.name}", started_ns, work.now_ns, _KIND_CLIENT, attributes, error)

    def _add(
        self,
        span_id: bytes,
        parent_id: bytes,
        name: str,
        started_ns: int,
        ended_ns: int,
        kind: Span.SpanKind.ValueType,
        said: Mapping[str, Value],
        error: str = "",
    ) -> None:
        span = Span(
            trace_id=self._id,
            span_id=span_id,
            parent_span_id=parent_id,
            name=name,
            kind=kind,
            start_time_unix_nano=started_ns,
            end_time_unix_nano=ended_ns,
            attributes=key_values(said),
        )
        if error:
            span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=error))
        self.spans.append(span)


def key_values(said: Mapping[str, Value]) -> list[KeyValue]:
    """Attributes as OTLP carries them."""
    return [KeyValue(key=key, value=_value(value)) for key, value in said.items()]


def _value(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(double_value=value)


def _usage(usage: Usage, operation: str) -> dict[str, Value]:
    said: dict[str, Value] = {keys.GEN_AI_USAGE_INPUT_TOKENS: usage.read}
    if operation != "embeddings":
        said[keys.GEN_AI_USAGE_OUTPUT_TOKENS] = usage.written
    if usage.cached:
        said[keys.GEN_AI_USAGE_CACHE_READ] = usage.cached
    if usage.cache_written:
        said[keys.GEN_AI_USAGE_CACHE_CREATION] = usage.cache_written
    if usage.reasoning:
        said[keys.GEN_AI_USAGE_REASONING] = usage.reasoning
    return said
