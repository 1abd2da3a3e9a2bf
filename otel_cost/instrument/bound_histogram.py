"""Histograms that know their sets of attributes: what the SDK makes of a set is made once, not with each value.

For every value the SDK checks all attributes, copies them, and sorts and hashes them: four fifths of what recording one
takes. Its specification has instruments that are bound to attributes for that; opentelemetry-sdk 1.45 has none yet, so
this reaches past its API, into `Histogram`, `MetricReaderStorage` and `_ViewInstrumentMatch`. Views, readers, exemplars
and temporalities are the SDK's own and work as ever. An SDK that is built otherwise gets its values through its API.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from otel_cost.instrument.guard import STATS

MAX_BOUND = 2_000
"""Sets of attributes that are kept bound, as many as the SDK keeps; beyond it they are bound anew."""

Value = tuple[float, Context]
"""What was measured, and where: exemplars are of the span of that context."""

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


class BoundHistogram:
    """Records values under sets of attributes that recur."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram: Any = histogram
        self._consumer: Any = getattr(histogram, "_measurement_consumer", None)
        self._is_known = self._consumer is not None
        self._readers: Any = None  # those that sets are bound for
        self._bound: dict[Hashable, _Bound] = {}

    def record(self, values: Iterable[Value], name: Hashable, attributes: Mapping[str, str]) -> None:
        """Some values; those below 0 (a clock was set back) are left out.

        `name` stands for their attributes: the same name, the same attributes.
        """
        values = [value for value in values if value[0] >= 0]
        bound = self._bound_to(name, attributes) if values else []
        if bound is None:
            for value, context in values:
                self._histogram.record(value, attributes, context)
            return
        asks = self._consumer._sdk_config.exemplar_filter.should_sample
        measured = [_Measured(value, self._histogram, context, attributes) for value, context in values]
        sampled = [asks(one.value, one.time_unix_nano, attributes, one.context) for one in measured]
        for lock, find, key, kept in bound:
            with lock:  # a reader of deltas takes all aggregations away when it collects
                aggregate = find(key, kept).aggregate
                for one, is_sample in zip(measured, sampled, strict=True):
                    aggregate(one, is_sample)

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
