"""OTLP requests of realistic GenAI spans, made so cheaply that a generator can send them for hours.

A span has 20 attributes and takes about 760 bytes. Everything that differs from span to span in life differs here: ids,
times, token counts, user, customer, conversation and session are drawn anew for every span of every request, so that
neither a store's compression nor its dedupe is helped. Only the order of models within a block repeats, every
`TEMPLATES` blocks. Draws come from one seed; ids also from a run's own number, so that no two runs share one.

The bytes of a span are made once per kind by protobuf, with markers where something varies; a block is spans put one
after the other, and numpy writes the values over the markers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

Shape = Literal["trace", "flat"]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
    ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat", "deepseek-chat"),
)
HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "gcp.gemini": "generativelanguage.googleapis.com",
    "deepseek": "api.deepseek.com",
}
SPANS_PER_TRACE = 8  # seven calls and the agent around them, which ends, and so is sent, last
BLOCK_SPANS = 512
TEMPLATES = 64
MINUTE_NS = 60_000_000_000
_MINUTES = 2  # minutes that a block's starts can touch: they are within 20 ms
_ONES = np.ones(BLOCK_SPANS)

# Token counts whose varint takes two bytes, so that they can be written in place.
INPUT_TOKENS = (300, 16_384)
OUTPUT_TOKENS = (128, 3_000)
LEAST_CACHED_TOKENS = 128
_INPUT, _OUTPUT, _CACHED = 0x2AAA, 0x2BBB, 0x2CCC

_TRACE_ID, _SPAN_ID, _PARENT_ID = b"T" * 16, b"S" * 8, b"P" * 8
_START_NS, _END_NS = 0x1122334455667788, 0x1122334455667799
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIGITS = (np.arange(20_000)[:, None] // 10 ** np.arange(5, -1, -1) % 10 + 0x30).astype(np.uint8)
_TEXTS = {  # marker, how many values, and digits of it that vary
    "conversation": (b"conv-@@@@@@", 5_000, 6),
    "customer": (b"cust-@@@", 500, 3),
    "user": (b"user-@@@@@", 20_000, 5),
    "feature": (b"feature-@", 10, 1),
    "team": (b"team-@", 6, 1),
    "agent": (b"agent_@@", 12, 2),
}
_HEXES = {"response": (b"chatcmpl-" + b"#" * 24, 24), "session": (b"%" * 16, 16)}
_RESPONSE, _SESSION = "response", "session"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


_MARKERS = {
    "trace_id": _TRACE_ID,
    "span_id": _SPAN_ID,
    "parent_id": _PARENT_ID,
    "start": _START_NS.to_bytes(8, "little"),
    "end": _END_NS.to_bytes(8, "little"),
    "input": _varint(_INPUT),
    "output": _varint(_OUTPUT),
    "cached": _varint(_CACHED),
    **{name: text[0] for name, text in _TEXTS.items()},
    **{name: text[0] for name, text in _HEXES.items()},
}
_SIZES = {**{name: text[2] for name, text in _TEXTS.items()}, **{name: text[1] for name, text in _HEXES.items()}}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of span as bytes, and where in them each varying value begins (-1: it has none)."""

    body: bytes
    model: int
    root: bool
    at: dict[str, int]


@dataclass(frozen=True, slots=True)
class Usage:
    """What the spans of some requests used, by (model, minute of start): calls, input, output, cached tokens."""

    sums: dict[tuple[int, int], tuple[int, int, int, int]] = field(default_factory=dict)
    samples: list[tuple[int, int, int, int, int]] = field(
        default_factory=list
    )  # model, start_ns, input, output, cached

    def add(self, other: Usage) -> None:
        """Count the spans of another one too."""
        for key, (calls, read, written, cached) in other.sums.items():
            had = self.sums.get(key, (0, 0, 0, 0))
            self.sums[key] = (had[0] + calls, had[1] + read, had[2] + written, had[3] + cached)
        if len(self.samples) < 1_000:
            self.samples.extend(other.samples)


@dataclass(frozen=True, slots=True)
class Block:
    """Requests of one fill."""

    bodies: list[bytes]
    usage: Usage


@dataclass(frozen=True, slots=True)
class _Template:
    body: Bytes
    ends: Ints  # end of each request
    at: dict[str, tuple[NDArray[np.bool_], Ints]]  # which spans have a value, and where each byte of theirs goes
    model: Ints
    root: NDArray[np.bool_]

    def write(self, body: Bytes, name: str, values: Bytes) -> None:
        """Write a row of `values` for each span that has such a value."""
        has, where = self.at[name]
        body[where] = values if len(where) == len(values) else values[has]


