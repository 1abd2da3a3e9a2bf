"""Spans made from the dialect tables: plausible ones, and what no emitter should write but some will.

`spans(seed, count)` is deterministic. `batch_of` turns such spans into the columns that decoding yields.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from collector.decode.columns import (
    ATTRIBUTE_SCHEMA,
    SPAN_SCHEMA,
    VALUE_BOOL,
    VALUE_BYTES,
    VALUE_DOUBLE,
    VALUE_INT,
    VALUE_JSON,
    VALUE_STRING,
    SpanBatch,
)
from collector.normalise.keys import BLOB, DISCRETE, KEY_ROLES, NUMBER, conditions
from otel_cost import attributes as k
from otel_cost.call import Call
from otel_cost.normalise import normalise
from otel_cost.normalise.dialects import DIALECTS
from otel_cost.normalise.owners import ALL_OWNER_KEYS
from otel_cost.normalise.plan import BLOB_PATHS
from otel_cost.normalise.rules import INSIDE, SPAN_NAME, Dialect, When
from otel_cost.normalise.vocabulary import AGGREGATE_OPERATIONS, HOST_PROVIDERS, LEAF_OPERATIONS, PROVIDERS


@dataclass(frozen=True, slots=True)
class Span:
    """A span as both readers get it."""

    scope_name: str | None = None
    name: str = "span"
    kind: int = 3
    status: int = 0
    attributes: dict[str, object] = field(default_factory=dict)
    resource: dict[str, object] = field(default_factory=dict)


def normalised(span: Span) -> Call | None:
    """What the scalar reader says of a span."""
    return normalise(
        scope_name=span.scope_name,
        span_name=span.name,
        span_kind=span.kind,
        status_code=span.status,
        attributes=span.attributes,
    )


MODELS = ("gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "anthropic.claude-3-haiku", " gpt-4o ", '"gpt-4o"')
ODD_TEXTS = ("", '""', '"', "null", "é", "0", "a" * 300, '"quoted', " ", '"\\u0041"', "true", "TRUE", "error")
ODD_NUMBERS: tuple[object, ...] = (
    *(-1, -(1 << 62), (1 << 40), (1 << 40) + 1, (1 << 63) - 1, 1.0, 2.5, -0.0, -3.5, 1e30, float("nan")),
    *(float("inf"), float("-inf"), "12", "12.0", "-4", " 7 ", "1e3", "x", "", "9" * 40, "9" * 30, True, False),
    *([1, 2], b"12", "NaN", "Infinity", "-Infinity", "0.00015", "+5", "1_000", "\u0661"),
)


def _keys_of(dialect: Dialect) -> list[str]:
    sources = [source for row in dialect.usage.values() for source in row]
    for row in (dialect.operation, dialect.provider, dialect.request_model, dialect.response_model):
        sources += row
    for row in (dialect.response_id, dialect.service_tier, dialect.host, dialect.cost, dialect.cache_hit):
        sources += row
    found = {source.key.partition(INSIDE)[0] for source in sources}
    found |= {when.subject for when in conditions(dialect) if not when.subject.startswith(INSIDE)}
    found |= {key for rule in dialect.rules for key in rule.agent if not key.startswith(INSIDE)}
    return sorted(key.partition(INSIDE)[0] for key in found | set(dialect.markers))


DIALECT_KEYS = {dialect.name: _keys_of(dialect) for dialect in DIALECTS}
ALL_KEYS = sorted({key for keys in DIALECT_KEYS.values() for key in keys} | ALL_OWNER_KEYS)
CONDITIONS: dict[str, list[When]] = {}
for _dialect in DIALECTS:
    for _when in conditions(_dialect):
        CONDITIONS.setdefault(_when.subject, []).append(_when)


IGNORING = {k.LOGFIRE_SPAN_TYPE, k.GEN_AI_USAGE_PARTIAL_INPUT, k.GEN_AI_USAGE_PARTIAL_OUTPUT}


class Maker:
    """Makes spans from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.random.random() < share

    def number(self) -> object:
        """A count: plausible, or anything at all."""
        if self.chance(0.12):
            return self.random.choice(ODD_NUMBERS)
        return self.random.choice((0, 0, 1, 5, 8, 20, 100, 163, 1200, 5000, self.random.randrange(100_000)))

    def amount(self) -> object:
        """A reported cost: plausible, or anything at all."""
        if self.chance(0.3):
            return self.random.choice(ODD_NUMBERS)
        return self.random.choice((0.0, 0.000151, 1, self.random.random(), f"{self.random.random():.9f}"))

    def text(self, key: str) -> object:
        """A text that the tables know for the key, or anything at all."""
        if self.chance(0.06):
            return self.random.choice((*ODD_TEXTS, *ODD_NUMBERS))
        wanted = CONDITIONS.get(key)
        if wanted and self.chance(0.7):
            when = self.random.choice(wanted)
            if when.values:
                value = self.random.choice(when.values)
                return self.random.choice((value, value.upper(), f"x{value}", f"{value}x", value, f'"{value}"'))
        return self.random.choice((*self.vocabulary(key), f"id-{self.random.randrange(1000)}"))

    def vocabulary(self, key: str) -> Sequence[str]:
        """Words that fit the key."""
        if "model" in key:
            return MODELS
        if "provider" in key or "system" in key:
            return [name for name in PROVIDERS if name] + ["OpenAI", "my-llm", "openai.chat", "fallback:a,b"]
        if key in (k.SERVER_ADDRESS, k.GEN_AI_OPENAI_API_BASE):
            hosts = [*HOST_PROVIDERS, "x.openai.azure.com", "example.com"]
            return [*hosts, *(f"https://{host}:443/v1" for host in hosts)]
        if "operation" in key or "type" in key:
            return (*LEAF_OPERATIONS, *AGGREGATE_OPERATIONS, "custom", "Chat", "completion")
        if "tier" in key:
            return ("default", "Flex", "auto", "priority", "batch")
        if key == k.GEN_AI_USAGE_COST_CURRENCY:
            return ("USD", "usd", "EUR")
        return ("provider", "local", "true", "false")

    def blob(self, key: str) -> object:
        """A JSON object with some of the paths that tables read, or anything at all."""
        if self.chance(0.1):
            return self.random.choice((*ODD_TEXTS, "{", "[1]", "{}", "[" * 5000, '{"input": NaN}', b"{}", 5, [1]))
        made: dict[str, object] = {}
        for path in BLOB_PATHS[key]:
            if self.chance(0.4):
                *parents, last = path.split(".")
                at = made
                for parent in parents:
                    inner = at.setdefault(parent, {})
                    if not isinstance(inner, dict):
                        break
                    at = inner
                value = self.amount() if "cost" in path else self.number()
                at[last] = self.random.choice((None, 1 << 70, -(1 << 70), [], {})) if self.chance(0.03) else value
        if self.chance(0.2):
            return str(made)
        return json.dumps(made, default=str)

    def value(self, key: str) -> object:
        """A value for the key by its role."""
        role = KEY_ROLES.get(key, 0)
        if role & BLOB:
            return self.blob(key)
        if role & NUMBER:
            return self.amount() if "cost" in key else self.number()
        if role & DISCRETE or self.chance(0.9):
            return self.text(key)
        return self.random.choice((*ODD_TEXTS, *ODD_NUMBERS))

    def scope(self, dialect: Dialect) -> str | None:
        """A scope of the dialect, or an unknown one."""
        if self.chance(0.2):
            return self.random.choice((None, "", "app", "my.tracer", "logfire", "ai"))
        known = [*dialect.scopes, *(f"{prefix}x" for prefix in dialect.scope_prefixes), *dialect.scope_prefixes]
        return self.random.choice(known) if known else "app"

    def name(self, dialect: Dialect) -> str:
        """A span name that tables ask for, or any."""
        wanted = [when for when in CONDITIONS[SPAN_NAME] if when.values]
        if dialect.name_prefixes and self.chance(0.8):
            return self.random.choice(("claude_code.llm_request", "claude_code.tool", "claude_code.interaction"))
        if self.chance(0.3):
            value = self.random.choice(self.random.choice(wanted).values)
            return self.random.choice((value, value.upper(), f"{value} x", f'"{value}"'))
        return self.random.choice(("chat gpt-4o", "invoke_agent a", "", '""', "GET /", '"agent"', "Planner"))

    def span(self) -> Span:
        """One span of a random dialect."""
        dialect = self.random.choice(DIALECTS)
        share = self.random.choice((0.15, 0.35, 0.6))
        keys = [key for key in DIALECT_KEYS[dialect.name] if self.chance(share)]
        keys += [marker for marker in dialect.markers[:2] if self.chance(0.6)]
        keys += [key for key, _ in dialect.marker_values if self.chance(0.6)]
        keys += self.random.sample(ALL_KEYS, self.random.choice((0, 0, 1, 3, 8)))
        keys += self.random.sample(sorted(ALL_OWNER_KEYS), self.random.choice((0, 0, 1, 3)))
        if self.chance(0.85):  # most spans are not of the kinds that are ignored at once
            keys = [key for key in keys if key not in IGNORING]
        self.random.shuffle(keys)
        attributes = {key: self.value(key) for key in keys} | {"http.route": "/x", "custom": 1}
        if self.chance(0.1):  # any other span of the app
            attributes = {key: value for key, value in attributes.items() if key in ALL_OWNER_KEYS}
        return Span(
            self.scope(dialect),
            self.name(dialect),
            self.random.choice((0, 1, 1, 2, 3, 3, 4, 5)),
            self.random.choice((0, 0, 1, 2)),
            attributes,
            {key: self.value(key) for key in self.random.sample(ALL_KEYS, self.random.choice((0, 1, 3)))},
        )

    def alike(self, span: Span) -> Span:
        """The same keys on the same span with other values."""
        return replace(span, attributes={key: self.value(key) for key in span.attributes})


