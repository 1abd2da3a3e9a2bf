"""GenAI client metrics of the conventions: durations, time to the first chunk, and tokens, also of unsampled calls.

Source: open-telemetry/semantic-conventions-genai, client-inference, client-embeddings and token metrics (October 2026).
The names that older packages write (`gen_ai.client.operation.duration`, `gen_ai.client.token.usage`) are not used, so
that nothing doubles beside them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import repeat, starmap
from operator import add, itemgetter, methodcaller
from typing import NamedTuple, TypeVar, cast

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from otel_cost import __version__
from otel_cost import attributes as keys
from otel_cost.instrument.bound_histogram import BoundHistogram
from otel_cost.instrument.guard import STATS
from otel_cost.pricing import units

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)

SCOPE = "otel_cost.instrument"
EMBEDDINGS = "embeddings"
UNKNOWN, TEXT = "unknown", "text"

SECONDS_BOUNDARIES = [0.01 * 2**step for step in range(14)]
TOKENS_BOUNDARIES: list[float] = [4**step for step in range(14)]
"""Buckets as the conventions advise them: 10 ms to 82 s, 1 to 67 million tokens."""

_MODALITIES = ("audio", "image")
"""Those that the conventions name beside text."""
_KEYS = {
    (direction, modality): units.token_key(direction, modality, units.PLAIN)
    for direction in ("input", "output")
    for modality in _MODALITIES
}
_DIRECTIONS = {units.INPUT: "input", units.OUTPUT: "output"}

_COUNTERS = {
    units.INPUT: (keys.GEN_AI_CLIENT_INFERENCE_USAGE_INPUT_TOKENS, "Input tokens used, cached ones included."),
    units.OUTPUT: (keys.GEN_AI_CLIENT_INFERENCE_USAGE_OUTPUT_TOKENS, "Output tokens used, reasoning included."),
    units.CACHE_READ: (
        keys.GEN_AI_CLIENT_INFERENCE_USAGE_CACHE_READ,
        "Input tokens read from the provider's cache.",
    ),
    units.CACHE_WRITE: (
        keys.GEN_AI_CLIENT_INFERENCE_USAGE_CACHE_WRITE,
        "Input tokens written to the provider's cache.",
    ),
    units.REASONING: (keys.GEN_AI_CLIENT_INFERENCE_USAGE_REASONING, "Output tokens used for reasoning."),
}
"""Unit -> its counter, and what that counts."""

MAX_WAITING = 64
"""Calls that wait to be recorded together: one after the other, they cost a third of what each costs between two system
calls. More would hold up the call that records them (4 us for each), fewer would save nothing."""

MAX_SERIES = 2_000
"""Sums of one counter that are kept, as many as the SDK keeps; a model that comes after is left out, and counted."""
_Series = tuple[str | None, ...]
"""Values of `_SERIES_KEYS`; None or nothing at the end: not said."""
_SERIES_KEYS = (
    *(keys.GEN_AI_OPERATION_NAME, keys.GEN_AI_PROVIDER_NAME, keys.GEN_AI_REQUEST_MODEL, keys.GEN_AI_RESPONSE_MODEL),
    *(keys.SERVER_ADDRESS, keys.GEN_AI_TOKEN_MODALITY, keys.ERROR_TYPE),
)


@lru_cache(maxsize=MAX_SERIES)
def _attributes(series: _Series) -> dict[str, str]:
    return {key: value for key, value in zip(_SERIES_KEYS, series, strict=False) if value}


class _Totals:
    """The counters, added up here and read when metrics are collected: a tenth of what the SDK's own cost.

    Calls that say the same units are added up unit by unit; what is of which modality is found in their sums.
    """

    def __init__(self, meter: Meter, before: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[_Series, tuple[str, ...]], list[int]] = {}  # by series and units
        self._before = before
        for unit, (name, what) in _COUNTERS.items():
            meter.create_observable_counter(name, [partial(self._observe, unit)], "{token}", what)

    def add(self, series: _Series, told: tuple[str, ...], counts: Sequence[int]) -> None:
        """What some calls used of the units that they told."""
        key = series, told
        with self._lock:
            sums = self._sums.get(key)
            if sums is not None:
                self._sums[key] = list(map(add, sums, counts))
                return
            if len(self._sums) < MAX_SERIES:
                self._sums[key] = list(counts)
                return
        STATS.count("metrics.series_left_out")

    def forget(self) -> None:
        """In a forked child: the sums are the parent's."""
        self._lock = threading.Lock()
        self._sums = {}

    def _observe(self, unit: str, _: CallbackOptions) -> list[Observation]:
        self._before()
        with self._lock:
            sums = list(self._sums.items())
        totals: dict[_Series, int] = {}
        for (series, told), values in sums:
            if unit in told:
                for modality, tokens in _split(unit, dict(zip(told, values, strict=True))):
                    of_modality = (*series, modality)
                    totals[of_modality] = totals.get(of_modality, 0) + tokens
        return [Observation(total, _attributes(series)) for series, total in totals.items() if total]


