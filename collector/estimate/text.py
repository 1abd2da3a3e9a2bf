"""The text of captured messages: plain text, or JSON as the dialects write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from collector.limits import MAX_ESTIMATED_TEXT_CHARACTERS, MAX_VALUE_DEPTH, TRUNCATION_MARK

_SAID = ("content", "text", "parts", "message", "tool_calls", "function", "name", "arguments", "result", "response")
"""Members of a message or of a part of one that hold text, or parts that do. Images, audio and files have other names,
or a type that `_UNREADABLE` lists."""
_VERBATIM = frozenset({"arguments", "result", "response"})
"""Of which all is text to the model, whatever is inside."""
_UNREADABLE = frozenset({"blob", "uri", "file", "image", "image_url", "input_image", "input_audio", "audio"})
_SAID_IN_CUT_JSON = re.compile(r'"(?:content|text|arguments|result|response)"\s*:\s*"((?:[^"\\]|\\.)*)')
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")


@dataclass(slots=True)
class Text:
    """One side of a conversation."""

    pieces: list[str] = field(default_factory=list)
    messages: int = 0
    is_cut: bool = False
    """Some of it is not here: the attribute was cut when it arrived, or the span says more than is read."""

    @property
    def characters(self) -> int:
        """Length of all pieces."""
        return sum(map(len, self.pieces))

    def add(self, value: str, messages: int | None, room: int) -> int:
        """Take an attribute's value, up to `room` characters; returns what is left of the room.

        Args:
            messages: how many messages the value is; None: as many as it holds.
        """
        if value.endswith(TRUNCATION_MARK):
            value, self.is_cut = value[: -len(TRUNCATION_MARK)], True
        found, count = read_text(value)
        self.messages += count if messages is None else messages
        for piece in found:
            if len(piece) > room:
                self.is_cut, piece = True, piece[:room]
            room -= len(piece)
            if piece:
                self.pieces.append(piece)
        return room


def room_for_text() -> int:
    """Characters that are read of one span."""
    return MAX_ESTIMATED_TEXT_CHARACTERS


def read_text(value: str) -> tuple[Sequence[str], int]:
    """The pieces of text in an attribute's value, and how many messages they are. Never raises."""
    if value.lstrip()[:1] not in ("[", "{"):
        return [value], 1
    try:
        parsed = json.loads(value)
        messages = parsed if isinstance(parsed, list) else [parsed]
        if not all(_is_message(each) for each in messages):
            return [value], 1  # JSON is what was said
        return list(_pieces(messages, MAX_VALUE_DEPTH)), sum("role" in each for each in messages) or 1
    except (ValueError, RecursionError):
        cut = [_ESCAPE.sub(_unescaped, text) for text in _SAID_IN_CUT_JSON.findall(value)]
        return (cut, value.count('"role"') or 1) if cut else ([value], 1)


def _is_message(node: Any) -> bool:
    """Whether a member of parsed JSON is a message, or a part of one that stands alone."""
    return isinstance(node, dict) and ("role" in node or ("type" in node and not node.keys().isdisjoint(_SAID)))


def _unescaped(match: re.Match[str]) -> str:
    try:
        return str(json.loads(f'"{match[0]}"'))
    except ValueError:
        return match[0]


def _pieces(node: Any, depth: int) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list) and depth:
        for each in node:
            yield from _pieces(each, depth - 1)
    elif isinstance(node, dict) and depth and node.get("type") not in _UNREADABLE:
        for key in _SAID:
            said = node.get(key)
            if key in _VERBATIM and isinstance(said, (dict, list)):
                yield json.dumps(said, ensure_ascii=False, separators=(",", ":"))
            elif said is not None:
                yield from _pieces(said, depth - 1)
