"""What was said, on the span, where the app asks for it; off by default.

The shape is that of the conventions' `gen_ai.input.messages`: messages of a role and parts, as JSON. Images, audio and
files are left out. Each text passes the app's `redact` before anything else is done with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from otel_cost import attributes as keys
from otel_cost.environment import warn_once
from otel_cost.instrument.wire.types import Asked, Reading

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SIZE_VARIABLE = "OTEL_COST_CONTENT_MAX_CHARACTERS"
DEFAULT_MAX_CHARACTERS = 32_768
"""Of one attribute. More: spans outgrow what backends take (the collector keeps 64 KiB). Less: conversations lose their
beginning sooner."""
MAX_DEPTH = 8
"""Of parts inside parts, as in a tool's result. Deeper ones are left out."""
OMITTED = "..."

Redact = Callable[[str], str | None]
"""A text as it may be kept; None: it may not."""
Part = dict[str, Any]
Message = dict[str, Any]


class Mode(StrEnum):
    """Values of the standard variable. There are no events of ours, so EVENT_ONLY captures nothing."""

    NO_CONTENT = "no_content"
    SPAN_ONLY = "span_only"
    EVENT_ONLY = "event_only"
    SPAN_AND_EVENT = "span_and_event"

    @property
    def on_spans(self) -> bool:
        """Whether spans get content."""
        return self in (Mode.SPAN_ONLY, Mode.SPAN_AND_EVENT)


_SPELLINGS = {mode.value: mode for mode in Mode} | {
    "": Mode.NO_CONTENT,
    "false": Mode.NO_CONTENT,
    "true": Mode.SPAN_ONLY,  # as before the modes
}


def mode() -> Mode:
    """What the environment asks for; a value that is none is logged, and captures nothing."""
    said = os.environ.get(VARIABLE, "").strip().lower()
    found = _SPELLINGS.get(said)
    if found is None:
        near = get_close_matches(said, _SPELLINGS, 1)
        meant = f"; did you mean {near[0].upper()}?" if near else ""
        allowed = ", ".join(each.upper() for each in Mode)
        warn_once(f"otel-cost: {VARIABLE}={said}: allowed are {allowed}{meant}; no content is captured")
    return found or Mode.NO_CONTENT


def max_characters() -> int:
    """The cap of one attribute; a value that is no whole number above 0 is logged, and the default counts."""
    said = os.environ.get(SIZE_VARIABLE, "").strip()
    if said.isdecimal() and int(said) > 0:
        return int(said)
    if said:
        warn_once(f"otel-cost: {SIZE_VARIABLE}={said}: not a whole number above 0; {DEFAULT_MAX_CHARACTERS} counts")
    return DEFAULT_MAX_CHARACTERS


def content_attributes(
    asked: Asked, reading: Reading | None, redact: Redact | None = None, most: int = DEFAULT_MAX_CHARACTERS
) -> dict[str, str]:
    """The attributes that hold the conversation, each at most `most` characters of valid JSON.

    Raises what `redact` raises: then nothing may be captured.
    """
    body = asked.body if isinstance(asked.body, Mapping) else {}
    keep = redact if redact is not None else _as_it_is
    system = [part for key in _SYSTEM for part in _parts(body.get(key), keep, MAX_DEPTH)]
    said = [message for key in _MESSAGES for message in _messages(body.get(key), keep)]
    found = {
        keys.GEN_AI_SYSTEM_INSTRUCTIONS: _fitting(system, most),
        keys.GEN_AI_INPUT_MESSAGES: _fitting(said, most),
        keys.GEN_AI_OUTPUT_MESSAGES: _fitting(_answer(reading, keep), most),
    }
    return {key: text.encode("utf-8", "replace").decode() for key, text in found.items() if text is not None}


_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction", "preamble")
"""Where APIs have what is not part of the conversation: Anthropic and Bedrock, OpenAI Responses, Gemini, Cohere v1."""
_MESSAGES = ("chat_history", "messages", "input", "contents", "prompt", "message", "inputText", "inputs")
"""Where they have the conversation, or its only text."""
_TEXTS = ("text", "content", "parts", "thinking", "output", "result", "response", "refusal")
_TOOL_RESULTS = frozenset({"tool_result", "function_call_output", "toolResult", "functionResponse"})
_TOOL_CALLS = frozenset({"tool_use", "function_call", "function", "toolUse", "functionCall"})


def _as_it_is(text: str) -> str:
    return text


def _answer(reading: Reading | None, keep: Redact) -> list[Message]:
    """The texts that were delivered, as one message."""
    if reading is None or reading.said is None:
        return []
    parts = list(_kept(reading.said()[1], keep))
    if not parts:
        return []
    message: Message = {"role": "assistant", "parts": parts}
    if reading.finish_reasons:
        message["finish_reason"] = reading.finish_reasons[0]
    return [message]


