"""What is wrong with a config file: collected, never raised one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

MAX_SHOWN_CHARS = 60
"""How much of a wrong value a message repeats: enough to recognise it, not a page of YAML."""


class BadValue(ValueError):
    """A value that its parser refuses; the message completes the sentence that starts with the key."""

    def __init__(self, what: str, *, allowed: str = "", words: Iterable[str] = (), got: object = None) -> None:
        super().__init__(what)
        self.what = what
        self.words = tuple(words)
        self.allowed = allowed or ", ".join(self.words)
        self.got = got


class ConfigError(Exception):
    """A config that cannot be used; `str()` is every problem, one per line."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(slots=True)
class Problems:
    """The problems of one file, in the order in which they are met, and every key that was asked for."""

    file: str
    lines: list[str] = field(default_factory=list)
    known_keys: set[str] = field(default_factory=set)

    def add(self, path: str, error: BadValue, got: object) -> None:
        """Note that the value `got` at `path` is wrong."""
        shown = error.got if error.got is not None else got
        line = f"{self.file}: {path}: {error.what}"
        if shown is not None:
            line += f" (got {_shorten(_show(shown))})"
        if error.allowed:
            line += f"; allowed: {error.allowed}"
        self.lines.append(line + did_you_mean(shown, error.words))

    def add_line(self, line_number: int, what: str) -> None:
        """Note a problem of the text itself, before it has paths."""
        self.lines.append(f"{self.file}: line {line_number}: {what}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)


def did_you_mean(word: object, words: Iterable[str]) -> str:
    """The tail of a message that offers the nearest spelling, or nothing when none is near."""
    near = get_close_matches(str(word).lower(), list(words), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_show(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    return "nothing" if value is None else str(value)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"
