"""Reading a tree of values key by key: what is asked for is known, everything else is a problem."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from collector.config.problems import BadValue, Problems, did_you_mean

T = TypeVar("T")

_COMPONENT_ID = re.compile(r"([a-zA-Z][a-zA-Z0-9_]*)(?:/([^\s/][^/]*))?")


class Section:
    """A mapping of the file, with its place. Ask for its keys, then `close()` it: other keys are problems."""

    def __init__(self, problems: Problems, path: str, value: object, known_path: str | None = None) -> None:
        self.path = path
        self._known_path = generic(path) if known_path is None else known_path
        self._problems = problems
        self._asked: list[str] = []
        self._values: dict[str, object] = {}
        if isinstance(value, dict):
            self._values = value
        elif value is not None:
            self.problem(BadValue("must be a mapping of keys to values"), value)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def keys(self) -> Iterator[str]:
        """The keys that the file gives, in its order."""
        return iter(self._values)

    def take(self, key: str, read: Callable[[object], T], default: T) -> T:
        """The value at `key`, read by `read`; `default` when it is absent, empty or wrong (then a problem is noted)."""
        self._ask(key)
        value = self._values.get(key)
        if value is None:
            return default
        try:
            return read(value)
        except BadValue as error:
            self._problems.add(self._at(key), error, value)
            return default

    def require(self, key: str, read: Callable[[object], T], default: T) -> T:
        """As `take`, and an absent value is a problem."""
        if self._values.get(key) is None:
            self._problems.add(self._at(key), BadValue("is required"), None)
        return self.take(key, read, default)

    def section(self, key: str) -> Section:
        """The mapping at `key`; an empty one when it is absent."""
        self._ask(key)
        return Section(self._problems, self._at(key), self._values.get(key))

    def raw(self, key: str) -> object:
        """The value at `key` as it is, None when it is absent: somebody else reads it."""
        self._ask(key)
        return self._values.get(key)

    def sections(self, key: str) -> list[Section]:
        """The list of mappings at `key`."""
        self._ask(key)
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._problems.add(self._at(key), BadValue("must be a list"), value)
            return []
        return [Section(self._problems, f"{self._at(key)}[{number}]", item) for number, item in enumerate(value)]

    def named(self, key: str) -> Iterator[tuple[str, Section]]:
        """Each (name, section) of the mapping at `key`, whose keys are names that the file chooses."""
        names = self.section(key)
        known_path = f"{names._known_path}.NAME"
        if any(names.keys()):
            self._problems.known_keys.add(known_path)
        for name in tuple(names.keys()):
            yield name, Section(self._problems, names._at(name), names._values[name], known_path)

    def components(self, types: Mapping[str, str]) -> Iterator[tuple[str, Section]]:
        """Each (type, section) of a section whose keys are component ids `type` or `type/name`.

        Args:
            types: component types that exist here, with what each is.
        """
        for component_id in self._values:
            match = _COMPONENT_ID.fullmatch(component_id)
            kind = match.group(1) if match else component_id
            self._asked.append(component_id)
            if match is None or kind not in types:
                error = BadValue("unknown component type", words=types, got=kind)
                self._problems.add(self._at(component_id), error, kind)
                continue
            self._problems.known_keys.add(generic(f"{self.path}.{kind}"))
            yield kind, Section(self._problems, self._at(component_id), self._values[component_id])

    def problem(self, error: BadValue, got: object = None, key: str = "") -> None:
        """Note a problem of this section or of one of its keys."""
        self._problems.add(self._at(key) if key else self.path, error, got)

    def close(self) -> None:
        """Report the keys that were never asked for."""
        for key in self._values:
            if key not in self._asked:
                allowed = ", ".join(self._asked) or "no keys"
                line = f"{self._problems.file}: {self._at(key)}: unknown key; allowed: {allowed}"
                self._problems.lines.append(line + did_you_mean(key, self._asked))

    def _ask(self, key: str) -> None:
        self._asked.append(key)
        self._problems.known_keys.add(f"{self._known_path}.{key}" if self._known_path else key)

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def generic(path: str) -> str:
    """A key's path without names and positions: `exporters.otlp/jaeger.tls` is `exporters.otlp.tls`."""
    return re.sub(r"\[\d+\]", "[]", re.sub(r"/[^.\[\]]+(\.(?=\d)[^.\[\]]*)*", "", path))
