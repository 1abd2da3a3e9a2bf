"""The match clauses of genai-prices' data: `{"starts_with": text}`, `{"or": [...]}`, and so on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Clause = Mapping[str, Any]
"""One key (starts_with, ends_with, contains, equals, regex, or, and) and its operand."""


def matches(clause: Clause, name: str) -> bool:
    """Whether a clause holds for a lower-case name. A kind of clause that is not known here never does."""
    ((kind, operand),) = clause.items()
    match kind:
        case "starts_with":
            return name.startswith(operand.lower())
        case "ends_with":
            return name.endswith(operand.lower())
        case "contains":
            return operand.lower() in name
        case "equals":
            return bool(name == operand.lower())
        case "regex":
            return re.search(operand, name) is not None
        case "or":
            return any(matches(inner, name) for inner in operand)
        case "and":
            return all(matches(inner, name) for inner in operand)
    return False


def exact_names(clause: Clause) -> Iterator[str]:
    """The names that a clause lists one by one, as written."""
    if "equals" in clause:
        yield clause["equals"]
    for inner in clause.get("or", ()):
        yield from exact_names(inner)


def patterns(clause: Clause) -> Iterator[tuple[str, str]]:
    """The families of names of a clause, as the card has them: (prefix, inside, end or regex; text)."""
    ((kind, operand),) = clause.items()
    match kind:
        case "starts_with":
            yield "prefix", operand.lower()
        case "contains":
            yield "inside", operand.lower()
        case "ends_with":
            yield "end", operand.lower().lstrip("/")
        case "regex":
            yield "regex", operand
        case "or":
            for inner in operand:
                yield from patterns(inner)
        case "and":  # the second clause only excludes suffixes that name matching excludes anyway
            yield from patterns(operand[0])
