"""Traces cut into requests the way apps send them: a child before its parent, each request on its own.

Every request after a trace's first changes what the ledger said of that trace before. The wrapper repeats the usage of
its calls and names the agent; the root, which is no model call, names the customer; a second instrumentation records
some calls again, in the same trace or in one of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_cost import attributes as k

INPUT_PICO_USD, OUTPUT_PICO_USD = 2_500_000, 10_000_000
"""gpt-4o: 2.50 USD per million input tokens, 10.00 USD per million output tokens."""
START_NS = 1_767_225_600_000_000_000  # 2026-01-01
CALL_NS = 500_000_000
TRACE_NS = 1_000_000_000
MAX_CALLS = 16
OPEN_TRACES = 4
"""Traces of one client that are under way at once."""
REPEATED_SHARE = 0.5
OWN_TRACE = 1 << 112
"""Set in the id of a trace that a second instrumentation began for itself."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What must be counted for one response."""

    cost_pico_usd: int
    agent: str
    customer: str


@dataclass(frozen=True, slots=True)
class Part:
    """One request."""

    place: tuple[int, int]  # trace, then parents before children: the order of an orderly load
    body: bytes
    span_ids: tuple[str, ...]
    counted: dict[str, Counted]  # by response id


@dataclass(frozen=True, slots=True)
class _Call:
    span_id: bytes
    start_ns: int
    input_tokens: int
    output_tokens: int

    @property
    def response_id(self) -> str:
        return f"chatcmpl-{self.span_id.hex()}"


@dataclass(slots=True)
class _Request:
    """Spans of one instrumentation."""

    scope: str
    message: ExportTraceServiceRequest = field(default_factory=ExportTraceServiceRequest)
    span_ids: list[str] = field(default_factory=list)

    def add(
        self, trace_id: bytes, span_id: bytes, parent: bytes, time_ns: tuple[int, int], values: dict[str, str | int]
    ) -> None:
        """One span; an empty parent makes it a root."""
        if not self.span_ids:
            self.message.resource_spans.add().scope_spans.add().scope.name = self.scope
        spans = self.message.resource_spans[0].scope_spans[0].spans
        span = spans.add(trace_id=trace_id, span_id=span_id, parent_span_id=parent, name="a span", kind=3)
        span.start_time_unix_nano, span.end_time_unix_nano = time_ns
        for key, value in values.items():
            if isinstance(value, str):
                span.attributes.add(key=key).value.string_value = value
            else:
                span.attributes.add(key=key).value.int_value = value
        self.span_ids.append(span_id.hex())


def parts(client: int, chance: random.Random, enough: Callable[[], bool]) -> Iterator[Part]:
    """The requests of one client, several traces interleaved; once there is `enough`, those begun are completed."""
    under_way: list[list[Part]] = []
    number = 0
    while True:
        while len(under_way) < OPEN_TRACES and not enough():
            number += 1
            under_way.append(_Trace(client, number, chance).parts())
        if not under_way:
            return
        trace = chance.choice(under_way)
        yield trace.pop(0)
        under_way = [each for each in under_way if each]


class _Trace:
    """One trace: a root, in it a wrapper, in it calls."""

    def __init__(self, client: int, number: int, chance: random.Random) -> None:
        self._chance = chance
        self._number = (client << 32) + number
        self._id = self._number.to_bytes(16, "big")
        self._start_ns = START_NS + number * TRACE_NS
        self._agent, self._customer = f"agent-{number % 5}", f"customer-{number % 7}"
        self._ids_given = 0
        self._root, self._wrapper = self._span_id(), self._span_id()
        self._calls = [
            _Call(self._span_id(), self._start_ns + index, chance.randint(1, 100_000), chance.randint(1, 5_000))
            for index in range(chance.randint(1, MAX_CALLS))
        ]

    def parts(self) -> list[Part]:
        """Its requests in the order in which they are sent: some calls first, the rest as it happens."""
        cut = self._chance.randint(1, len(self._calls))
        first, *later = [calls for calls in (self._calls[:cut], self._calls[cut:]) if calls]
        repeated = [call for call in self._calls if self._chance.random() < REPEATED_SHARE]
        rest = [self._root_part(), self._wrapper_part(), *map(self._calls_part, later)]
        if repeated:
            rest.append(self._repeated_part(repeated))
        self._chance.shuffle(rest)
        return [self._calls_part(first), *rest]

    def _span_id(self) -> bytes:
        self._ids_given += 1
        return ((self._number << 8) + self._ids_given).to_bytes(8, "big")

    def _part(self, level: int, request: _Request, counted: dict[str, Counted]) -> Part:
        body = bytes(request.message.SerializeToString())
        return Part((self._number, level), body, tuple(request.span_ids), counted)

    def _root_part(self) -> Part:
        request = _Request("web")
        time_ns = (self._start_ns - 2, self._start_ns + CALL_NS + 102)
        request.add(self._id, self._root, b"", time_ns, {k.OTEL_COST_CUSTOMER: self._customer})
        return self._part(0, request, {})

    def _wrapper_part(self) -> Part:
        """An agent, or what looks like one more model call, with the sum of its calls."""
        request = _Request("framework")
        time_ns = (self._start_ns - 1, self._start_ns + CALL_NS + 101)
        usage = _usage(sum(call.input_tokens for call in self._calls), sum(call.output_tokens for call in self._calls))
        operation = self._chance.choice(["invoke_agent", "chat"])
        values = {k.GEN_AI_AGENT_NAME: self._agent, **_model(operation), **usage}
        request.add(self._id, self._wrapper, self._root, time_ns, values)
        return self._part(1, request, {})

    def _calls_part(self, calls: list[_Call]) -> Part:
        request, counted = _Request("sdk"), {}
        for call in calls:
            time_ns = (call.start_ns, call.start_ns + CALL_NS)
            request.add(self._id, call.span_id, self._wrapper, time_ns, _call_values(call))
            cost = call.input_tokens * INPUT_PICO_USD + call.output_tokens * OUTPUT_PICO_USD
            counted[call.response_id] = Counted(cost, self._agent, self._customer)
        return self._part(2, request, counted)

    def _repeated_part(self, calls: list[_Call]) -> Part:
        """The calls once more: beside the first record, below it, or in a trace that knows of no parent."""
        request = _Request("second-sdk")
        for call in calls:
            span_id, time_ns = self._span_id(), (call.start_ns + 50, call.start_ns + CALL_NS - 50)
            own_trace = (OWN_TRACE + int.from_bytes(span_id, "big")).to_bytes(16, "big")
            trace_id, parent = self._chance.choice(
                [(self._id, self._wrapper), (self._id, call.span_id), (own_trace, b"")]
            )
            request.add(trace_id, span_id, parent, time_ns, _call_values(call))
        return self._part(3, request, {})


def _model(operation: str) -> dict[str, str | int]:
    return {
        k.GEN_AI_OPERATION_NAME: operation,
        k.GEN_AI_PROVIDER_NAME: "openai",
        k.GEN_AI_REQUEST_MODEL: "gpt-4o",
    }


def _usage(input_tokens: int, output_tokens: int) -> dict[str, str | int]:
    return {k.GEN_AI_USAGE_INPUT_TOKENS: input_tokens, k.GEN_AI_USAGE_OUTPUT_TOKENS: output_tokens}


def _call_values(call: _Call) -> dict[str, str | int]:
    usage = _usage(call.input_tokens, call.output_tokens)
    return {**_model("chat"), k.GEN_AI_RESPONSE_ID: call.response_id, **usage}
