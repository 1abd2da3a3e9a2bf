"""JSON exports with exact numbers, whose every value knows the line on which it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from collector.analysis import reconcile_bill as bill
from collector.analysis.reconcile_bill import BillError, found_text

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and where in it a value begins."""

    name: str
    text: str
    start: int

    def where(self, path: Path) -> str:
        """`bill.json, line 12, data[0].results[3].amount`."""
        said = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        line = self.text.count("\n", 0, self._offset(path)) + 1
        return f"{self.name}, line {line}" + (f", {said}" if said else "")

    def _offset(self, path: Path) -> int:
        """Where the value at a path begins; where its nearest container does if there is none."""
        best = self.start
        depth = 0
        steps: list[str | int] = []
        key: str | None = None
        kinds: list[str] = []
        for token in _TOKEN.finditer(self.text, self.start):
            text = token[0]
            if text in "}]":
                kinds.pop()
                if not kinds:
                    break
                continue
            if text == ",":
                del steps[len(kinds) :]
                if kinds[-1] == "[":
                    last = steps[len(kinds) - 1]
                    steps[len(kinds) - 1] = last + 1 if isinstance(last, int) else 0
                key = None
                continue
            if text == ":":
                continue
            if kinds and kinds[-1] == "{" and key is None:
                key = json.loads(text)
                steps[len(kinds) - 1 :] = [key or ""]
                continue
            here = tuple(steps[: len(kinds)])
            if here == path[: len(here)] and len(here) >= depth:
                best, depth = token.start(), len(here)
                if here == path:
                    break
            if text in "{[":
                kinds.append(text)
                steps[len(kinds) - 1 :] = [0]
                key = None
        return best


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place."""

    value: object
    path: Path
    document: Document

    def where(self) -> str:
        return self.document.where(self.path)

    def has(self, key: str) -> bool:
        """Whether an object has a value for a key that is not null."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def get(self, key: str) -> Node:
        """A member of an object. Raises BillError if there is none."""
        if not isinstance(self.value, dict):
            raise BillError(self.where(), found_text(self.value), "an object")
        if self.value.get(key) is None:
            names = ", ".join(sorted(map(str, self.value))) or "nothing"
            raise BillError(self.where(), f"no {key} (but {names})", f"an object with {key}")
        return Node(self.value[key], (*self.path, key), self.document)

    def items(self) -> Iterator[Node]:
        """The elements of an array. Raises BillError for anything else."""
        if not isinstance(self.value, list):
            raise BillError(self.where(), found_text(self.value), "an array")
        for place, each in enumerate(self.value):
            yield Node(each, (*self.path, place), self.document)

    def text(self) -> str:
        """Raises BillError if it is no text."""
        if not isinstance(self.value, str):
            raise BillError(self.where(), found_text(self.value), "a text")
        return self.value

    def text_or_none(self, key: str) -> str | None:
        return self.get(key).text().strip() or None if self.has(key) else None

    def whole_or_none(self, key: str) -> int | None:
        return bill.whole(self.get(key).value, self.get(key).where) if self.has(key) else None

    def amount(self) -> Decimal:
        return bill.amount(self.value, self.where)

    def iso_day(self) -> date:
        return bill.iso_day(self.value, self.where)

    def epoch_day(self) -> date:
        return bill.epoch_day(self.value, self.where)


def documents(name: str, text: str) -> list[Node]:
    """All JSON values of a text: one, or several after each other, as pages that were appended to one file.

    An array of pages is its pages. Raises BillError for what is no JSON.
    """
    found: list[Node] = []
    start = 0
    while match := re.compile(r"\S").search(text, start):
        start = match.start()
        try:
            value, end = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            near = text[error.pos : error.pos + 20]
            found_here = found_text(near) if near else "the end of the file"
            raise BillError(f"{name}, line {error.lineno}", found_here, f"JSON ({error.msg})") from None
        except RecursionError:
            raise BillError(f"{name}, line 1", "JSON of too many levels", "pages of an export") from None
        node = Node(value, (), Document(name, text, start))
        found += node.items() if isinstance(value, list) else [node]
        start = end
    return found
