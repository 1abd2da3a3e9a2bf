"""Headers as the readers of provider APIs take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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


class LazyHeaders(Mapping[str, str]):
    """Headers that are not looked through before somebody asks: of most exchanges only the content's type is asked.

    `read(source)` gives all of them as `header_texts` does; `content_type` is what it says of that, None: not known
    yet.
    """

    __slots__ = ("_content_type", "_read", "_source", "_texts")

    def __init__(self, read: Callable[[Any], Mapping[str, str]], source: Any, content_type: str | None = None) -> None:
        self._read = read
        self._source = source
        self._content_type = content_type
        self._texts: Mapping[str, str] | None = None

    def get(self, name: str, default: Any = None) -> Any:
        """A header by its name in lower case."""
        if name == "content-type" and self._content_type is not None:
            return self._content_type
        return self._all().get(name, default)

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[str, str]:
        texts = self._texts
        if texts is None:
            texts = self._texts = self._read(self._source)
        return texts


def lazy(headers: Any, content_type: str | None = None) -> LazyHeaders:
    """`header_texts(headers)`, when it is asked for."""
    return LazyHeaders(header_texts, headers, content_type)