def _attributes(model: int, root: bool, cached: bool) -> dict[str, Any]:
    provider, request_model, response_model = MODELS[model]
    prefix = "app." if root else ""  # the agent's own record of its usage is under names of the app
    return {
        "gen_ai.operation.name": "invoke_agent" if root else "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": request_model,
        "gen_ai.response.model": response_model,
        f"{prefix}gen_ai.response.id": _HEXES[_RESPONSE][0].decode(),
        f"{prefix}gen_ai.usage.input_tokens": _INPUT,
        f"{prefix}gen_ai.usage.output_tokens": _OUTPUT,
        f"{prefix}gen_ai.usage.cache_read.input_tokens": _CACHED if cached else 0,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.conversation.id": _TEXTS["conversation"][0].decode(),
        "gen_ai.agent.name": _TEXTS["agent"][0].decode(),
        "server.address": HOSTS[provider],
        "server.port": 443,
        "customer.id": _TEXTS["customer"][0].decode(),
        "feature": _TEXTS["feature"][0].decode(),
        "team": _TEXTS["team"][0].decode(),
        "user.id": _TEXTS["user"][0].decode(),
        "session.id": _HEXES[_SESSION][0].decode(),
    }


def _set(value: Any, said: Any) -> None:
    if isinstance(said, str):
        value.string_value = said
    elif isinstance(said, int):
        value.int_value = said
    elif isinstance(said, float):
        value.double_value = said
    else:
        for item in said:
            value.array_value.values.add().string_value = item


def _kind(model: int, root: bool, cached: bool) -> Kind:
    span = Span(trace_id=_TRACE_ID, span_id=_SPAN_ID, name="invoke_agent" if root else f"chat {MODELS[model][1]}")
    span.kind = Span.SPAN_KIND_INTERNAL if root else Span.SPAN_KIND_CLIENT
    span.start_time_unix_nano, span.end_time_unix_nano = _START_NS, _END_NS
    if not root:
        span.parent_span_id = _PARENT_ID
    for key, said in _attributes(model, root, cached).items():
        pair = span.attributes.add()
        pair.key = key
        _set(pair.value, said)
    inner = span.SerializeToString()
    body = b"\x12" + _varint(len(inner)) + inner  # ScopeSpans.spans
    at = {name: body.find(marker) for name, marker in _MARKERS.items()}
    assert all(body.count(marker) <= 1 for marker in _MARKERS.values()), "a marker is not unique"
    return Kind(body, model, root, at)


def _request(spans: list[bytes]) -> tuple[bytes, bytes]:
    """The bytes before the spans of a request, and the spans."""
    resource = ResourceSpans()
    for key, said in (
        ("service.name", "checkout"),
        ("deployment.environment.name", "production"),
        ("telemetry.sdk.language", "python"),
    ):
        pair = resource.resource.attributes.add()
        pair.key = key
        pair.value.string_value = said
    scope = resource.scope_spans.add().scope
    scope.name, scope.version = "opentelemetry.util.genai", "0.4b0"
    named = resource.scope_spans[0].SerializeToString()
    del resource.scope_spans[:]
    joined = b"".join(spans)
    scopes = b"\x12" + _varint(len(named) + len(joined)) + named
    whole = resource.SerializeToString() + scopes
    return b"\x0a" + _varint(len(whole) + len(joined)) + whole, joined


