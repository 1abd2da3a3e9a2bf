"""Content that streams in pieces of numbered blocks (Anthropic, Bedrock): kept unread, joined on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_cost.instrument.wire.answers import Delivered, json_or_none, texts_in
from otel_cost.instrument.wire.values import at, mapping, whole

_INDEX_PATHS = (("index",), ("contentBlockIndex",), ("contentBlockDelta", "contentBlockIndex"))


class Blocks(Delivered):
    """Events of content as they came, bounded. `parse` finds the JSON of an event."""

    __slots__ = ("_parse",)

    def __init__(self, parse: Callable[[bytes], Any] = json_or_none) -> None:
        super().__init__()
        self._parse = parse

    def texts(self, keys: frozenset[str]) -> list[str]:
        """The texts under `keys`, one for each block, in the order of their first pieces."""
        blocks: dict[int | None, list[str]] = {}
        for data in self._events:
            event = mapping(self._parse(data))
            number = next((n for path in _INDEX_PATHS if (n := whole(at(event, *path))) is not None), None)
            blocks.setdefault(number, []).extend(texts_in(event, keys))
        return ["".join(pieces) for pieces in blocks.values() if any(pieces)]
