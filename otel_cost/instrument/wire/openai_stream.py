"""Streams of chat completions and completions: most events are only looked at, those that matter are parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from otel_cost.instrument.wire.sse import ServerSentEvents
from otel_cost.instrument.wire.types import Asked, Head, Reading
from otel_cost.instrument.wire.values import at, items, json_of, mapping, objects, text, whole

ReadingOf = Callable[..., Reading]

MAX_SAID_BYTES = 2**20
"""What is kept to estimate by. More is no answer of any model; less would estimate long ones too low."""

MAX_WHOLE_BYTES = MAX_SAID_BYTES // 4
"""Events that are kept as they are; of those after it only the text. More would hold what is not needed, less costs
time in every stream."""

MAX_CHOICES = 1024
"""Choices whose end is kept; no provider gives more."""

_KEPT = ("id", "model", "system_fingerprint", "service_tier")
_USAGE = (b'"usage":{', b'"usage": {')
_ENDS = re.compile(rb'"(?:finish_reason": ?"|error": ?[{"])').search
_MATTERS = re.compile(rb'"(?:usage": ?\{|finish_reason": ?"|error": ?[{"])').search
"""Finds an event that says more than text. Quotes within texts are escaped, so content cannot look like a key."""


class ChatEvents:
    """Reads one stream of chunks."""

    __slots__ = (
        *("_asked", "_head", "_reading_of", "_said", "_usage", "_finished", "_kept", "_kept_bytes"),
        *("is_done", "has_content"),
    )

    def __init__(self, asked: Asked, head: Head, reading_of: ReadingOf) -> None:
        self._asked = asked
        self._head = head
        self._reading_of = reading_of
        self._said: dict[str, Any] = {}
        self._usage: bytes | None = None  # the last event with a usage: parsed when it is asked for
        self._finished: dict[int, str] = {}
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        found = _MATTERS(data) if self.has_content else None
        if found is not None and found.group() in _USAGE:
            self._usage = data  # some say it in every event
            if _ENDS(data):
                self._parse(data)
        elif found is not None or not self.has_content:
            self._parse(data)
        elif data == b"[DONE]":
            self.is_done = True
            return
        if self._kept_bytes < MAX_WHOLE_BYTES:
            self._kept_bytes += len(data)
            self._kept.append(data)
        elif self._kept_bytes < MAX_SAID_BYTES:
            self._keep_text(data)

    def skim(self, events: bytes) -> bool:
        """Keep whole server-sent events by one look at all of them; False: not all are nothing but text."""
        if not self.has_content or self._kept_bytes >= MAX_WHOLE_BYTES or _MATTERS(events) or b"[DONE]" in events:
            return False
        self._kept_bytes += len(events)
        self._kept.append(events)
        return True

    def _keep_text(self, data: bytes) -> None:
        """Keep only the text of an event, if it stands there without escapes."""
        begin = data.find(b'"content":"')
        if begin >= 0:
            begin += 11
            end = data.find(b'"', begin)
            if data.find(b"\\", begin, end + 1) < 0:
                data = data[begin:end]
        self._kept_bytes += len(data)
        self._kept.append(data)

    def _parse(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.is_done = True
            return
        try:
            event = mapping(json_of(data))
        except (ValueError, RecursionError):
            return
        for key in _KEPT:
            if text(event.get(key)) and (key != "id" or "id" not in self._said):
                self._said[key] = event[key]
        if event.get("usage") or at(event, "x_groq", "usage"):
            self._usage = data
        if event.get("error"):
            self._said["error"] = event["error"]
        for choice in objects(event.get("choices")):
            self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> None:
        delta = mapping(choice.get("delta")) or mapping(choice.get("message"))
        if choice.get("text") or any(value and key != "role" for key, value in delta.items()):
            self.has_content = True
        reason = text(choice.get("finish_reason"))
        if reason and len(self._finished) < MAX_CHOICES:
            self._finished[whole(choice.get("index")) or 0] = reason

    def reading(self) -> Reading:
        """What the stream said so far."""
        said = dict(self._said)
        if self._usage is not None:
            said |= _last(self._usage)
            said["id"] = self._said.get("id")
        said["choices"] = [{"finish_reason": self._finished[index]} for index in sorted(self._finished)]
        reading = self._reading_of(self._asked, self._head, said, is_stream=True)
        sent = reading.said
        deltas = tuple(self._kept)
        return reading._replace(
            is_billable=reading.is_billable or self.has_content,  # what came before an error was served
            said=lambda: (sent()[0] if sent else (), delivered(deltas)),
        )


def _last(data: bytes) -> dict[str, Any]:
    """Usage and whatever stands beside it in the event that had one last."""
    try:
        event = mapping(json_of(data))
    except (ValueError, RecursionError):
        return {}
    kept = ("usage", "x_groq", "usage_breakdown", *_KEPT)
    return {key: event[key] for key in kept if event.get(key)}


def delivered(deltas: tuple[bytes, ...]) -> list[str]:
    """The texts of what `ChatEvents` kept, joined in order: a tokenizer needs whole words."""
    texts: list[str] = []
    for kept in deltas:
        for event in _events(kept) if kept.endswith(b"\n\n") else (kept,):
            texts += _texts(event)
    joined = "".join(texts)
    return [joined] if joined else []


def _events(events: bytes) -> list[bytes]:
    """The data of server-sent events."""
    found: list[bytes] = []
    ServerSentEvents(lambda data, _: found.append(data)).feed(events)
    return found


def _texts(event: bytes) -> list[str]:
    """Of an event that was kept whole, or as its text alone."""
    try:
        said = json_of(event) if event.startswith(b"{") else None
    except (ValueError, RecursionError):
        said = None
    if said is None:
        return [event.decode("utf-8", "replace")]
    return [text for choice in objects(mapping(said).get("choices")) for text in _delta_texts(choice)]


def _delta_texts(choice: Mapping[str, Any]) -> list[str]:
    delta = mapping(choice.get("delta"))
    values = [choice.get("text"), *(delta.get(key) for key in ("content", "reasoning_content", "reasoning", "refusal"))]
    for call in items(delta.get("tool_calls")):
        values += [at(call, "function", "name"), at(call, "function", "arguments")]
    return [value for value in values if isinstance(value, str)]
