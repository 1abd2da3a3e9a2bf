"""Text fields of a multipart or URL-encoded body, from its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

MAX_FIELDS = 100
"""Fields that are looked at. Model APIs have a dozen; a form of thousands is no model call."""

MAX_FIELD_BYTES = 4096
"""Longest field that is kept: models, sizes and formats are short, prompts and files are not needed."""

_BOUNDARY = re.compile(r'boundary="?([^";,]+)')
_NAME = re.compile(rb';\s*name="([^"]*)"')


def form_fields(content_type: str, body: bytes) -> Mapping[str, str] | None:
    """The short text fields of a form; None where the content type is none. Files are left out. Never raises."""
    kind = content_type.lower()
    if kind.startswith("application/x-www-form-urlencoded"):
        try:
            return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS))
        except ValueError:
            return {}
    if not kind.startswith("multipart/form-data"):
        return None
    found = _BOUNDARY.search(content_type)
    boundary = found.group(1).encode() if found else body.lstrip().partition(b"\n")[0].strip()[2:]
    return _multipart(boundary, body) if boundary else {}


def _multipart(boundary: bytes, body: bytes) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for part in body.split(b"--" + boundary, MAX_FIELDS)[1:]:
        part = part.lstrip(b"\r\n")
        end = part.find(b"\r\n\r\n")
        size = 4
        if end < 0:
            end, size = part.find(b"\n\n"), 2
        if end < 0:
            continue
        head, value = part[:end], part[end + size :].rstrip(b"\r\n")
        named = _NAME.search(head)
        if named and b"filename" not in head.lower() and len(value) <= MAX_FIELD_BYTES:
            fields[named.group(1).decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return fields
