"""Frames of `application/vnd.amazon.eventstream`, written as AWS writes them ("Event stream encoding")."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

_TEXT = 7


def frame(event_type: str, payload: Mapping[str, Any], *, is_exception: bool = False) -> bytes:
    """One frame with a JSON payload."""
    names = ("exception", ":exception-type") if is_exception else ("event", ":event-type")
    headers = {":message-type": names[0], names[1]: event_type, ":content-type": "application/json"}
    coded = b"".join(
        bytes([len(name)]) + name.encode() + bytes([_TEXT]) + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(coded) + len(body), len(coded))
    message = prelude + struct.pack(">I", crc32(prelude)) + coded + body
    return message + struct.pack(">I", crc32(message))