def spans(seed: int, count: int) -> Iterator[Span]:
    """`count` spans from a seed; every other one has the keys of the one before."""
    maker = Maker(seed)
    made = maker.span()
    for index in range(count):
        made = maker.alike(made) if index % 2 else maker.span()
        yield made


def batch_of(made: Sequence[Span]) -> SpanBatch:
    """Spans as decoding would yield them, each under a resource of its own."""
    size = len(made)
    table = pa.table(
        {
            "org_id": pa.array(["default"] * size),
            "trace_id": pa.array([f"{index:032x}" for index in range(size)]),
            "span_id": pa.array([f"{index + 1:016x}" for index in range(size)]),
            "parent_span_id": pa.nulls(size, pa.string()),
            "trace_state": pa.nulls(size, pa.string()),
            "name": pa.array([span.name for span in made], pa.string()),
            "kind": pa.array([span.kind for span in made], pa.int8()),
            "start_time_ns": pa.array([0] * size, pa.int64()),
            "end_time_ns": pa.array([1] * size, pa.int64()),
            "status_code": pa.array([span.status for span in made], pa.int8()),
            "status_message": pa.nulls(size, pa.string()),
            "scope_name": pa.array([span.scope_name for span in made], pa.string()),
            "scope_version": pa.nulls(size, pa.string()),
            "service_name": pa.nulls(size, pa.string()),
            "resource_index": pa.array(list(range(size)), pa.int32()),
            "events": pa.nulls(size, pa.string()),
            "links": pa.nulls(size, pa.string()),
            "dropped_attributes_count": pa.array([0] * size, pa.int32()),
        }
    )
    return SpanBatch(
        table.cast(SPAN_SCHEMA),
        _long([span.attributes for span in made]),
        pa.table({"attributes_json": pa.array(["{}"] * size)}),
        _long([span.resource for span in made]),
    )


def _long(owners: Sequence[dict[str, object]]) -> pa.Table:
    rows = [(index, key, *_typed(value)) for index, owner in enumerate(owners) for key, value in owner.items()]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    names = ATTRIBUTE_SCHEMA.names
    types = [pa.int32(), pa.string(), pa.int8(), pa.string(), pa.int64(), pa.float64()]
    arrays = {name: pa.array(column, kind) for name, column, kind in zip(names, columns, types, strict=True)}
    return pa.table(arrays).cast(ATTRIBUTE_SCHEMA)


def _typed(value: object) -> tuple[int, str | None, int | None, float | None]:
    if isinstance(value, str):
        return VALUE_STRING, value, None, None
    if isinstance(value, bool):
        return VALUE_BOOL, None, int(value), None
    if isinstance(value, int):
        return VALUE_INT, None, value, None
    if isinstance(value, float):
        return VALUE_DOUBLE, None, None, value
    if isinstance(value, bytes):
        return VALUE_BYTES, "MTI=", None, None
    return VALUE_JSON, json.dumps(value), None, None
