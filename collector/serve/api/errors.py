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
    return JSONResponse(body, error.status, headers=dict(error.headers or {}))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Handler of Starlette's own: no such path, no such method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    messages = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible at {request.url.path}",
    }
    allowed = (error.headers or {}).get("Allow")
    code = status.name.lower()
    return JSONResponse(
        _body(code, messages.get(status, str(error.detail)), None, allowed), status, headers=dict(error.headers or {})
    )


async def on_failure(request: Request, error: Exception) -> Response:
    """Handler of everything else: our fault. The caller learns that it failed, the log learns why."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse(_body("internal", "the collector failed to answer; its log says why"), 500)


HANDLERS: Mapping[Any, Any] = {ApiError: on_api_error, HTTPException: on_http_error, Exception: on_failure}
