"""Bodies of answers."""

from __future__ import annotations

import json
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from collector.serve.api.errors import ApiError, invalid
from collector.serve.api.parameters import shortened

CACHE_CONTROL = "private, no-cache"
"""Whoever keeps an answer asks whether it still holds, and it is for nobody else."""


def json_response(request: Request, body: Any) -> Response:
    """JSON with a tag of its content: who has it already gets 304 and no body."""
    payload = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
    tag = f'W/"{blake2b(payload, digest_size=12).hexdigest()}"'  # weak: a gzipped body has other bytes
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL}
    known = request.headers.get("if-none-match", "")
    if tag in (each.strip() for each in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(payload, media_type="application/json", headers=headers)


async def json_body(request: Request, most_bytes: int) -> Any:
    """The JSON of a request.

    Raises:
        ApiError: 413, it is too large; 400, it is no JSON.
    """
    return json_of(await whole_body(request, most_bytes))


async def whole_body(request: Request, most_bytes: int) -> bytes:
    """The bytes of a request. Raises ApiError: 413."""
    payload = bytearray()
    async for part in request.stream():
        payload += part
        if len(payload) > most_bytes:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise ApiError(status, "too_large", "is too large", where="body", allowed=f"at most {most_bytes} bytes")
    return bytes(payload)


def json_of(payload: bytes) -> Any:
    """What a body says. Halves of characters, which JSON can write and no text can have, are refused here: they would
    be so wherever they are stored or answered.

    Raises:
        ApiError: 400.
    """
    try:
        said = json.loads(payload, parse_constant=_no_number)
        if b"\\u" in payload:
            json.dumps(said, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid(f"is no JSON: {shortened(str(error))}", where="body", allowed="JSON in UTF-8") from None
    return said


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")
