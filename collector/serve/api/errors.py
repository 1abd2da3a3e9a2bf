"""One error body for everything: `{"error": {"code", "message", "where", "allowed"}}`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NotRequired, TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2
"""When to ask again what could not be answered now (`unavailable`): publications and restarts take about as long."""
_MAX_SHOWN_CHARS = 200
NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of answers that say what somebody may not see, or has done wrong: nobody else is to be shown them."""


class ErrorDetail(TypedDict):
    """`where` names the part of the request that is wrong, `allowed` what it may be."""

    code: str
    message: str
    where: NotRequired[str]
    allowed: NotRequired[str]


class ErrorBody(TypedDict):
    """The body of every answer that is an error."""

    error: ErrorDetail


class ApiError(Exception):
    """An answer that is an error. `where` names the part of the request that is wrong, `allowed` what it may be."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        where: str | None = None,
        allowed: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.where = where
        self.allowed = allowed
        self.headers = headers


def not_found(what: str, *, where: str | None = None, allowed: str | None = None) -> ApiError:
    """404."""
    return ApiError(HTTPStatus.NOT_FOUND, "not_found", what, where=where, allowed=allowed)


def invalid(message: str, *, where: str | None = None, allowed: str | None = None) -> ApiError:
    """400: the request is wrong, and will be wrong again."""
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid", message, where=where, allowed=allowed)


def _body(code: str, message: str, where: str | None = None, allowed: str | None = None) -> dict[str, Any]:
    said = {"code": code, "message": message, "where": where, "allowed": allowed}
    return {"error": {key: value for key, value in said.items() if value is not None}}


async def on_api_error(_: Request, error: Exception) -> Response:
    """Handler of `ApiError`."""
    assert isinstance(error, ApiError)
    body = _body(error.code, error.message, error.where, error.allowed)
    later = {"Retry-After": str(RETRY_SECONDS)} if error.code == "unavailable" else {}
    return JSONResponse(body, error.status, headers={**NOT_KEPT, **later, **(error.headers or {})})


async def on_http_error(request: Request, error: Exception) -> Response:
    """Handler of Starlette's own: no such path, no such method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    messages = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {_path(request)}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible at {_path(request)}",
    }
    allowed = (error.headers or {}).get("Allow")
    code = status.name.lower()
    body = _body(code, messages.get(status, str(error.detail)), None, allowed)
    return JSONResponse(body, status, headers={**NOT_KEPT, **(error.headers or {})})


async def on_failure(request: Request, error: Exception) -> Response:
    """Handler of everything else: our fault. The caller learns that it failed, the log learns why."""
    logger.error("%s %s failed", request.method, _path(request), exc_info=error)
    return JSONResponse(_body("internal", "the collector failed to answer; its log says why"), 500, headers=NOT_KEPT)


def _path(request: Request) -> str:
    """As far as a message or a line of the log repeats it."""
    plain = "".join(char if char.isprintable() else "?" for char in request.url.path)
    return plain if len(plain) <= _MAX_SHOWN_CHARS else plain[:_MAX_SHOWN_CHARS] + "..."


HANDLERS: Mapping[Any, Any] = {ApiError: on_api_error, HTTPException: on_http_error, Exception: on_failure}
