"""What becomes of the calls of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from collector.budgets.counting import Ints
from collector.budgets.model import Decision
from collector.budgets.simulated_rule import Asked, Owner

REFUSING = (Decision.BLOCK, Decision.APPROVAL)


class _Counts(Protocol):
    refused_calls: int
    refused_pico_usd: int
    approval_calls: int
    replaced_calls: int
    replaced_saved_pico_usd: int
    throttled_calls: int


class Verdict(NamedTuple):
    """What becomes of a call that is not simply made."""

    decision: Decision  # block, approval, cheaper_model or throttle
    by: Sequence[tuple[int, Owner]]  # the rules that say so, and for whom
    model: str | None = None  # of cheaper_model
    cost_pico_usd: int | None = None  # the same
    is_throttled: bool = False

    def add_to(self, counts: _Counts, cost_pico_usd: int) -> None:
        """Count a call that cost so much."""
        counts.throttled_calls += self.is_throttled
        if self.decision in REFUSING:
            counts.refused_calls += 1
            counts.refused_pico_usd += cost_pico_usd
            counts.approval_calls += self.decision is Decision.APPROVAL
        elif self.decision is Decision.CHEAPER_MODEL:
            counts.replaced_calls += 1
            now = cost_pico_usd if self.cost_pico_usd is None else self.cost_pico_usd
            counts.replaced_saved_pico_usd += cost_pico_usd - now


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a batch."""

    verdicts: Mapping[int, Verdict] = field(default_factory=dict)  # by row, of those that are not simply made
    asked: Mapping[int, Sequence[Asked]] = field(default_factory=dict)  # by rule: what was asked for and not had

    @property
    def changes(self) -> bool:
        """Whether any call is not made as it was."""
        return any(verdict.decision is not Decision.THROTTLE for verdict in self.verdicts.values())

    def made(self, calls: pa.Table) -> tuple[pa.Table, Ints]:
        """The calls that are made, as they are made, and which row of the batch each is."""
        keep = np.ones(calls.num_rows, np.bool_)
        models: dict[int, str] = {}
        costs: dict[int, int] = {}
        for row, verdict in self.verdicts.items():
            keep[row] = verdict.decision not in REFUSING
            if verdict.model is not None and verdict.decision is Decision.CHEAPER_MODEL:
                models[row] = verdict.model
                if verdict.cost_pico_usd is not None:
                    costs[row] = verdict.cost_pico_usd
        for name, values in (
            ("model", models),
            ("cost_pico_usd", costs),
            ("cost_status", dict.fromkeys(costs, "priced")),
        ):
            if values and name in calls.column_names:
                calls = _with(calls, name, values)
        return calls.filter(pa.array(keep)), np.flatnonzero(keep)


def _with(calls: pa.Table, name: str, values: Mapping[int, Any]) -> pa.Table:
    column = calls.column(name).to_pylist()
    for row, value in values.items():
        column[row] = value
    kind = pa.int64() if name == "cost_pico_usd" else pa.string()
    return calls.set_column(calls.schema.get_field_index(name), name, pa.array(column, kind))
