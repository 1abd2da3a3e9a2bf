"""Where instrumentations put what was said, when an app has them capture it: attribute keys as data.

The first group of a side that a span has anything of is read; the groups after it say the same again. Sources: the
OpenTelemetry GenAI conventions (`gen_ai.input.messages` and, before 1.37, `gen_ai.prompt`), OpenLLMetry's
`gen_ai.prompt.N.*`, openinference-semantic-conventions 0.1.42, and the Vercel AI SDK's telemetry.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from otel_cost import attributes as k


class Content(NamedTuple):
    """What an attribute holds. `message` tells messages apart; -1: the attribute holds all of them."""

    is_input: bool
    group: int
    message: int = -1


_WHOLE = {
    k.GEN_AI_INPUT_MESSAGES: Content(True, 0),
    k.GEN_AI_SYSTEM_INSTRUCTIONS: Content(True, 0),
    k.GEN_AI_OUTPUT_MESSAGES: Content(False, 0),
    k.GEN_AI_PROMPT: Content(True, 3),
    k.GEN_AI_COMPLETION: Content(False, 3),
    k.AI_PROMPT_MESSAGES: Content(True, 4),
    k.AI_RESPONSE_TEXT: Content(False, 4),
}
_NUMBERED = tuple(
    (prefix, re.compile(re.escape(prefix) + pattern), is_input, group)
    for prefix, is_input, group, pattern in (
        (k.LLM_INPUT_MESSAGES_PREFIX, True, 1, k.OPENINFERENCE_MESSAGE_TEXT),
        (k.LLM_OUTPUT_MESSAGES_PREFIX, False, 1, k.OPENINFERENCE_MESSAGE_TEXT),
        (k.GEN_AI_PROMPT_PREFIX, True, 2, k.OPENLLMETRY_MESSAGE_TEXT),
        (k.GEN_AI_COMPLETION_PREFIX, False, 2, k.OPENLLMETRY_MESSAGE_TEXT),
    )
)


def content_of(key: str) -> Content | None:
    """What an attribute of this name holds of the conversation; None: nothing."""
    found = _WHOLE.get(key)
    if found is not None:
        return found
    for prefix, pattern, is_input, group in _NUMBERED:
        if key.startswith(prefix):
            match = pattern.fullmatch(key)
            return None if match is None else Content(is_input, group, int(match[1]))
    return None
