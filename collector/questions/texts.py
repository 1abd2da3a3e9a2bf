"""Texts of statements: what they read, and how they are put together."""

from __future__ import annotations

import re
from collections.abc import Sequence


def reads(body: str, relation: str) -> bool:
    return re.search(rf"\b(?:FROM|JOIN)\s+{relation}\b", body) is not None


def named_in(body: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Those of some columns that a statement names, or one of them: planning takes the longer the more there are."""
    words = set(re.findall(r"\w+", body))
    return tuple(name for name in columns if name in words) or tuple(columns[-1:])


def behind(sources: str, body: str) -> str:
    """`body` behind the relations that it reads; it may begin with some of its own."""
    text = re.sub(r"^(?:--[^\n]*\n)+", "", body)
    if not sources:
        return text
    own = text.removeprefix("WITH ")
    return f"WITH {sources}{', ' if own != text else ' '}{own}"


def json_path(key: str) -> str:
    """A pointer (RFC 6901): DuckDB's own paths have no way to name a key `*`."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
