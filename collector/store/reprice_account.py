"""What a price run changes, before it does: calls and money by model, day, customer, and from which status to which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.compare import differs
from collector.store.figures import AMOUNT
from collector.store.restating import WIDE, Restated
from collector.store.rows import one_chunk, plain_column

DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "model": ("provider", "model"),
    "day": ("day",),
    "customer": ("customer",),
    "status": ("status_before", "status_after"),
    "cards_before": ("card",),
}
"""What is added up by what."""

_FLUSH_ROWS = 131_072
"""Rows that are grouped at once. Fewer: each group costs its milliseconds more often. More: memory, 200 bytes each."""

_SUMS = ("changed", "before_usd", "after_usd", "unpriced_before", "unpriced_after")


@dataclass(slots=True)
class Change:
    """Counted calls of one group, and what they cost until now and by the other card: sums of those with a price."""

    calls: int = 0
    changed: int = 0  # cost or status is another one
    before_usd: Decimal = Decimal(0)
    after_usd: Decimal = Decimal(0)
    unpriced_before: int = 0
    unpriced_after: int = 0

    @property
    def delta_usd(self) -> Decimal:
        return self.after_usd - self.before_usd

    def add(self, other: Change) -> None:
        self.calls += other.calls
        self.changed += other.changed
        self.before_usd += other.before_usd
        self.after_usd += other.after_usd
        self.unpriced_before += other.unpriced_before
        self.unpriced_after += other.unpriced_after


@dataclass(slots=True)
class Account:
    """Adds up what `Restating` tells it of; `groups` is complete after `close`."""

    groups: dict[str, dict[tuple[Any, ...], Change]] = field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    rows: int = 0  # not counted ones included
    _waiting: list[pa.Table] = field(default_factory=list)
    _waiting_rows: int = 0

    def __call__(self, chosen: Restated) -> None:
        """Take the rows of one piece."""
        self.rows += chosen.rows.num_rows
        counted = np.flatnonzero(pc.fill_null(chosen.rows.column("counted"), False).to_numpy())
        if not len(counted):
            return
        facts = _facts(chosen)
        self._waiting.append(facts if len(counted) == facts.num_rows else facts.take(pa.array(counted)))
        self._waiting_rows += len(counted)
        if self._waiting_rows >= _FLUSH_ROWS:
            self._flush()

    def close(self) -> None:
        """All pieces were told of."""
        self._flush()

    @property
    def total(self) -> Change:
        """Of all counted calls."""
        whole = Change()
        for change in self.groups["status"].values():
            whole.add(change)
        return whole

    @property
    def changes_nothing(self) -> bool:
        """Whether a run would leave every figure as it is."""
        return not self.rows

    def _flush(self) -> None:
        if not self._waiting:
            return
        facts = pa.concat_tables(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        for name, keys in DIMENSIONS.items():
            for key, change in _grouped(facts, keys):
                self.groups[name].setdefault(key, Change()).add(change)


def _facts(chosen: Restated) -> pa.Table:
    """Plain columns, one row per chosen row."""
    before, after = chosen.before, chosen.after
    changed = differs(before, after, AMOUNT)
    columns: dict[str, Any] = {
        "provider": chosen.rows.column("provider"),
        "model": after.column("model"),
        "day": chosen.rows.column("start_time").cast(pa.date32(), safe=False),
        "customer": chosen.rows.column("customer"),
        "status_before": before.column("cost_status"),
        "status_after": after.column("cost_status"),
        "card": before.column("card"),
    }
    columns = {name: one_chunk(plain_column(column)) for name, column in columns.items()}
    for name, figures in (("before", before), ("after", after)):
        columns[f"{name}_usd"] = one_chunk(pc.fill_null(figures.column("cost_usd").cast(WIDE), Decimal(0)))
        columns[f"unpriced_{name}"] = one_chunk(pc.is_null(figures.column("cost_usd"))).cast(pa.int64())
    return pa.table({**columns, "changed": pa.array(changed.astype(np.int64))})


def _grouped(facts: pa.Table, keys: tuple[str, ...]) -> Iterable[tuple[tuple[Any, ...], Change]]:
    grouped = facts.group_by(list(keys), use_threads=False).aggregate(
        [([], "count_all"), *((name, "sum") for name in _SUMS)]
    )
    names = [*keys, "count_all", *(f"{name}_sum" for name in _SUMS)]
    for line in zip(*(grouped.column(name).to_pylist() for name in names), strict=True):
        yield line[: len(keys)], Change(*line[len(keys) :])
