"""Records of one call that do not lie in each other, nor share an id within a trace: ours and another's, side by side.

What our instrumentation reads on the wire is usually written on the other's span. Where that span is not current while
the request is sent, both are on their own, as siblings or as roots of two traces; and where it ends before the
response is closed, its numbers are those of a moment. The collector decides by the same facts (docs/counting.md). A
process knows more: which exchanges it has under way. So where a span lies does not matter here: a call of the same
model, tokens and time that is on no exchange of its own would have to be made by a library that nobody hooks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from otel_cost import attributes as keys
from otel_cost.call import Call

MAX_REMEMBERED = 256
"""Calls of either kind that are compared with. Two records of one call end almost at once; more would cost time."""
MAX_OPEN = 4096
"""Exchanges under way that are remembered; beyond it the oldest are taken to be lost."""
MIN_ID_CHARACTERS = 8
"""Shorter response ids are drawn from few: they say nothing across traces."""
MAX_GAP_NS = 1_000_000_000
"""Between two records with one response id: some instrumentations record a stream when it is over."""
MIN_OVERLAP = 0.8
MAX_DELAY_NS = 25_000_000
"""As the collector's (`collector.attribute.identity`), like `OUTPUT_TOLERANCE_TOKENS` and `MIN_OVERLAP`."""
MAX_START_DIFFERENCE_NS = 250_000_000
OUTPUT_TOLERANCE_TOKENS = 4


_Identity = tuple[int, int]
"""Trace id and span id."""
_Exchange = list[Any]
"""Model, start, and the set of instrumentations whose record of it has been found; None: of none."""

_open: dict[_Identity, _Exchange] = {}
_NOBODY: frozenset[str] = frozenset()


def exchange_begins(model: str | None, start_ns: int, identity: _Identity) -> None:
    """An exchange is under way, which that span will tell, or one below it."""
    if model:
        _open[identity] = [model, start_ns, None]
        if len(_open) > MAX_OPEN:
            _open.pop(next(iter(_open)), None)


def exchange_ends(trace_id: int, span_id: int) -> Set[str]:
    """It is told, by a span that has ended. Returns the instrumentations that recorded it, too."""
    exchange = _open.pop((trace_id, span_id), None)
    return exchange[2] or _NOBODY if exchange is not None else _NOBODY


def exchange_is_over(identity: _Identity) -> None:
    """Nothing more will tell it."""
    _open.pop(identity, None)


_Said = tuple[str, int, int, tuple[object, ...]]
"""Scope, start, end, and the values of `_CONVENTIONAL` or `_OWN`."""


class Seen(NamedTuple):
    """What of a call is compared. -1: not said."""

    scope: str
    start_ns: int
    end_ns: int
    response_id: str | None
    models: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


class _Counted:
    """A call that was counted. What one of our spans says is looked at when there is another instrumentation's span to
    compare with: in most processes, never."""

    __slots__ = ("_call", "scopes")

    def __init__(self, call: Seen | _Said, scopes: tuple[str, ...]) -> None:
        self._call = call
        self.scopes = scopes  # it takes one record of each instrumentation

    @property
    def seen(self) -> Seen:
        call = self._call
        if not isinstance(call, Seen):
            call = self._call = _seen(*call)
        return call


class Twins:
    """The calls that ended last, those read on the wire and those of others apart. Needs no lock."""

    def __init__(self) -> None:
        self._wire: deque[_Counted] = deque(maxlen=MAX_REMEMBERED)
        self._others: deque[_Counted] = deque(maxlen=MAX_REMEMBERED)

    def wire_is_counted(
        self, attributes: Mapping[str, object], scope: str, start_ns: int, end_ns: int | None, scopes: Set[str]
    ) -> bool:
        """Whether a call that we read on the wire has been counted as another's span; else it is remembered, with the
        instrumentations whose record of it has been found already."""
        names = _OWN if _WIRE in attributes else _CONVENTIONAL
        said = (scope, start_ns, end_ns or start_ns, tuple(map(attributes.get, names)))
        if self._others and _is_known(_seen(*said), self._others):
            return True
        self._wire.append(_Counted(said, (scope, *scopes) if scopes else (scope,)))
        return False

    def other_is_counted(self, seen: Seen) -> bool:
        """Whether another's span is a record of what we read, or are reading, on the wire."""
        return _is_known(seen, self._wire) or _is_under_way(seen)

    def remember(self, seen: Seen) -> None:
        """Another's span is counted."""
        self._others.append(_Counted(seen, (seen.scope,)))


