"""What was used on each day: of all calls, and of those of the largest values of some names.

A year of a large user is more than a hundred thousand sums of a day, a value and a model. They stay columns, and become
`Used` only of days that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.analysis.anomalies import Slice
from collector.analysis.decompose import Used
from collector.questions import buckets
from collector.questions.scope import Scope, statement
from collector.questions.switches import may_switch

LARGEST = 20
"""Values of each name that are looked at, by cost: what matters to the whole is among them."""
MODELLESS = ("customer", "user", "run", "conversation")
"""Of which sums of days are kept without models: what another model adds there counts as tokens."""
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

Ints = npt.NDArray[np.int64]
Rates = Mapping[tuple[int, str | None], str]
"""Day and model -> what most of its calls were billed by."""


def used_days(scope: Scope, by: Sequence[str], last: int) -> tuple[int, list[Slice]]:
    """Number of the first day with priced calls, and all slices from it to `last`: that of all calls, then those of
    each of the largest values of each name, in the order of `by`. None, if there are no such calls."""
    by_model = [name for name in by if name not in (*MODELLESS, "model")]
    used = _used(scope, by_model)
    if not used.num_rows:
        return last, []
    places = used.column("place").to_numpy()
    rates = _rates(scope)
    whole = used.filter(pa.array(places < 0))
    tables = {name: used.filter(pa.array(places == place)) for place, name in enumerate(by_model)}
    for name in by:
        if name in MODELLESS:
            tables[name] = scope.table("used_by_many", {"limit": LARGEST}, keys=(name,), bucket=buckets.DAY)
    if "model" in by:
        tables["model"] = whole.set_column(whole.column_names.index("value"), "value", whole.column("model"))
    first = int(whole.column("bucket").to_numpy().min())
    columns = [(name, _Columns(table, first, last, rates)) for name, table in ((None, whole), *tables.items())]
    ordered = sorted(columns, key=lambda one: -1 if one[0] is None else list(by).index(one[0]))
    return first, [each for name, some in ordered for each in some.slices(name)]


def _used(scope: Scope, names: Sequence[str]) -> pa.Table:
    """In one reading of all names whose sums of days are kept together."""
    parts = [statement("used_of_all"), *(statement("used_of_name").format(place=place) for place in range(len(names)))]
    model = f"key_{len(names)}"
    return scope.table(
        "used",
        {"limit": LARGEST} if names else {},
        keys=(*names, "model", "cost_status"),
        bucket=buckets.DAY,
        model=model,
        named="".join(f"key_{place}, " for place in range(len(names))),
        places="UNION ALL\n".join(parts),
    )


def _rates(scope: Scope) -> Rates:
    """What each model was billed by, day by day: nearly always one row of one card."""
    table = scope.table("billed_by", keys=("model", "rate_row", "card"), bucket=buckets.DAY)
    days, models, rates = (table.column(name).to_pylist() for name in ("bucket", "model", "rate"))
    return dict(zip(zip(days, models, strict=True), rates, strict=True))


class _Columns:
    """The sums of one name, in order of value and day. Costs are halves of 32 bits, so that they add up exactly."""

    def __init__(self, table: pa.Table, first: int, last: int, rates: Rates) -> None:
        values = table.column("value").combine_chunks().dictionary_encode(null_encoding="encode")
        codes = values.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        days = table.column("bucket").to_numpy().astype(np.int64) - first
        order = np.lexsort((days, codes))
        self.count = last - first + 1
        self.first = first
        self.rates = rates
        self.values: list[str | None] = values.dictionary.to_pylist()
        self.codes, self.days = codes[order], days[order]
        models = table.column("model").combine_chunks().dictionary_encode(null_encoding="encode")
        self.models = models.indices.to_numpy(zero_copy_only=False).astype(np.int64)[order]
        self.names: list[str | None] = models.dictionary.to_pylist()
        self.calls, self.tokens = (
            table.column(name).fill_null(0).to_numpy().astype(np.int64)[order] for name in ("calls", "tokens")
        )
        self.low, self.high = (half[order] for half in halves(table.column("cost_usd").combine_chunks()))

    def slices(self, name: str | None) -> Iterator[Slice]:
        """The largest first."""
        ends = [*np.flatnonzero(np.diff(self.codes, prepend=-1)).tolist(), len(self.codes)]
        found = []
        for begin, end in pairwise(ends):
            value = None if name is None else self.values[int(self.codes[begin])]
            rows = slice(begin, end)
            amounts = self._amounts(rows)
            switches = None if name == "model" else self._switches(rows)
            found.append(Slice(name, value, _Days(self, begin, end), amounts, switches))
        found.sort(key=lambda each: -sum(each.amounts or ()))
        yield from found[:LARGEST]

    def used(self, row: int) -> Used:
        """One sum."""
        model = self.names[int(self.models[row])]
        rate = self.rates.get((int(self.days[row]) + self.first, model))
        cost = (int(self.high[row]) << 32) + int(self.low[row])
        return Used(model, rate, int(self.calls[row]), int(self.tokens[row]), cost)

    def _amounts(self, rows: slice) -> list[int]:
        low, high = (np.zeros(self.count, np.int64) for _ in range(2))
        np.add.at(low, self.days[rows], self.low[rows])
        np.add.at(high, self.days[rows], self.high[rows])
        return [(high_half << 32) + low_half for low_half, high_half in zip(low.tolist(), high.tolist(), strict=True)]

    def _switches(self, rows: slice) -> frozenset[int]:
        costs = self.high[rows].astype(np.float64) * (1 << 32) + self.low[rows]
        return may_switch(self.days[rows], self.models[rows], costs, self.count)


class _Days(Sequence[Sequence[Used]]):
    """The days of some rows."""

    def __init__(self, columns: _Columns, begin: int, end: int) -> None:
        self._columns = columns
        days = columns.days[begin:end]
        self._starts: list[int] = (begin + np.searchsorted(days, np.arange(columns.count + 1))).tolist()
        self._known: dict[int, list[Used]] = {}

    def __len__(self) -> int:
        return self._columns.count

    def __getitem__(self, day: Any) -> Any:
        """By its place; there are no slices of it."""
        if day not in self._known:
            self._known[day] = [self._columns.used(row) for row in range(self._starts[day], self._starts[day + 1])]
        return self._known[day]


def halves(costs: pa.Array) -> tuple[Ints, Ints]:
    """Whole pico-USD of amounts that are not negative, as the low 32 bits and what is above them."""
    if not len(costs):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    words = np.frombuffer(costs.buffers()[1], np.uint64).reshape(-1, 2)[costs.offset : costs.offset + len(costs)]
    low, high = words[:, 0], words[:, 1]
    return (low & _LOW).astype(np.int64), ((low >> _HALF) | (high << _HALF)).astype(np.int64)
