"""`InvokeModelWithResponseStream`: frames whose `bytes` are a model's own events, in base64.

Anthropic's and Nova's events are recognised by how their base64 begins, so that content is neither decoded nor parsed.
Of other models the first and the last events are enough: the last one has the counts and the reason of the end.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from otel_cost.instrument.wire.answers import json_or_none, texts_in
from otel_cost.instrument.wire.anthropic_messages import MessageEvents
from otel_cost.instrument.wire.bedrock_converse import ConverseEvents
from otel_cost.instrument.wire.bedrock_request import METRICS, complete, counted_by, failed
from otel_cost.instrument.wire.blocks import Blocks
from otel_cost.instrument.wire.types import Asked, Head, Reading
from otel_cost.instrument.wire.values import mapping, text

MAX_LAST_EVENTS = 16
"""Last events that are read of a model without a known order of events. Fewer would miss the reasons of several
parallel answers; more would be decoded at the end of every such stream."""

_TEXTS = frozenset({"text", "completion", "generation", "outputText", "thinking", "partial_json", "content"})
_REQUEST_TEXTS = frozenset({"text", "content", "system", "prompt", "inputText", "message"})
_ANTHROPIC = ("message_", "content_block_", "error", "ping")
_NOVA = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")


def _start(inner: bytes) -> bytes:
    """How a frame begins whose decoded bytes begin so: base64 of whole groups of three."""
    return b'{"bytes":"' + base64.b64encode(inner[: len(inner) // 3 * 3])


_CONTENT_STARTS = tuple(
    _start(start) for start in (b'{"type":"content_block_', b'{"contentBlockDelta"', b'{"contentBlockStop":')
)


def inner_of(data: bytes) -> Any:
    """A model's own event in a frame; None where there is none."""
    coded = mapping(json_or_none(data)).get("bytes")
    if not isinstance(coded, str):
        return None
    try:
        return json_or_none(base64.b64decode(coded))
    except (binascii.Error, ValueError):
        return None


class InvokeEvents:
    """Reads the frames of one stream. `read` makes a reading of a model's answer, as of one that came whole."""

    __slots__ = (
        "_asked",
        "_converse",
        "_error",
        "_first",
        "_head",
        "_held",
        "_last",
        "_message",
        "_metrics",
        "_read",
        "has_content",
    )

    def __init__(self, asked: Asked, head: Head, read: Callable[..., Reading]) -> None:
        self._asked = asked
        self._head = head
        self._read = read
        self._message: MessageEvents | None = None
        self._converse: ConverseEvents | None = None
        self._first: bytes | None = None
        self._last: deque[bytes] = deque(maxlen=MAX_LAST_EVENTS)
        self._held = Blocks(inner_of)
        self._metrics: Mapping[str, Any] = {}
        self._error: str | None = None
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One frame."""
        if data.startswith(_CONTENT_STARTS):
            self.has_content = True
            self._held.add(data)
        elif name.endswith(("Exception", "Error")):
            self._error = text(name)
        elif self._first is None or self._message is not None or self._converse is not None:
            self._known(data)
        else:
            self._any(data)

    def _known(self, data: bytes) -> None:
        """The first event, and events of models whose order is known."""
        inner = mapping(inner_of(data))
        kind = text(inner.get("type")) or ""
        if METRICS in inner:
            self._metrics = mapping(inner[METRICS])
        nova = next((key for key in _NOVA if key in inner), None)
        if kind.startswith("content_block_") or (nova or "").startswith("content"):
            self._any(data)
        if kind.startswith(_ANTHROPIC):
            self._message = self._message or MessageEvents(self._asked, self._head)
            self._message.event(inner, data)
        elif nova is not None:
            self._converse = self._converse or ConverseEvents(self._asked, self._head)
            self._converse.event(nova, inner[nova])
        elif self._first is None:
            self._any(data)
        self._first = self._first or data

    def _any(self, data: bytes) -> None:
        self.has_content = True
        self._last.append(data)
        self._held.add(data)

    @property
    def is_done(self) -> bool:
        """Whether the last event came, or an error."""
        if self._error is not None or self._metrics:
            return True
        if self._message is not None or self._converse is not None:
            return (self._message or self._converse).is_done  # type: ignore[union-attr]
        return bool(self._last) and METRICS in mapping(inner_of(self._last[-1]))

    def reading(self) -> Reading:
        """What the stream said so far."""
        if self._message is not None:
            reading = self._with_metrics(self._message.reading())
        elif self._converse is not None:
            reading = self._with_metrics(self._converse.reading())
        else:
            reading = self._read(self._asked, self._head, self._joined(), is_stream=True)
        reading = reading._replace(said=self._said)
        if self._error is not None:
            failure = failed(self._asked, self._head, None, self._error)
            reading = reading._replace(error_type=failure.error_type, is_billable=bool(reading.usage))
        return reading

    def _with_metrics(self, reading: Reading) -> Reading:
        usage = dict(reading.usage)
        complete(usage, counted_by(self._metrics))
        return reading._replace(usage=usage)

    def _joined(self) -> dict[str, Any]:
        """The events as one answer: the first one's counts of the input, the last one's of everything."""
        joined: dict[str, Any] = {}
        reasons: list[dict[str, Any]] = []
        for data in dict.fromkeys((self._first, *self._last)):
            event = mapping(inner_of(data)) if data else {}
            event = {**mapping(event.get("response")), **event}  # Cohere's last event repeats its whole answer there
            joined.update((key, value) for key, value in event.items() if value is not None)
            if text(event.get("finish_reason")):
                reasons.append({"finish_reason": event["finish_reason"]})
        return {**joined, "generations": reasons} if len(reasons) > 1 else joined

    def _said(self) -> tuple[list[str], list[str]]:
        return texts_in(self._asked.body, _REQUEST_TEXTS), self._held.texts(_TEXTS)
