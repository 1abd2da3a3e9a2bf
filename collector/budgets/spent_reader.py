"""What leases ask of the counters."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from collector.budgets.counting import WorstRates
from collector.budgets.model import CounterKey, Rule


class SpentReader(Protocol):
    """`collector.budgets.counters.Counters`."""

    @property
    def lock(self) -> AbstractContextManager[bool]: ...
    @property
    def worst(self) -> Mapping[str, WorstRates]: ...
    def amount(self, key: CounterKey, at_ns: int) -> int: ...
    def room_at(self, rule: str, org_id: str, scope_value: str, at_ns: int, most: int) -> int | None: ...
    def limit(self, rule: Rule, key: CounterKey, at_ns: int) -> int: ...
    def raised_until_ns(self, rule: Rule, key: CounterKey, at_ns: int) -> int | None: ...
