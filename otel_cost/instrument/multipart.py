"""Text fields of multipart bodies: `model` and the like, which decide a price. Files are never touched."""

from __future__ import annotations

from email.message import Message

MAX_FIELD_BYTES = 64 * 1024
"""Longer fields are left out. Lower, and a prompt that a price is estimated by is lost; higher, and a form in which
somebody sends a document as text is copied."""

MAX_FIELDS = 64
"""Parts looked at. A provider's form has some ten; more only costs time."""

Fields = dict[str, str]


def stream_fields(stream: object) -> Fields | None:
    """Of httpx's and httpx2's multipart stream, which keeps fields and files apart. None: it is no such stream.

    Of a name that is repeated (`timestamp_granularities[]`), the last value counts.
    """
    parts = getattr(stream, "fields", None)
    if not isinstance(parts, list) or not hasattr(stream, "boundary"):
        return None
    found: Fields = {}
    for part in parts[:MAX_FIELDS]:
        if not hasattr(part, "file"):
            _add(found, part.name, part.value)
        elif part.filename is None and isinstance(part.file, str | bytes):  # a text field among the files
            _add(found, part.name, part.file)
    return found


def text_fields(content_type: str | None, body: bytes) -> Fields | None:
    """Of an encoded body (RFC 7578), as requests makes it. None: it is no multipart form.

    Files are stepped over by searching for the next boundary, without a copy.
    """
    boundary = _boundary(content_type or "")
    if boundary is None:
        return None
    found: Fields = {}
    delimiter = b"--" + boundary
    start = body.find(delimiter)
    for _ in range(MAX_FIELDS):
        end = body.find(b"\r\n" + delimiter, start + len(delimiter)) if start >= 0 else -1
        if end < 0:
            break
        _read_part(found, body, start + len(delimiter) + 2, end)
        start = end + 2
    return found


def _read_part(found: Fields, body: bytes, start: int, end: int) -> None:
    head_end = body.find(b"\r\n\r\n", start, min(end, start + MAX_FIELD_BYTES))
    if head_end < 0:
        return
    for line in body[start:head_end].decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            disposition = _parameters(value)
            if "filename" not in disposition and "filename*" not in disposition and "name" in disposition:
                value_start = head_end + 4
                if end - value_start <= MAX_FIELD_BYTES:
                    _add(found, disposition["name"], body[value_start:end])


def _add(found: Fields, name: str, value: str | bytes) -> None:
    if len(value) <= MAX_FIELD_BYTES:
        found[name] = value if isinstance(value, str) else value.decode("utf-8", "replace")


def _boundary(content_type: str) -> bytes | None:
    if not content_type.lower().startswith("multipart/"):
        return None
    boundary = _parameters(content_type).get("boundary")
    return boundary.encode("latin-1", "replace") if boundary else None


def _parameters(value: str) -> dict[str, str]:
    """Of a header, as in `form-data; name="model"`: the stdlib knows how they are quoted."""
    message = Message()
    message["content-type"] = value.strip().replace("\r", " ").replace("\n", " ")
    pairs = message.get_params(failobj=[])
    return {name.lower(): str(text) for name, text in pairs[1:]}
