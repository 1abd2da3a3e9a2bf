"""A bounded memory that forgets the oldest half at once."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Remembers at least the last `size` keys and at most twice as many, in constant time per step.

    Two generations: when the young one is full it becomes the old one, and what was old is forgotten. (Deleting the
    first key of a large dict again and again is slow: each time the holes before it are passed.) Needs no lock: every
    step is one operation on a dict; what another thread does in between costs at most a memory lost early.
    """

    __slots__ = ("_old", "_young", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._young and not self._old

    def get(self, key: K) -> V | None:
        """What was last remembered for the key."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: K, value: V) -> int:
        """Remember, and return how many older keys were forgotten for it."""
        young = self._young
        young[key] = value
        return 0 if len(young) < self.size else self._age(young)

    def add(self: Recent[K, object], key: K) -> bool:
        """Remember a key that is not known yet. False if it is; of many threads, one gets True."""
        young, mine = self._young, object()
        if key in self._old or young.setdefault(key, mine) is not mine:
            return False
        if len(young) >= self.size:
            self._age(young)
        return True

    def _age(self, young: dict[K, V]) -> int:
        forgotten, self._old, self._young = self._old, young, {}
        return len(forgotten)

    def pop(self, key: K) -> V | None:
        """Forget the key; what was remembered for it."""
        found = self._young.pop(key, None)
        return found if found is not None or not self._old else self._old.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old = {}, {}
