"""Columns of counted calls -> sums by label values, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.exposition import Exemplar
from collector.metering.table import CALL_COST, LABELS, QUANTITIES
from collector.store.rows import one_chunk, pico_usd
from otel_cost.pricing.money import format_usd

Labels = tuple[str, ...]
"""A value of each label, in the order of the labels; empty where the call says none."""

_TOKENS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
}
_SAID = ("trace_id", "span_id", "cost_usd", "cost_status", "attempt", "wasted", "failed", *_TOKENS.values())
_WIDE = pa.decimal128(38, 0)
_PICO = 10**12
_BOUNDS_PICO_USD = np.array([round(bound * _PICO) for bound in CALL_COST.buckets], np.int64)
_EXEMPLARS = 16
"""The dearest calls of a batch give their series its example."""
MAX_LABEL_CHARACTERS = 128
"""Of a label's value. Longer ones are cut: names that apps make up, which a graph cannot show either."""


class Group(NamedTuple):
    """Counted calls with the same label values: a number for each of `QUANTITIES`."""

    labels: Labels
    amounts: Sequence[int]


class Bucket(NamedTuple):
    """Priced calls of one provider whose cost falls into one bucket of `CALL_COST`."""

    provider: str
    place: int
    calls: int
    cost_pico_usd: int
    example: Exemplar


def columns_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Columns of a row of calls that are read here."""
    return tuple(dict.fromkeys(["counted", "provider", *(LABELS[label] for label in labels), *_SAID]))


def groups(calls: pa.Table, labels: Sequence[str]) -> list[Group]:
    """The sums of calls, all of them counted (`columns_of`), by their label values."""
    columns = {f"label{place}": _texts(calls, LABELS[label]) for place, label in enumerate(labels)}
    keys = list(columns)
    columns.update(_amounts(calls))
    wanted = [(quantity.name, "sum") for quantity in QUANTITIES]
    found = pa.table(columns).group_by(keys, use_threads=False).aggregate(wanted)
    values = [_cut(found.column(key)) for key in keys]
    amounts = [[int(value or 0) for value in found.column(f"{name}_sum").to_pylist()] for name, _ in wanted]
    return [
        Group(key, amount) for key, amount in zip(zip(*values, strict=True), zip(*amounts, strict=True), strict=True)
    ]


def buckets(calls: pa.Table, at_seconds: float) -> Iterator[Bucket]:
    """The priced ones among new calls, by provider and size. `at_seconds`: when they were counted, Unix time."""
    priced = calls.filter(pc.is_valid(calls.column("cost_usd")))
    if not priced.num_rows:
        return
    cost = pico_usd(priced.column("cost_usd"))
    table = pa.table(
        {
            "provider": _texts(priced, "provider"),
            "place": pa.array(np.searchsorted(_BOUNDS_PICO_USD, cost.to_numpy(), side="left")),
            "cost": cost.cast(_WIDE),
            "pico": cost,
            **{name: priced.column(name) for name in ("trace_id", "span_id")},
        }
    )
    firsts = [("trace_id", "first"), ("span_id", "first"), ("pico", "first")]
    found = table.group_by(["provider", "place"], use_threads=False).aggregate(
        [("cost", "count"), ("cost", "sum"), *firsts]
    )
    names = ["place", "cost_count", "cost_sum", *(f"{name}_first" for name, _ in firsts)]
    rows = zip(_cut(found.column("provider")), *(found.column(name).to_pylist() for name in names), strict=True)
    for provider, place, count, total, trace_id, span_id, first in rows:
        example = Exemplar(trace_id, span_id, format_usd(int(first)), at_seconds)
        yield Bucket(provider, place, count, int(total), example)


def examples(calls: pa.Table, labels: Sequence[str], at_seconds: float) -> Iterator[tuple[Labels, Exemplar]]:
    """The dearest of some calls, the dearest last."""
    if not calls.num_rows:
        return
    cost = pc.fill_null(pico_usd(calls.column("cost_usd")), 0)
    rows = pc.select_k_unstable(pa.table({"cost": cost}), min(_EXEMPLARS, calls.num_rows), [("cost", "descending")])
    dearest = calls.take(rows)
    values = zip(*(_cut(_texts(dearest, LABELS[label])) for label in labels), strict=True)
    ids = [dearest.column(name).to_pylist() for name in ("trace_id", "span_id")]
    found = list(zip(values, cost.take(rows).to_pylist(), *ids, strict=True))
    for key, pico, trace_id, span_id in reversed(found):
        yield key, Exemplar(trace_id, span_id, format_usd(pico), at_seconds)


def _amounts(calls: pa.Table) -> dict[str, pa.Array]:
    known = pico_usd(calls.column("cost_usd"))
    is_known = pc.is_valid(known)
    cost = pc.fill_null(known, 0).cast(_WIDE)
    none = pa.scalar(0, _WIDE)
    status = _texts(calls, "cost_status")
    is_retry = pc.greater(pc.fill_null(one_chunk(calls.column("attempt")), 1), 1)
    flags = {name: pc.fill_null(one_chunk(calls.column(name)), False) for name in ("wasted", "failed")}
    return {
        "cost": cost,
        "retry_cost": pc.if_else(is_retry, cost, none),
        "wasted_cost": pc.if_else(flags["wasted"], cost, none),
        "estimated_cost": pc.if_else(_is(status, "estimated"), cost, none),
        "calls": pa.array(np.ones(calls.num_rows, np.int64)),
        "unpriced_calls": pc.invert(is_known).cast(pa.int64()),
        "partial_calls": pc.and_(is_known, _is(status, "partial")).cast(pa.int64()),
        "failed_calls": flags["failed"].cast(pa.int64()),
        "retries": is_retry.cast(pa.int64()),
        **{name: _tokens(calls.column(column)) for name, column in _TOKENS.items()},
    }


def _tokens(column: pa.ChunkedArray) -> pa.Array:
    """Wide enough that no sum overflows, where a span says something absurd."""
    whole = pc.fill_null(one_chunk(column), 0)
    most = pc.max(whole).as_py() or 0
    return whole.cast(_WIDE) if most > 2**62 // max(1, len(whole)) else whole


def _texts(calls: pa.Table, name: str) -> pa.Array:
    """Dictionary-encoded."""
    column = one_chunk(calls.column(name))
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _is(texts: pa.Array, value: str) -> pa.Array:
    return pc.fill_null(pc.equal(texts.cast(pa.string()), value), False)


def _cut(column: Any) -> list[str]:
    return [(value or "")[:MAX_LABEL_CHARACTERS] for value in column.to_pylist()]