class Payload:
    """An endless series of blocks of requests."""

    def __init__(
        self, *, spans_per_request: int, shape: Shape = "trace", seed: int = 1, run: int | None = None
    ) -> None:
        """Requests of `spans_per_request` spans, which divide a block; `run`: what ids come from (default: now)."""
        if BLOCK_SPANS % spans_per_request:
            raise ValueError(f"{spans_per_request} spans a request do not divide {BLOCK_SPANS}")
        self.spans_per_request = spans_per_request
        self._shape = shape
        self._values = np.random.default_rng(seed)
        self._ids = np.random.default_rng([seed, time.time_ns() if run is None else run])
        order = random.Random(seed)
        kinds = {
            (model, root, cached): _kind(model, root, cached)
            for model in range(len(MODELS))
            for root in (False, True)
            for cached in (False, True)
        }
        self._templates = [self._template(kinds, order) for _ in range(TEMPLATES)]
        self._next = 0

    def blocks(self) -> Iterator[Block]:
        """Blocks of `BLOCK_SPANS` spans for ever; their spans started within the last milliseconds."""
        while True:
            yield self.block()

    def take(self, requests: int) -> tuple[list[bytes], Usage]:
        """That many requests at once, and what they used; rounded up to whole blocks."""
        bodies: list[bytes] = []
        usage = Usage()
        while len(bodies) < requests:
            block = self.block()
            bodies += block.bodies
            usage.add(block.usage)
        return bodies, usage

    def block(self) -> Block:
        """The next block."""
        template = self._templates[self._next % TEMPLATES]
        self._next += 1
        body = template.body.copy()
        self._fill_ids(template, body)
        for name, (_, count, digits) in _TEXTS.items():
            numbers = self._values.integers(0, count, BLOCK_SPANS)
            template.write(body, name, _DIGITS[numbers, -digits:])
        for name, (_, digits) in _HEXES.items():
            template.write(body, name, _HEX[self._draw(BLOCK_SPANS, digits) & 15])
        starts = self._fill_times(template, body)
        usage = self._fill_tokens(template, body, starts)
        raw = body.tobytes()
        ends = template.ends.tolist()
        return Block([raw[start:end] for start, end in zip([0, *ends], ends, strict=False)], usage)

    def _template(self, kinds: dict[tuple[int, bool, bool], Kind], order: random.Random) -> _Template:
        chosen = [
            kinds[
                order.randrange(len(MODELS)),
                self._shape == "trace" and position % SPANS_PER_TRACE == SPANS_PER_TRACE - 1,
                order.random() < 0.5,
            ]
            for position in range(BLOCK_SPANS)
        ]
        pieces: list[bytes] = []
        offsets: list[int] = []
        ends: list[int] = []
        length = 0
        for first in range(0, BLOCK_SPANS, self.spans_per_request):
            own = chosen[first : first + self.spans_per_request]
            head, joined = _request([kind.body for kind in own])
            length += len(head)
            for kind in own:
                offsets.append(length)
                length += len(kind.body)
            pieces += [head, joined]
            ends.append(length)
        base = np.array(offsets)
        at = {name: np.array([kind.at[name] for kind in chosen]) for name in chosen[0].at}
        return _Template(
            np.frombuffer(b"".join(pieces), np.uint8),
            np.array(ends),
            {name: _places(base, own, name) for name, own in at.items()},
            np.array([kind.model for kind in chosen]),
            np.array([kind.root for kind in chosen]),
        )

    def _draw(self, rows: int, size: int) -> Bytes:
        return np.frombuffer(self._ids.bytes(rows * size), np.uint8).reshape(rows, size)

    def _fill_ids(self, template: _Template, body: Bytes) -> None:
        spans = self._draw(BLOCK_SPANS, 8)
        group = SPANS_PER_TRACE if self._shape == "trace" else 1
        parents = spans[SPANS_PER_TRACE - 1 :: SPANS_PER_TRACE] if group > 1 else self._draw(BLOCK_SPANS, 8)
        template.write(body, "span_id", spans)
        template.write(body, "trace_id", np.repeat(self._draw(BLOCK_SPANS // group, 16), group, axis=0))
        template.write(body, "parent_id", np.repeat(parents, group, axis=0))

    def _fill_times(self, template: _Template, body: Bytes) -> Ints:
        steps = self._values.integers(10_000, 40_000, BLOCK_SPANS)
        starts: Ints = time.time_ns() - 5_000_000_000 - int(steps.sum()) + np.cumsum(steps)
        ends = starts + self._values.integers(10**8, 5 * 10**9, BLOCK_SPANS)
        template.write(body, "start", starts.astype("<u8").view(np.uint8).reshape(-1, 8))
        template.write(body, "end", ends.astype("<u8").view(np.uint8).reshape(-1, 8))
        return starts

    def _fill_tokens(self, template: _Template, body: Bytes, starts: Ints) -> Usage:
        read = self._values.integers(*INPUT_TOKENS, BLOCK_SPANS)
        written = self._values.integers(*OUTPUT_TOKENS, BLOCK_SPANS)
        share = self._values.random(BLOCK_SPANS)
        cached = LEAST_CACHED_TOKENS + (share * (read - LEAST_CACHED_TOKENS)).astype(np.int64)
        for name, tokens in (("input", read), ("output", written), ("cached", cached)):
            pair = np.stack((tokens & 0x7F | 0x80, tokens >> 7), axis=1).astype(np.uint8)
            template.write(body, name, pair)
        cached = np.where(template.at["cached"][0], cached, 0)
        first_minute = int(starts[0]) // MINUTE_NS
        group = template.model + len(MODELS) * (starts // MINUTE_NS - first_minute)
        group = np.where(template.root, len(MODELS) * _MINUTES, group)  # an agent's usage is in its calls
        usage = Usage()
        columns = [np.bincount(group, weights=tokens).astype(np.int64) for tokens in (_ONES, read, written, cached)]
        for at, (calls, *said) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            if calls and at < len(MODELS) * _MINUTES:
                key = at % len(MODELS), first_minute + at // len(MODELS)
                usage.sums[key] = (calls, said[0], said[1], said[2])
        usage.samples.append((int(template.model[0]), int(starts[0]), int(read[0]), int(written[0]), int(cached[0])))
        return usage


def _places(base: Ints, own: Ints, name: str) -> tuple[NDArray[np.bool_], Ints]:
    marker, size = len(_MARKERS[name]), _SIZES.get(name, len(_MARKERS[name]))
    has = own >= 0
    return has, (base + own)[has, None] + np.arange(marker - size, marker)


def count_spans(body: bytes) -> int:
    """How many spans a request holds."""
    request = ExportTraceServiceRequest.FromString(body)
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
