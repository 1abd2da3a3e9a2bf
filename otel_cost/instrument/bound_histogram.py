"""Histograms that know their sets of attributes: what the SDK makes of a set is made once, not with each value.

For every value the SDK checks all attributes, copies them, and sorts and hashes them: four fifths of what recording one
takes. Its specification has instruments that are bound to attributes for that; opentelemetry-sdk 1.45 has none yet, so
this reaches past its API, into `Histogram`, `MetricReaderStorage`, `_ViewInstrumentMatch` and, where nothing is an
exemplar, the aggregation with explicit buckets. Views, readers, exemplars and temporalities are the SDK's own and work
as ever. An SDK that is built otherwise gets its values through its API.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from itertools import repeat
from time import time_ns
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from otel_cost.instrument.guard import STATS

MAX_BOUND = 2_000
"""Sets of attributes that are kept bound, as many as the SDK keeps; beyond it they are bound anew."""

_Bound = list[tuple[Any, Callable[..., Any], Any, Mapping[str, str]]]
"""For each view and reader: the lock and the finder of its aggregations, the SDK's key of the attributes that it keeps,
and those."""


class _Measured:
    """What the SDK's `Measurement` holds, without the check of attributes that were checked when they were bound."""

    __slots__ = ("attributes", "context", "instrument", "time_unix_nano", "value")

    def __init__(self, value: float, instrument: Any, context: Context, attributes: Mapping[str, str]) -> None:
        self.value = value
        self.time_unix_nano = time_ns()
        self.instrument = instrument
        self.context = context
        self.attributes = attributes


class _Sdk(NamedTuple):
    """Classes of the SDK whose ways are known here."""

    filter_by_span: Any  # what is measured within a sampled span is an exemplar
    buckets: Any  # the aggregation with explicit buckets


@cache
def _sdk() -> _Sdk:
    from opentelemetry.sdk.metrics import TraceBasedExemplarFilter
    from opentelemetry.sdk.metrics._internal import aggregation

    return _Sdk(TraceBasedExemplarFilter, getattr(aggregation, "_ExplicitBucketHistogramAggregation", None))


_FIELDS = {"_lock", "_value", "_sum", "_min", "_max", "_boundaries", "_record_min_max"}


def _add(aggregation: Any, values: Sequence[float]) -> None:
    """`aggregate` for several values at once, which are no exemplars."""
    with aggregation._lock:
        counts = aggregation._value
        if counts is None:
            counts = aggregation._value = [0] * (len(aggregation._boundaries) + 1)
        buckets = list(map(bisect_left, repeat(aggregation._boundaries), values))
        for bucket in set(buckets):
            counts[bucket] += buckets.count(bucket)
        aggregation._sum = sum(values, aggregation._sum)
        if aggregation._record_min_max:
            aggregation._min = min(aggregation._min, *values)
            aggregation._max = max(aggregation._max, *values)


def _never(*_: object) -> bool:
    return False


class BoundHistogram:
    """Records values under sets of attributes that recur."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram: Any = histogram
        self._consumer: Any = getattr(histogram, "_measurement_consumer", None)
        self._is_known = self._consumer is not None
        self._readers: Any = None  # those that sets are bound for
        self._bound: dict[Hashable, _Bound] = {}

    def record(
        self,
        values: Sequence[float],
        contexts: Sequence[Context],
        name: Hashable,
        attributes: Mapping[str, str],
    ) -> None:
        """Some values, each with the context of the span that it is an exemplar of, if it is one.

        `name` stands for their attributes: the same name, the same attributes. Values below 0 (a clock was set back)
        are left out.
        """
        if not values:
            return
        if min(values) < 0:
            pairs = [pair for pair in zip(values, contexts, strict=True) if pair[0] >= 0]
            self.record([value for value, _ in pairs], [context for _, context in pairs], name, attributes)
            return
        bound = self._bound_to(name, attributes)
        if bound is None:
            for value, context in zip(values, contexts, strict=True):
                self._histogram.record(value, attributes, context)
            return
        if not bound:
            return
        exemplars = self._consumer._sdk_config.exemplar_filter
        if type(exemplars) is _sdk().filter_by_span and not any(contexts):
            measured = None  # a context with nothing in it has no span: none is an exemplar
        else:
            measured = self._measured(values, contexts, attributes, exemplars.should_sample)
        for lock, find, key, kept in bound:
            with lock:  # a reader of deltas takes all aggregations away when it collects
                aggregation = find(key, kept)
                if measured is None and type(aggregation) is _sdk().buckets and vars(aggregation).keys() >= _FIELDS:
                    _add(aggregation, values)
                    continue
                for one, is_sample in measured or self._measured(values, contexts, attributes, _never):
                    aggregation.aggregate(one, is_sample)

    def _measured(
        self,
        values: Sequence[float],
        contexts: Sequence[Context],
        attributes: Mapping[str, str],
        asks: Callable[..., bool],
    ) -> list[tuple[_Measured, bool]]:
        """What the SDK takes of each value, and whether it is an exemplar."""
        pairs = zip(values, contexts, strict=True)
        measured = [_Measured(value, self._histogram, context, attributes) for value, context in pairs]
        return [(one, asks(one.value, one.time_unix_nano, attributes, one.context)) for one in measured]

    def _bound_to(self, name: Hashable, attributes: Mapping[str, str]) -> _Bound | None:
        """Where values of this name go; None: only the API knows."""
        if not self._is_known:
            return None
        try:
            if not self._histogram._is_enabled():
                return []
            readers = self._consumer._reader_storages
            if readers is not self._readers or len(self._bound) >= MAX_BOUND:
                self._bound, self._readers = {}, readers
            bound = self._bound.get(name)
            if bound is None:
                bound = self._bound[name] = self._bind(attributes)
        except Exception as error:
            self._is_known = False
            STATS.failed("metrics.bound", error)
            return None
        return bound

    def _bind(self, attributes: Mapping[str, str]) -> _Bound:
        from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes

        bound: _Bound = []
        for storage in self._readers.values():
            for match in storage._get_or_init_view_instrument_match(self._histogram):
                wanted = match._view._attribute_keys
                kept = {key: value for key, value in attributes.items() if wanted is None or key in wanted}
                bound.append((match._lock, match._get_or_create_aggregation, _hash_attributes(kept), kept))
        return bound
