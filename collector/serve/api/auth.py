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

from collector.serve.api.config import ApiConfig, ApiToken, Role
from collector.serve.api.errors import ApiError

Handler = Callable[[Request], Awaitable[Response]]

ANYBODY = ApiToken("local", "", Role.ADMIN)
"""Who asks where no token is needed."""


class Guard:
    """Wraps handlers, so that they run for those who may ask only."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config

    def __call__(self, least: Role, handler: Handler) -> Handler:
        """`handler` for callers of at least a role; `request.state.caller` is the token's name."""

        async def guarded(request: Request) -> Response:
            token = self._caller(request)
            if token.role < least:
                raise ApiError(
                    HTTPStatus.FORBIDDEN,
                    "forbidden",
                    f"the token {token.name} is a {token.role.name.lower()}'s",
                    allowed=f"{least.name.lower()} or more",
                )
            request.state.caller = token.name
            return await handler(request)

        return guarded

    def _caller(self, request: Request) -> ApiToken:
        if not self._config.tokens:
            _refuse_foreign_pages(request)
            return ANYBODY
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given = said.strip().encode()
            found = [token for token in self._config.tokens if hmac.compare_digest(token.secret.encode(), given)]
            if found:
                return found[0]
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
