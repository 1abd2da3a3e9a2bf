"""The grammar of the dialect tables: what a table may say, as data. Two readers give it meaning.

A *dialect* is one instrumentation's way to write a model call as a span. Its table names where each field is found
(sources in order of precedence: the first valid one wins, values are never added up) and how its spans are classified.
The scalar reader is `otel_cost.normalise.reader`, the column reader is `collector.normalise`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import NamedTuple

from otel_cost.call import CallKind

SPAN_NAME = "#name"
"""Pseudo-key: the span's name, where a source or a condition reads it instead of an attribute."""

SPAN_KIND = "#kind"
"""Pseudo-key of conditions: the span's OTLP kind as one of `KIND_NAMES`."""

ANY_USAGE = "#usage"
"""Pseudo-key of conditions: whether any of the dialect's usage keys is on the span, whatever its value."""

KIND_NAMES = ("unspecified", "internal", "server", "client", "producer", "consumer")

INSIDE = "#"
"""Joins the key of a JSON attribute and the path of a number within it, as in `mlflow.chat.tokenUsage#input_tokens`."""

TOTAL = "total_tokens"
"""Not a billable unit: the emitter's own sum. It decides what the input includes and is then dropped."""


class Source(NamedTuple):
    """One place where a field may stand: an attribute key and the named transform that reads its value."""

    key: str
    transform: str


Sources = tuple[Source, ...]


def texts(*keys: str, transform: str = "text") -> Sources:
    """Sources of a text field, first one wins."""
    return tuple(Source(key, transform) for key in keys)


def counts(*keys: str) -> Sources:
    """Sources of a whole quantity, first valid one wins."""
    return tuple(Source(key, "count") for key in keys)


def inside(key: str, *paths: str) -> tuple[str, ...]:
    """Virtual keys of numbers inside the JSON text of attribute `key`; a path is dotted."""
    return tuple(f"{key}{INSIDE}{path}" for path in paths)


class Test(Enum):
    """What a condition asks of its subject."""

    __test__ = False  # not a test class

    PRESENT = "present"  # the attribute is on the span
    ABSENT = "absent"  # it is not
    IN = "in"  # its text, lower-cased, is one of the values
    STARTS = "starts"  # its text starts with one of the values
    ENDS = "ends"  # its text ends with one of the values


class When(NamedTuple):
    """One condition on an attribute or a pseudo-key."""

    subject: str
    test: Test
    values: tuple[str, ...] = ()


def has(key: str) -> When:
    """The key is on the span."""
    return When(key, Test.PRESENT)


def lacks(key: str) -> When:
    """The key is not on the span."""
    return When(key, Test.ABSENT)


def is_in(key: str, *values: str) -> When:
    """The text of the key, lower-cased, is one of the values (written in lower case)."""
    return When(key, Test.IN, values)


def starts(key: str, *values: str) -> When:
    """The text of the key starts with one of the values."""
    return When(key, Test.STARTS, values)


def ends(key: str, *values: str) -> When:
    """The text of the key ends with one of the values."""
    return When(key, Test.ENDS, values)


class Rule(NamedTuple):
    """What a span is when all conditions hold. The first rule that holds decides; none: an aggregate.

    `operation` replaces what the operation's sources say. `agent` says where an agent span keeps its own name.
    """

    kind: CallKind
    when: tuple[When, ...]
    operation: str | None = None
    agent: tuple[str, ...] = ()


def leaf(*when: When, operation: str | None = None) -> Rule:
    """A model call of its own."""
    return Rule(CallKind.LEAF, when, operation)


def aggregate(*when: When, operation: str | None = None, agent: tuple[str, ...] = ()) -> Rule:
    """An agent, workflow, step or tool that may repeat what its children used."""
    return Rule(CallKind.AGGREGATE, when, operation, agent)


def ignore(*when: When) -> Rule:
    """Looks like GenAI but never carries a call."""
    return Rule(CallKind.IGNORE, when)


class Input(StrEnum):
    """What a dialect's input count includes."""

    UNKNOWN = "unknown"  # cached tokens, by convention, unless the arithmetic proves otherwise
    INCLUSIVE = "inclusive"  # cached tokens, even where the arithmetic is impossible (then the parts are cut)
    EXCLUSIVE = "exclusive"  # neither cache reads nor cache writes
    DISJOINT = "disjoint"  # no part at all, and the output excludes its parts too


class Accounting(NamedTuple):
    """Which counting a span follows: the first row whose conditions hold. No providers: any."""

    counting: Input
    providers: frozenset[str] = frozenset()
    when: tuple[When, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One instrumentation's vocabulary.

    Recognised by scope name (exact, then the longest prefix), else by span name prefix, else by an attribute's value,
    else by any marker attribute.
    `rank` orders records of one call when several instrumentations saw it; the lowest says most and is kept: the SDK's
    own (it alone knows tier and cache lifetime), the official instrumentations, frameworks that pass on the provider's
    response id, third-party ones, all others.
    """

    name: str
    rank: int
    rules: tuple[Rule, ...]
    usage: Mapping[str, Sources]
    scopes: tuple[str, ...] = ()
    scope_prefixes: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    marker_values: tuple[tuple[str, str], ...] = ()
    name_prefixes: tuple[str, ...] = ()
    operation: Sources = ()
    provider: Sources = ()
    default_provider: str | None = None
    request_model: Sources = ()
    response_model: Sources = ()
    response_id: Sources = ()
    service_tier: Sources = ()
    host: Sources = ()
    cost: Sources = ()
    cost_by_provider: bool = False
    cache_hit: Sources = ()
    accounting: tuple[Accounting, ...] = ()
    output_is_total_minus_input: bool = False
    blobs: Mapping[str, str] = field(default_factory=dict)
    """JSON attribute -> named transform that parses it into paths."""
