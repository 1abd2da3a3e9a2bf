"""What counts in a window after each of many calls, in columns, and the same for single calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from collector.budgets.counting import Amounts, Ints

Key = TypeVar("Key", bound=Hashable)
Buckets = Mapping[int, int]
"""Start of a bucket -> what was spent in it; of windows that do not roll: 0 -> all of it."""

_SAFE = 2.0**62


def exact(amounts: Amounts) -> Amounts:
    """The same, as Python's numbers if a sum of them may not fit into 64 bits."""
    return amounts.astype(object) if np.abs(amounts.astype(np.float64)).sum() >= _SAFE else amounts


def after_each(
    owner: Ints, bucket_ns: Ints, begin_ns: Ints | None, needs: Amounts, held: Iterable[tuple[int, int, int]]
) -> Amounts:
    """What counts for each call's owner once it is made, if all are made, in their order.

    Args:
        owner: whom each call is for, a number from 0.
        bucket_ns: the bucket that each counts in; never earlier than that of a call before.
        begin_ns: from which bucket on counts what counts with it; None: everything does.
        held: (owner, bucket, amount) that counted before the first call.
    """
    before = list(held)
    size = len(before)
    owners = np.concatenate([np.array([each[0] for each in before], np.int64), owner])
    buckets = np.concatenate([np.array([each[1] for each in before], np.int64), bucket_ns])
    carried = np.array([each[2] for each in before], object)
    small = needs.dtype != object and all(abs(each) < 2**62 for each in carried)
    amounts = exact(np.concatenate([carried.astype(np.int64) if small else carried, needs]))
    order = np.argsort(owners, kind="stable")
    sums = np.cumsum(amounts[order])
    sorted_owners = owners[order]
    if begin_ns is None:
        first = np.searchsorted(sorted_owners, sorted_owners)
    else:
        _, ranks = np.unique(buckets, return_inverse=True)
        distinct = np.unique(buckets)
        begins = np.concatenate([buckets[:size], begin_ns])
        span = len(distinct) + 1
        wanted = np.searchsorted(distinct, begins)
        first = np.searchsorted(sorted_owners * span + ranks[order], sorted_owners * span + wanted[order])
    skipped = np.concatenate([np.zeros(1, sums.dtype), sums])[first]
    found = np.empty(len(order), sums.dtype)
    found[order] = sums - skipped
    return found[size:]


@dataclass(slots=True)
class _Sum:
    total: int = 0
    buckets: deque[tuple[int, int]] = field(default_factory=deque)


class Running(Generic[Key]):
    """Sums that grow call by call, in the order of time. `seed`: what counted before, asked for once by key."""

    def __init__(self, seed: Callable[[Key], Buckets] = lambda _: {}) -> None:
        self._seed = seed
        self._sums: dict[Key, _Sum] = {}

    def at(self, key: Key, begin_ns: int) -> int:
        """The sum of the buckets from a time on, which is never earlier than at the call before."""
        found = self._sums.get(key)
        if found is None:
            found = self._seeded(key)
        while found.buckets and found.buckets[0][0] < begin_ns:
            found.total -= found.buckets.popleft()[1]
        return found.total

    def add(self, key: Key, bucket_ns: int, amount: int) -> None:
        """An amount more, or less."""
        found = self._sums.get(key) or self._seeded(key)
        found.total += amount
        if found.buckets and found.buckets[-1][0] == bucket_ns:
            found.buckets[-1] = (bucket_ns, found.buckets[-1][1] + amount)
        else:
            found.buckets.append((bucket_ns, amount))

    def _seeded(self, key: Key) -> _Sum:
        buckets = deque(sorted(self._seed(key).items()))
        found = self._sums[key] = _Sum(sum(amount for _, amount in buckets), buckets)
        return found