def _split(unit: str, counts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """What of a unit is of which modality; cached and reasoning tokens are not told by modality."""
    direction = _DIRECTIONS.get(unit)
    return ((UNKNOWN, counts[unit]),) if direction is None else by_modality(counts, counts[unit], direction)


class _Instruments(NamedTuple):
    duration: BoundHistogram
    first_chunk: BoundHistogram
    input_tokens: BoundHistogram
    output_tokens: BoundHistogram
    totals: _Totals
    embeddings_duration: BoundHistogram
    embeddings_input_tokens: BoundHistogram


_Ended = tuple[_Series, str | None, float, float | None, Mapping[str, int], Context]
"""A call that waits to be recorded, as `Metrics.record` is told of it: nothing in it is large."""

_Name = tuple[_Series, str | None]
_named: Callable[[_Ended], _Name] = itemgetter(0, 1)
_values: Callable[[Mapping[str, int]], Iterable[int]] = methodcaller("values")
_entered: Callable[[Mapping[str, int]], int | None] = methodcaller("get", units.INPUT)
_left: Callable[[Mapping[str, int]], int | None] = methodcaller("get", units.OUTPUT)
"""These are mapped over many calls at once: to run Python for each takes ten times as long."""


class Metrics:
    """The instruments, made at the first call, when the app has set its meter provider or will never have one.

    Calls are recorded some at a time: when `MAX_WAITING` have ended, and before a reader collects.
    """

    def __init__(self) -> None:
        self._instruments: _Instruments | None = None
        self._waiting: deque[_Ended] = deque()

    def forget(self) -> None:
        """In a forked child: what was added up is the parent's."""
        self._waiting.clear()
        if self._instruments is not None:
            self._instruments.totals.forget()

    def record(
        self,
        series: tuple[str, str, str | None, str | None, str | None],
        error_type: str | None,
        duration_seconds: float,
        first_chunk_seconds: float | None,
        usage: Mapping[str, int],
        context: Context,
    ) -> None:
        """One call that has ended.

        Args:
            series: operation, provider, the models that were asked for and that answered, and the server's address.
            usage: what is billed, inclusive, in our units. The conventions want billable counts where a provider
                reports both.
            context: in which it was made, for exemplars.
        """
        if self._instruments is None:
            self._instruments = _make(metrics.get_meter(SCOPE, __version__), self.flush)
        waiting = self._waiting
        waiting.append((series, error_type, duration_seconds, first_chunk_seconds, usage, context))
        if len(waiting) >= MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Record the calls that wait. Of many threads, each takes others."""
        waiting, made = self._waiting, self._instruments
        if made is None:
            return
        calls: list[_Ended] = []
        with suppress(IndexError):  # another thread was faster; those that were taken are in the list
            calls.extend(starmap(waiting.popleft, repeat((), len(waiting))))
        for (series, error_type), group in _grouped(calls, list(map(_named, calls))).items():
            try:
                _record(made, series, error_type, group)
            except Exception as error:
                STATS.failed("metrics", error)


def _grouped(rows: Sequence[_T], names: Sequence[_K]) -> Mapping[_K, Sequence[_T]]:
    """The rows of each name; mostly they have one."""
    if len(set(names)) == 1:
        return {names[0]: rows}
    groups: dict[_K, list[_T]] = {}
    for name, row in zip(names, rows, strict=True):
        groups.setdefault(name, []).append(row)
    return groups


def _record(made: _Instruments, series: _Series, error_type: str | None, calls: Sequence[_Ended]) -> None:
    """Calls that have everything in common but their numbers."""
    attributes = _attributes(series)
    is_embedding = series[0] == EMBEDDINGS
    duration = made.embeddings_duration if is_embedding else made.duration
    failed = (*series, None, error_type) if error_type else series
    _, _, durations, first_chunks, counts, contexts = zip(*calls, strict=True)
    duration.record(durations, contexts, failed, _attributes(failed))
    entered = made.embeddings_input_tokens if is_embedding else made.input_tokens
    _record_said(entered, list(map(_entered, counts)), contexts, series, attributes)
    if is_embedding:
        return
    _record_said(made.first_chunk, first_chunks, contexts, series, attributes)
    _record_said(made.output_tokens, list(map(_left, counts)), contexts, series, attributes)
    for told, rows in _grouped(counts, list(map(tuple, counts))).items():
        if told:
            made.totals.add(series, told, list(map(sum, zip(*map(_values, rows), strict=True))))


def _record_said(
    histogram: BoundHistogram,
    values: Sequence[float | None],
    contexts: Sequence[Context],
    series: _Series,
    attributes: Mapping[str, str],
) -> None:
    """Those values that a call says."""
    unsaid = values.count(None)
    if unsaid == len(values):
        return
    if unsaid:
        contexts = [context for value, context in zip(values, contexts, strict=True) if value is not None]
    said = [value for value in values if value is not None] if unsaid else cast(Sequence[float], values)
    histogram.record(said, contexts, series, attributes)


def by_modality(counts: Mapping[str, int], whole: int, direction: str) -> Iterable[tuple[str, int]]:
    """The whole as (modality, tokens); what no modality is said of is text where another one is, else unknown."""
    said = {modality: counts.get(_KEYS[direction, modality]) for modality in _MODALITIES}
    rest = whole
    for modality, tokens in said.items():
        if tokens:
            rest -= tokens
            yield modality, tokens
    if rest > 0:
        is_split = any(tokens is not None for tokens in said.values())
        yield (TEXT if is_split else UNKNOWN), rest


def _make(meter: Meter, before: Callable[[], None]) -> _Instruments:
    def seconds(name: str, what: str) -> BoundHistogram:
        made = meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=SECONDS_BOUNDARIES)
        return BoundHistogram(made)

    def tokens(name: str, what: str) -> BoundHistogram:
        made = meter.create_histogram(name, "{token}", what, explicit_bucket_boundaries_advisory=TOKENS_BOUNDARIES)
        return BoundHistogram(made)

    return _Instruments(
        seconds(keys.GEN_AI_CLIENT_INFERENCE_DURATION, "Duration of a call to a model."),
        seconds(keys.GEN_AI_CLIENT_INFERENCE_TIME_TO_FIRST_CHUNK, "From the request to the first chunk of a stream."),
        tokens(keys.GEN_AI_CLIENT_INFERENCE_OPERATION_INPUT_TOKENS, "Input tokens of a call, cached ones included."),
        tokens(keys.GEN_AI_CLIENT_INFERENCE_OPERATION_OUTPUT_TOKENS, "Output tokens of a call, reasoning included."),
        _Totals(meter, before),
        seconds(keys.GEN_AI_CLIENT_EMBEDDINGS_DURATION, "Duration of a call for embeddings."),
        tokens(keys.GEN_AI_CLIENT_EMBEDDINGS_OPERATION_INPUT_TOKENS, "Input tokens of a call for embeddings."),
    )