def _kept(texts: Iterable[str], keep: Redact) -> Iterator[Part]:
    for text in texts:
        kept = keep(text)
        if kept is not None:
            yield {"type": "text", "content": kept}


def _messages(value: object, keep: Redact) -> Iterator[Message]:
    """Messages in whatever shape an API has them; a text alone is the user's."""
    if isinstance(value, str):
        parts = list(_kept([value], keep))
        if parts:
            yield {"role": "user", "parts": parts}
    elif isinstance(value, Sequence):
        for each in value:
            yield from _message(each, keep)
    elif isinstance(value, Mapping):
        yield from _message(value, keep)


def _message(value: object, keep: Redact) -> Iterator[Message]:
    if not isinstance(value, Mapping):
        yield from _messages(value, keep) if isinstance(value, str) else ()
        return
    role = value.get("role")
    parts = [*_parts(value.get("content", value.get("parts", value.get("message"))), keep, MAX_DEPTH)]
    parts += [part for call in _listed(value.get("tool_calls")) for part in _parts(call, keep, MAX_DEPTH)]
    if role is None:
        parts = list(_parts(value, keep, MAX_DEPTH))
    elif value.get("tool_call_id") is not None:
        answer = [part["content"] for part in parts if part["type"] == "text"]
        parts = [{"type": "tool_call_response", "id": str(value["tool_call_id"]), "response": "\n".join(answer)}]
    if parts:
        yield {"role": str(role or "user").lower(), "parts": parts}


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _parts(value: object, keep: Redact, depth: int) -> Iterator[Part]:
    """Texts, tool calls and tool results in a value, in their order."""
    if depth == 0 or value is None:
        return
    if isinstance(value, str):
        yield from _kept([value], keep)
    elif isinstance(value, Mapping):
        yield from _part(value, keep, depth)
    else:
        for each in _listed(value):
            yield from _parts(each, keep, depth - 1)


def _part(value: Mapping[str, Any], keep: Redact, depth: int) -> Iterator[Part]:
    kind = str(value.get("type", ""))
    for name in _TOOL_CALLS | _TOOL_RESULTS:  # Bedrock and Gemini name the part by its only key
        if name in value and isinstance(value[name], Mapping):
            kind, value = name, {**value[name], "id": value.get("id", value[name].get("toolUseId"))}
            break
    if kind in _TOOL_CALLS:
        arguments = next((value[key] for key in ("arguments", "input", "args") if key in value), None)
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
        kept = keep(text)
        if kept is not None:
            call_id = value.get("call_id") or value.get("id")
            yield {"type": "tool_call", "id": call_id, "name": value.get("name"), "arguments": kept}
    elif kind in _TOOL_RESULTS:
        inside = [part["content"] for part in _texts(value, keep, depth - 1) if part["type"] == "text"]
        call_id = next((value[key] for key in ("tool_use_id", "call_id", "id") if value.get(key)), None)
        yield {"type": "tool_call_response", "id": call_id, "response": "\n".join(inside)}
    else:
        yield from _texts(value, keep, depth - 1)


def _texts(value: Mapping[str, Any], keep: Redact, depth: int) -> Iterator[Part]:
    for key in _TEXTS:
        if key in value:
            yield from _parts(value[key], keep, depth)


def _fitting(items: list[dict[str, Any]], most: int) -> str | None:
    """JSON of at most `most` characters: the oldest go first, then the last one's texts are cut; None: nothing."""
    if not items:
        return None
    texts = [json.dumps(item, ensure_ascii=False, default=str) for item in items]
    size = sum(map(len, texts)) + 2 * len(texts)
    first = 0
    while size > most and first < len(texts) - 1:
        size -= len(texts[first]) + 2
        first += 1
    if size <= most:
        return f"[{', '.join(texts[first:])}]"
    return _cut(items[-1], most)


def _cut(item: dict[str, Any], most: int) -> str | None:
    """One message or part, its texts cut until it fits; None where not even that does."""
    room = most
    while room > 0:
        room //= 2
        text = json.dumps([_shorter(item, room)], ensure_ascii=False, default=str)
        if len(text) <= most:
            return text
    return None


def _shorter(item: dict[str, Any], room: int) -> dict[str, Any]:
    """The same with at most `room` characters of text, from its beginning."""
    parts = item.get("parts", [item])
    left, kept = room, []
    for part in parts:
        name = next((key for key in ("content", "arguments", "response") if key in part), None)
        if name is None or left <= 0:
            continue
        text = str(part[name])
        kept.append({**part, name: text if len(text) <= left else text[:left] + OMITTED})
        left -= len(text)
    return {**item, "parts": kept} if "parts" in item else (kept[0] if kept else {})
