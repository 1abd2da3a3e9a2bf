"""Columns of counted calls -> sums by label values, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.exposition import Exemplar
from collector.metering.table import CALL_COST, LABELS, QUANTITIES
from collector.store.rows import one_chunk, pico_usd
from otel_cost.pricing.money import format_usd

Labels = tuple[str, ...]
"""A value of each label, in the order of the labels; empty where the call says none."""

Amounts = npt.NDArray[Any]
"""Whole numbers: int64, or Python's own (dtype object) where sums may exceed it."""

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


class Groups(NamedTuple):
    """Counted calls by their label values."""

    labels: Sequence[Labels]
    amounts: Amounts  # a row for each of `labels`, a column for each of `QUANTITIES`


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


def groups(calls: pa.Table, labels: Sequence[str]) -> Groups:
    """The sums of calls, all of them counted (`columns_of`), by their label values."""
    amounts = _amounts(calls)
    names = [quantity.name for quantity in QUANTITIES]
    keys = {f"label{place}": _texts(calls, LABELS[label]) for place, label in enumerate(labels)}
    table = pa.table({**keys, **{name: amounts[name] for name in names if name in amounts}})
    summed = [name for name in names if name in amounts]
    found = table.group_by(list(keys), use_threads=False).aggregate([(name, "sum") for name in summed])
    zeros = np.zeros(found.num_rows, np.int64)
    columns = [_numbers(found.column(f"{name}_sum")) if name in amounts else zeros for name in names]
    return Groups(list(zip(*(_cut(found.column(key)) for key in keys), strict=True)), np.column_stack(columns))


def buckets(calls: pa.Table, at_seconds: float) -> Iterator[Bucket]:
    """The priced ones among new calls, by provider and size. `at_seconds`: when they were counted, Unix time."""
    priced = calls.select(["provider", "cost_usd", "trace_id", "span_id"])
    if priced.column("cost_usd").null_count:
        priced = priced.filter(pc.is_valid(priced.column("cost_usd")))
    if not priced.num_rows:
        return
    cost = pico_usd(priced.column("cost_usd"))
    table = pa.table(
        {
            "provider": _texts(priced, "provider"),
            "place": pa.array(np.searchsorted(_BOUNDS_PICO_USD, cost.to_numpy(), side="left")),
            "cost": cost.cast(_WIDE),
            "row": pa.array(np.arange(priced.num_rows)),
        }
    )
    wanted = [("cost", "count"), ("cost", "sum"), ("row", "min")]
    found = table.group_by(["provider", "place"], use_threads=False).aggregate(wanted)
    firsts = found.column("row_min").combine_chunks()
    ids = priced.select(["trace_id", "span_id"]).take(firsts)
    columns = [found.column(name).to_pylist() for name in ("place", "cost_count", "cost_sum")]
    of_first = [cost.take(firsts).to_pylist(), *(column.to_pylist() for column in ids.columns)]
    rows = zip(_cut(found.column("provider")), *columns, *of_first, strict=True)
    for provider, place, count, total, first, trace_id, span_id in rows:
        example = Exemplar(trace_id, span_id, format_usd(first), at_seconds)
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
    """A column for each of `QUANTITIES`, without those that are nothing but 0."""
    known = pico_usd(calls.column("cost_usd"))
    is_known, cost = pc.is_valid(known), pc.fill_null(known, 0)
    status = _texts(calls, "cost_status")
    wasted, failed = (pc.fill_null(one_chunk(calls.column(name)), False) for name in ("wasted", "failed"))
    marks = {
        "retries": pc.greater(pc.fill_null(one_chunk(calls.column("attempt")), 1), 1),
        "failed_calls": failed,
        "unpriced_calls": pc.invert(is_known),
        "partial_calls": pc.and_(is_known, _is(status, "partial")),
    }
    money = {"retry_cost": marks["retries"], "wasted_cost": wasted, "estimated_cost": _is(status, "estimated")}
    return {
        "calls": pa.array(np.ones(calls.num_rows, np.int64)),
        "cost": _summable(cost),
        **{name: _summable(pc.if_else(mark, cost, 0)) for name, mark in money.items() if pc.any(mark).as_py()},
        **{name: mark.cast(pa.int64()) for name, mark in marks.items() if pc.any(mark).as_py()},
        **{
            name: _summable(pc.fill_null(one_chunk(calls.column(column)), 0))
            for name, column in _TOKENS.items()
            if calls.column(column).null_count < calls.num_rows
        },
    }


def _summable(whole: pa.Array) -> pa.Array:
    """Wide where a sum may not fit 64 bits: of very dear calls, or of tokens of which a span says something absurd."""
    ends = pc.min_max(whole).as_py()
    most = max(abs(ends["min"] or 0), abs(ends["max"] or 0))
    return whole.cast(_WIDE) if most > 2**62 // max(1, len(whole)) else whole


def _numbers(sums: pa.ChunkedArray) -> Amounts:
    if pa.types.is_decimal(sums.type):
        return np.array([int(each) for each in sums.to_pylist()], object)
    found: Amounts = sums.to_numpy()
    return found


def _texts(calls: pa.Table, name: str) -> pa.Array:
    """Dictionary-encoded."""
    column = one_chunk(calls.column(name))
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _is(texts: pa.Array, value: str) -> pa.Array:
    return pc.fill_null(pc.equal(texts.cast(pa.string()), value), False)


def _cut(column: Any) -> list[str]:
    """Texts, dictionary-encoded or not, each distinct one looked at once."""
    whole = one_chunk(column) if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    texts = [(value or "")[:MAX_LABEL_CHARACTERS] for value in whole.dictionary.to_pylist()]
    codes = pc.fill_null(whole.indices, -1).to_numpy(zero_copy_only=False)
    return list(map([*texts, ""].__getitem__, codes.tolist()))
