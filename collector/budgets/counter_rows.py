"""Counters as rows of the ledger: whole amounts as Arrow decimals, which are as wide as sums may become."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.budgets.counting import Amounts, Ints, RuleMoves
from collector.budgets.model import Rule

_USD = pa.decimal128(38, 12)
_COUNT = pa.decimal128(38, 0)
_WORD = 1 << 64

COUNTER_SCHEMA = pa.schema(
    [
        pa.field("org_id", pa.string(), nullable=False),
        pa.field("budget", pa.string(), nullable=False),  # name of the rule
        pa.field("scope_value", pa.string(), nullable=False),
        pa.field("window_start_ns", pa.int64(), nullable=False),
        pa.field("cost_usd", _USD, nullable=False),
        pa.field("tokens", _COUNT, nullable=False),
        pa.field("calls", pa.int64(), nullable=False),
        pa.field("unpriced_calls", pa.int64(), nullable=False),
    ]
)
"""What is added to a counter. All rows of one key together are the counter."""


_NO_ROWS = COUNTER_SCHEMA.empty_table()
_AMOUNTS = COUNTER_SCHEMA.types[4:]


def counter_rows(moves: Sequence[RuleMoves]) -> pa.Table:
    """`COUNTER_SCHEMA`, one row per counter that moves."""
    if not moves:
        return _NO_ROWS
    parts = [pa.RecordBatch.from_arrays(_columns(each), schema=COUNTER_SCHEMA) for each in moves]
    return pa.Table.from_batches(parts)


def _columns(moves: RuleMoves) -> list[pa.Array]:
    amounts = (_column(values, kind) for values, kind in zip(moves.amounts, _AMOUNTS, strict=True))
    return [
        _repeated(moves.orgs, pa.string()),
        pa.repeat(moves.rule.name, len(moves.values)),
        pa.array(moves.values, pa.string()),
        _repeated(moves.starts_ns, pa.int64()),
        *amounts,
    ]


def _repeated(values: Sequence[str] | Sequence[int], kind: pa.DataType) -> pa.Array:
    """A column that mostly is of one value."""
    is_one = list(values).count(values[0]) == len(values)
    return pa.repeat(pa.scalar(values[0], kind), len(values)) if is_one else pa.array(values, kind)


def amounts_of(column: pa.ChunkedArray) -> Amounts:
    """The whole numbers in a column without NULLs: pico-USD of decimals with twelve digits after the point."""
    if column.type == pa.int64():
        return np.array(column.to_numpy())
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # no chunks at all
        return np.empty(0, np.int64)
    words = np.frombuffer(whole.buffers()[1], "<i8")[2 * whole.offset :][: 2 * len(whole)]
    low, high = words[::2], words[1::2]
    if (high == low >> 63).all():
        return low.copy()
    wide: Amounts = high.astype(object) * _WORD + low.view("<u8").astype(object)
    return wide


def moves_of_rows(rule: Rule, rows: pa.Table) -> RuleMoves:
    """Rows of one rule as moves, one per counter."""
    names = ["org_id", "scope_value", "window_start_ns"]
    keys: dict[tuple[str, str, int], int] = {}
    columns = zip(*(rows.column(name).to_pylist() for name in names), strict=True)
    place: Ints = np.fromiter((keys.setdefault(key, len(keys)) for key in columns), np.int64, rows.num_rows)
    amounts = [amounts_of(rows.column(name)) for name in COUNTER_SCHEMA.names[4:]]
    if len(keys) < rows.num_rows:
        sums = [np.zeros(len(keys), object) for _ in amounts]
        for total, each in zip(sums, amounts, strict=True):
            np.add.at(total, place, each.astype(object))
        amounts = sums
    orgs, values, starts = zip(*keys, strict=True)
    return RuleMoves(rule, orgs, values, starts, *amounts)


def without(moves: RuleMoves, out: npt.NDArray[np.bool_]) -> RuleMoves | None:
    """But some rows; None: nothing is left."""
    kept = np.flatnonzero(~out)
    if not len(kept):
        return None
    rows = kept.tolist()
    orgs, values = ([column[row] for row in rows] for column in (moves.orgs, moves.values))
    starts_ns = [moves.starts_ns[row] for row in rows]
    return RuleMoves(moves.rule, orgs, values, starts_ns, *(column[kept] for column in moves.amounts))


def _column(amounts: Amounts, kind: pa.DataType) -> pa.Array:
    if kind == pa.int64():
        return pa.array(amounts, pa.int64())
    words = np.empty((len(amounts), 2), "<i8")
    if amounts.dtype == object:
        words[:, 0] = (amounts % _WORD).astype("<u8").view("<i8")
        words[:, 1] = (amounts // _WORD).astype("<i8")
    else:
        words[:, 0], words[:, 1] = amounts, amounts >> 63
    return pa.Array.from_buffers(kind, len(amounts), [None, pa.py_buffer(words)])
