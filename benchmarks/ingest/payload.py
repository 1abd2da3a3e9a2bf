"""OTLP requests of realistic GenAI spans, made so cheaply that a generator can send them for hours.

A span has 20 attributes and takes about 790 bytes with its share of the request. Ids, times, token counts, user,
customer, conversation and session are drawn anew for every span of every request, so that neither a store's compression
nor its dedupe is helped. Only the order of models within a block repeats, every `TEMPLATES` blocks. Draws come from one
seed; ids also from a run's own number, so that no two runs share one.

A block is spans of a kind put one after the other, and numpy writes the values over their markers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.ingest.spans import HEXES, MARKERS, MODELS, SIZES, TEXTS, Kind, request_parts, span_kind

Shape = Literal["trace", "half", "flat"]
"""`trace`: seven calls and the agent around them; `half`: four calls, and four agents; `flat`: calls alone."""
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

SPANS_PER_TRACE = 8  # the last one is the agent around the others, which ends, and so is sent, last
BLOCK_SPANS = 512
TEMPLATES = 64
MINUTE_NS = 60_000_000_000
_MINUTES = 2  # minutes that a block's starts can touch: they are within 20 ms
_ONES = np.ones(BLOCK_SPANS)
_STEP = {"trace": SPANS_PER_TRACE, "half": 2}  # each so-many-th span is an agent
CUSTOMERS = TEXTS["customer"][1]

# Token counts whose varint takes two bytes, so that they can be written in place.
INPUT_TOKENS = (300, 16_384)
OUTPUT_TOKENS = (128, 3_000)
LEAST_CACHED_TOKENS = 128
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIGITS = (np.arange(20_000)[:, None] // 10 ** np.arange(5, -1, -1) % 10 + 0x30).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the spans of some requests used, by (model, minute of start): calls, input, output, cached tokens."""

    sums: dict[tuple[int, int], tuple[int, int, int, int]] = field(default_factory=dict)
    # model, start_ns, input, output, cached
    samples: list[tuple[int, int, int, int, int]] = field(default_factory=list)

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


class Payload:
    """An endless series of blocks of requests."""

    def __init__(
        self,
        *,
        spans_per_request: int,
        shape: Shape = "trace",
        seed: int = 1,
        run: int | None = None,
        customers: int = CUSTOMERS,
    ) -> None:
        """Requests of `spans_per_request` spans, which divide a block; `run`: what ids come from (default: now);
        `customers`: how many there are, at most 10,000."""
        if BLOCK_SPANS % spans_per_request:
            raise ValueError(f"{spans_per_request} spans a request do not divide {BLOCK_SPANS}")
        self.spans_per_request = spans_per_request
        self._shape, self._customers = shape, customers
        self._values = np.random.default_rng(seed)
        self._ids = np.random.default_rng([seed, time.time_ns() if run is None else run])
        order = random.Random(seed)
        kinds = {
            (model, root, cached): span_kind(model, root, cached)
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
        for name, (_, count, digits) in TEXTS.items():
            numbers = self._values.integers(0, self._customers if name == "customer" else count, BLOCK_SPANS)
            template.write(body, name, _DIGITS[numbers, -digits:])
        for name, (_, digits) in HEXES.items():
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
                position % (step := _STEP.get(self._shape, BLOCK_SPANS + 1)) == step - 1,
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
            head, joined = request_parts([kind.body for kind in own])
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
        group = SPANS_PER_TRACE if self._shape in _STEP else 1
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
    marker, size = len(MARKERS[name]), SIZES.get(name, len(MARKERS[name]))
    has = own >= 0
    return has, (base + own)[has, None] + np.arange(marker - size, marker)


def count_spans(body: bytes) -> int:
    """How many spans a request holds."""
    request = ExportTraceServiceRequest.FromString(body)
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
