"""Reading a mapping of overrides key by key; what is wrong is noted with its place, and never raised one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

MAX_SHOWN_WORDS = 20
"""Of allowed words. A longer list is not read; the nearest spelling is."""
MAX_SHOWN_CHARS = 60


class Problem(NamedTuple):
    """Something wrong at a place: what, what is there, what is allowed, words that may have been meant."""

    path: str
    what: str
    got: object = None
    allowed: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        from difflib import get_close_matches

        text = f"{self.path}: {self.what}" + ("" if self.got is None else f" (got {str(self.got)[:MAX_SHOWN_CHARS]})")
        near = get_close_matches(str(self.got).lower(), self.words, n=1, cutoff=0.6)
        allowed = self.allowed or ", ".join(self.words if len(self.words) <= MAX_SHOWN_WORDS else ())
        return text + (f"; allowed: {allowed}" if allowed else "") + (f'; did you mean "{near[0]}"?' if near else "")


class Bad(ValueError):
    """A value that its reader refuses."""

    def __init__(self, what: str, *, allowed: str = "", words: Iterable[str] = (), got: object = None) -> None:
        super().__init__(what)
        self.what, self.allowed, self.words, self.got = what, allowed, tuple(words), got


class Entry:
    """One mapping and its place; keys that it must not have are noted at once."""

    def __init__(self, problems: list[Problem], path: str, raw: object, keys: tuple[str, ...]) -> None:
        self.path, self._problems = path, problems
        self._raw: Mapping[object, object] = raw if isinstance(raw, Mapping) else {}
        if not isinstance(raw, Mapping):
            self.problem("", Bad("must be a mapping of keys to values"), raw)
            self._problems = []  # what it lacks as well says nothing more
        unknown = [key for key in self._raw if key not in keys]
        problems += [Problem(self._at(str(key)), "unknown key", key, ", ".join(keys), keys) for key in unknown]

    def __contains__(self, key: str) -> bool:
        return self._raw.get(key) is not None

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """The value at a key; the default where there is none, or it is wrong."""
        value = self._raw.get(key)
        if value is None:
            return default
        try:
            return read(value)
        except Bad as error:
            self.problem(key, error, value)
            return default

    def require(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """As `take`; no value is a problem."""
        if key not in self:
            self.problem(key, Bad("is required"))
        return self.take(key, read, default)

    def problem(self, key: str, error: Bad, got: object = None) -> None:
        """Note a problem of a key, or of the whole."""
        place = self._at(key) if key else self.path
        self._problems.append(Problem(place, error.what, error.got or got, error.allowed, error.words))

    def below(self, key: str, keys: tuple[str, ...], raw: object) -> Entry:
        """A mapping inside this one."""
        return Entry(self._problems, self._at(key), raw, keys)

    def one_of(self, *keys: str) -> str:
        """The one of some keys that is there; anything else is a problem."""
        found = [key for key in keys if key in self]
        if len(found) != 1:
            self.problem(found[-1] if found else keys[0], Bad(f"needs exactly one of {', '.join(keys)}"))
        return found[0] if found else keys[0]

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key
