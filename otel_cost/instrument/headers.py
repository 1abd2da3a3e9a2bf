"""Headers as the readers of provider APIs take them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "set-cookie"}
)
"""Headers that are never read."""


def header_texts(headers: Any) -> dict[str, str]:
    """Names in lower case, values (bytes, in some libraries) as text; without credentials.

    `headers`: a mapping, pairs, or None.
    """
    pairs: Iterable[tuple[Any, Any]] = headers.items() if hasattr(headers, "items") else headers or ()
    found = {}
    for name, value in pairs:
        lower = str(name).lower()
        if lower not in CREDENTIALS:
            found[lower] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return found
