"""Who may ask what: bearer tokens with roles; on a loopback address without tokens, whoever is on this machine.

A page in a browser on this machine is not "whoever is on this machine". Where no token is asked for, a request must
name a loopback host, which a foreign page that resolves its own name to 127.0.0.1 does not; and a change must come as
JSON, which a foreign page cannot send without asking first, and it is not answered.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from collector.serve.api.config import ApiConfig, Role
from collector.serve.api.errors import ApiError
from collector.serve.api.identity import ANYBODY, Caller, remember

Handler = Callable[[Request], Awaitable[Response]]


class Guard:
    """Wraps handlers, so that they run for those who may ask only."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config

    def __call__(self, least: Role, handler: Handler) -> Handler:
        """`handler` for callers of at least a role; `request.state` says who they are and whose figures they see."""

        async def guarded(request: Request) -> Response:
            caller = self._caller(request)
            if caller.role < least:
                raise ApiError(
                    HTTPStatus.FORBIDDEN,
                    "forbidden",
                    f"{caller.name} has the role {caller.role.name.lower()}",
                    allowed=f"{least.name.lower()} or more",
                )
            remember(request, caller)
            return await handler(request)

        return guarded

    def _caller(self, request: Request) -> Caller:
        if not self._config.tokens:
            _refuse_foreign_pages(request)
            return ANYBODY
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given = said.strip().encode()
            found = [token for token in self._config.tokens if hmac.compare_digest(token.secret.encode(), given)]
            if found:
                organization = found[0].organization
                return Caller(found[0].name, found[0].role, None if organization is None else (organization,), "token")
        raise ApiError(
            HTTPStatus.UNAUTHORIZED,
            "unauthorized",
            "a known token is needed: Authorization: Bearer TOKEN (extensions.api.tokens)",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _refuse_foreign_pages(request: Request) -> None:
    host = request.url.hostname or ""
    if not is_loopback(host):
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", f"no token is set, so only this machine may ask, not {host}")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in ("GET", "HEAD") and kind != "application/json":
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send JSON",
            where="Content-Type",
            allowed="application/json",
        )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, without asking anybody."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
