"""Large answers are mostly vectors and pictures: they are cut out before the rest is parsed."""

from __future__ import annotations

import re

MIN_BYTES = 4 * 2**10
"""Smaller bodies are parsed as they are: looking for what to cut would cost more than it saves."""

_VECTOR = re.compile(rb'"(?:embeddings?|values|vector)"\s*:\s*\[[-+0-9.eE,\s]{512,}\]')
_PICTURE = re.compile(rb'"(?:b64_json|data|embedding|result)"\s*:\s*"[A-Za-z0-9+/=_\-]{512,}"')


def trimmed(body: bytes) -> bytes:
    """The body without the numbers of long vectors and the characters of long base64 texts, which no reader needs."""
    if len(body) < MIN_BYTES:
        return body
    for pattern, keys in (
        (_VECTOR, (b'"embedding', b'"values"', b'"vector"')),
        (_PICTURE, (b'"b64_json"', b'"image_generation_call"', b'"inlineData"', b'"inline_data"')),
    ):
        if any(key in body for key in keys):
            body = pattern.sub(_emptied, body)
    return body


def _emptied(found: re.Match[bytes]) -> bytes:
    key, _, value = found.group().partition(b":")
    return key + (b":[]" if value.rstrip().endswith(b"]") else b':""')