def _seen(scope: str, start_ns: int, end_ns: int, said: tuple[object, ...]) -> Seen:
    """Of one of our spans: the attributes are ours, so they are read as they are."""
    response_id, asked, answered, *units = said
    entered, left, read, written, thought = [count if type(count) is int else -1 for count in units]
    models = tuple(model for model in (asked, answered) if isinstance(model, str))
    own_id = response_id if isinstance(response_id, str) else None
    cached = (read if read > 0 else 0) + (written if written > 0 else 0)
    thought = thought if thought > 0 else 0
    return Seen(scope, start_ns, end_ns, own_id, models, entered, left, cached, thought)


def seen_elsewhere(call: Call, scope: str, start_ns: int, end_ns: int | None) -> Seen:
    """Of another instrumentation's span."""
    usage = call.usage
    return Seen(
        scope,
        start_ns,
        end_ns or start_ns,
        call.response_id,
        tuple(model for model in (call.request_model, call.response_model) if model),
        usage.get("input_tokens", -1),
        usage.get("output_tokens", -1),
        usage.get("cache_read_tokens", 0) + usage.get("cache_write_tokens", 0),
        usage.get("output_reasoning_tokens", 0),
    )


_OWN = (
    *(keys.OTEL_COST_RESPONSE_ID, keys.OTEL_COST_REQUEST_MODEL, keys.OTEL_COST_RESPONSE_MODEL),
    *(
        keys.OTEL_COST_USAGE_PREFIX + unit
        for unit in (
            *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens"),
        )
    ),
)
_WIRE = keys.OTEL_COST_WIRE
_CONVENTIONAL = (
    *(keys.GEN_AI_RESPONSE_ID, keys.GEN_AI_REQUEST_MODEL, keys.GEN_AI_RESPONSE_MODEL),
    *(keys.GEN_AI_USAGE_INPUT_TOKENS, keys.GEN_AI_USAGE_OUTPUT_TOKENS, keys.GEN_AI_USAGE_CACHE_READ),
    *(keys.GEN_AI_USAGE_CACHE_WRITE, keys.GEN_AI_USAGE_REASONING),
)
"""Id, models and counts as our spans say them, and as we say them on those of others."""


def _is_known(seen: Seen, counted: deque[_Counted]) -> bool:
    """Whether it is a record of one of the counted calls; the last ones are looked at first."""
    for call in reversed(tuple(counted)) if counted else ():
        if seen.scope not in call.scopes and _same(seen, call.seen):
            call.scopes += (seen.scope,)
            return True
    return False


def _is_under_way(seen: Seen) -> bool:
    """Whether an exchange began inside the span that is not told yet, as where a stream is left early."""
    for exchange in tuple(_open.values()):
        model, start_ns, scopes = exchange
        begins_inside = 0 <= start_ns - seen.start_ns <= MAX_START_DIFFERENCE_NS
        if begins_inside and seen.scope not in (scopes or ()) and _alike((model,), seen.models):
            exchange[2] = {seen.scope, *(scopes or ())}
            return True
    return False


def _same(one: Seen, other: Seen) -> bool:
    overlap = min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns)
    if one.response_id and other.response_id:
        is_same = one.response_id == other.response_id and len(one.response_id) >= MIN_ID_CHARACTERS
        return is_same and -overlap <= MAX_GAP_NS
    if overlap < 0 or abs(one.start_ns - other.start_ns) > MAX_START_DIFFERENCE_NS:
        return False
    shorter = min(one.end_ns - one.start_ns, other.end_ns - other.start_ns)
    lie_together = overlap >= min(MIN_OVERLAP * shorter, max(shorter - MAX_DELAY_NS, 1))
    return lie_together and _same_tokens(one, other) and _alike(one.models, other.models)


def _same_tokens(one: Seen, other: Seen) -> bool:
    same_input = one.input_tokens in _inputs(other, one) or other.input_tokens in _inputs(one, other)
    pairs = ((mine, yours) for mine in _outputs(one, other) for yours in _outputs(other, one))
    same_output = any(abs(mine - yours) <= OUTPUT_TOLERANCE_TOKENS for mine, yours in pairs)
    return one.input_tokens > 0 and same_input and same_output


def _inputs(one: Seen, other: Seen) -> tuple[int, ...]:
    """Its input; also without cached tokens, if the other knows nothing of the cache."""
    return (one.input_tokens,) if other.cached_tokens else (one.input_tokens, one.input_tokens - one.cached_tokens)


def _outputs(one: Seen, other: Seen) -> tuple[int, ...]:
    """Its output; also without reasoning, if the other knows nothing of that."""
    output = max(one.output_tokens, 0)
    return (output,) if other.reasoning_tokens else (output, output - one.reasoning_tokens)


def _alike(models: Sequence[str], others: Sequence[str]) -> bool:
    pairs = ((a.rsplit("/", 1)[-1], b.rsplit("/", 1)[-1]) for a in models for b in others)
    return any(a.startswith(b) or b.startswith(a) for a, b in pairs)
