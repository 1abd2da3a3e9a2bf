"""The skeleton as numpy arrays: strings as integer codes, so that every later step works on whole columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_cost.call import DIMENSIONS, CallKind

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNKNOWN = -1
"""The code of NULL, and the number that stands for a count that a span does not say."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A string column: `codes[row]` indexes `values`, `UNKNOWN` is NULL."""

    codes: Ints
    values: pa.Array

    def text(self, row: int) -> str | None:
        """The string of one row."""
        code = int(self.codes[row])
        return None if code < 0 else str(self.values[code])


def encode(*columns: pa.ChunkedArray) -> list[Coded]:
    """String columns of equal length as codes into one shared dictionary. Empty strings are NULL."""
    plain = [column.cast(pa.string()) for column in columns]
    joined = pa.chunked_array([chunk for column in plain for chunk in column.chunks], pa.string())
    length = len(columns[0])
    if joined.null_count == len(joined):
        nothing = np.full(length, UNKNOWN, np.int64)
        return [Coded(nothing, pa.array([], pa.string()))] * len(columns)
    encoded = pa.concat_arrays(joined.chunks).dictionary_encode()
    codes = pc.fill_null(encoded.indices, UNKNOWN).to_numpy(zero_copy_only=False).astype(np.int64)
    empty = pc.index(encoded.dictionary, "").as_py()
    if empty >= 0:
        codes[codes == empty] = UNKNOWN
    return [Coded(codes[i * length : (i + 1) * length], encoded.dictionary) for i in range(len(columns))]


def pair_codes(one: Ints, other: Ints) -> Ints:
    """A number for each distinct pair of elements, from 0 without gaps."""
    codes = [np.unique(column, return_inverse=True)[1].ravel() for column in (one, other)]
    joined = codes[0] * (len(one) + 1) + codes[1]
    return np.asarray(np.unique(joined, return_inverse=True)[1].ravel(), dtype=np.int64)


def _ints(column: pa.ChunkedArray) -> Ints:
    filled = pc.fill_null(column, UNKNOWN)
    return np.asarray(filled.to_numpy(), dtype=np.int64)


def _bools(column: pa.ChunkedArray) -> Bools:
    return np.asarray(pc.fill_null(column, False).to_numpy(), dtype=np.bool_)


@dataclass(frozen=True)
class Spans:
    """All spans of the affected traces, one array element per span (a "row")."""

    table: pa.Table
    org: Coded
    trace: Ints  # one number per (org, trace id)
    span: Ints  # span ids and parent ids share their codes
    parent: Ints
    leaf: Bools
    aggregate: Bools
    start_ns: Ints
    end_ns: Ints
    input_tokens: Ints
    output_tokens: Ints
    has_usage: Bools
    has_money: Bools  # says usage or a cost: there is something to bill
    failed: Bools
    scope: Coded
    response_id: Coded

    def __len__(self) -> int:
        return len(self.start_ns)

    @cached_property
    def owners(self) -> dict[str, tuple[Coded, Coded]]:
        """Per dimension: what the span says, and what its resource says, in shared codes."""
        column = self.table.column
        pairs = {name: encode(column(name), column(f"resource_{name}")) for name in DIMENSIONS}
        return {name: (own, resource) for name, (own, resource) in pairs.items()}

    @cached_property
    def text(self) -> dict[str, Coded]:
        """Columns that are read only for the few spans that need a closer look."""
        names = ("dialect", "operation", "provider", "model", "request_model", "response_model")
        return {name: encode(self.table.column(name))[0] for name in names}

    def key(self, row: int) -> tuple[int, str, str]:
        """A total order of spans that does not depend on how they arrived: start time, trace id, span id."""
        return int(self.start_ns[row]), str(self.table["trace_id"][row]), str(self.table["span_id"][row])

    def value(self, name: str, row: int) -> int | None:
        """One number of one span."""
        found: int | None = self.table[name][row].as_py()
        return found


def _is(kind: Coded, wanted: CallKind) -> Bools:
    code = pc.index(kind.values, wanted.value).as_py() if len(kind.values) else UNKNOWN
    return kind.codes == code if code >= 0 else np.zeros(len(kind.codes), np.bool_)


def read_skeleton(skeleton: pa.Table) -> Spans:
    """Number the ids and pull the columns that every rule reads. `skeleton` has `SKELETON_SCHEMA`."""
    table = skeleton.combine_chunks()
    org, trace = encode(table["org_id"])[0], encode(table["trace_id"])[0]
    span, parent = encode(table["span_id"], table["parent_span_id"])
    kind = encode(table["call_kind"])[0]
    leaf, aggregate = _is(kind, CallKind.LEAF), _is(kind, CallKind.AGGREGATE)
    has_usage = _bools(table["has_usage"])
    # A failed call without usage costs 0 for certain: only a cost above 0 is money of its own.
    failed = _bools(table["failed"])
    reported = _ints(table["reported_cost_pico_usd"])
    has_reported = _bools(pc.is_valid(table["reported_cost_pico_usd"])) & (~failed | (reported > 0))
    has_cost = (_ints(table["cost_pico_usd"]) > 0) | has_reported
    return Spans(
        table=table,
        org=org,
        trace=org.codes * max(len(trace.values), 1) + trace.codes,
        span=span.codes,
        parent=parent.codes,
        leaf=leaf,
        aggregate=aggregate,
        start_ns=_ints(table["start_time_ns"]),
        end_ns=_ints(table["end_time_ns"]),
        input_tokens=_ints(table["input_tokens"]),
        output_tokens=_ints(table["output_tokens"]),
        has_usage=has_usage,
        has_money=has_usage | has_cost,
        failed=failed,
        scope=encode(table["scope_name"])[0],
        response_id=encode(table["response_id"])[0],
    )
