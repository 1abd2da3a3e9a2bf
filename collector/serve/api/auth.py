"""Who may ask what: tokens, JWTs and sessions with roles; on loopback without any, whoever is on this machine.

A page in a browser on this machine is not "whoever is on this machine". Where no token is asked for, a request must
name a loopback host, which a foreign page that resolves its own name to 127.0.0.1 does not; and a change must come as
JSON, which a foreign page cannot send without asking first, and it is not answered.
"""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from collector.serve.api.bearer import Credentials, unauthorized
from collector.serve.api.config import ApiConfig, Role
from collector.serve.api.errors import ApiError, invalid
from collector.serve.api.identity import ANYBODY, ORGANIZATION_HEADER, Caller, organization_of, remember
from collector.serve.api.path import Handler
from collector.serve.api.sessions import Sessions

_SAFE_METHODS = ("GET", "HEAD")
DEPENDS_ON = ("Authorization", "Cookie", ORGANIZATION_HEADER)
"""Headers of a request by which answers differ."""


class Guard:
    """Wraps handlers, so that they run for those who may ask only. Raises StartupError for keys that cannot be used."""

    def __init__(self, config: ApiConfig) -> None:
        self.credentials = Credentials(config)
        self.sessions = Sessions(config.session_seconds)
        self.asks_who = config.asks_who
        self._asks_for_jwt = config.jwt is not None

    def __call__(self, least: Role, handler: Handler, *, strict: bool = False) -> Handler:
        """`handler` for callers of at least a role; `request.state` says who they are and whose figures they see.

        `strict`: where credentials are needed, only for JWTs (if any are believed) with an organisation in the header.
        """

        async def guarded(request: Request) -> Response:
            caller = await self.caller(request)
            if caller.role < least:
                raise ApiError(
                    HTTPStatus.FORBIDDEN,
                    "forbidden",
                    f"{caller.name} has the role {caller.role.name.lower()}",
                    allowed=f"{least.name.lower()} or more",
                )
            if strict and self.asks_who:
                self._be_strict(request, caller)
            remember(request, caller)
            request.state.may_still = lambda: self._may_still(request)
            return _for_nobody_else(await handler(request))

        return guarded

    async def _may_still(self, request: Request) -> bool:
        """Whether what a request has shown is good yet, and for the same organisation: it may have ended since."""
        try:
            return bool(organization_of(request, await self.caller(request)) == request.state.org)
        except ApiError:
            return False

    def open(self, handler: Handler) -> Handler:
        """`handler` for everybody who reaches it, but for foreign pages: it shows nothing to those it does not know."""

        async def answered(request: Request) -> Response:
            if not self.asks_who:
                _refuse_foreign_hosts(request)
            _refuse_forms(request)
            return _for_nobody_else(await handler(request))

        return answered

    async def caller(self, request: Request) -> Caller:
        """Who makes a request.

        Raises:
            ApiError: 401, nobody known; and see `Credentials.read`.
        """
        if not self.asks_who:
            _refuse_foreign_hosts(request)
            _refuse_forms(request)
            return ANYBODY
        said = request.headers.getlist("authorization")
        if said:
            scheme, _, shown = said[0].partition(" ")
            if len(said) != 1 or scheme.lower() != "bearer":
                raise unauthorized("the Authorization header is not one Bearer")
            return (await self.credentials.read(shown.strip())).caller
        found = self.sessions.find(request)
        if found is None:
            raise unauthorized("nobody is logged in")
        _refuse_forms(request)
        return found

    def _be_strict(self, request: Request, caller: Caller) -> None:
        if self._asks_for_jwt and not caller.by_jwt:
            raise unauthorized("this needs a JWT")
        if ORGANIZATION_HEADER not in request.headers:
            raise invalid("is required", where=ORGANIZATION_HEADER)


def _for_nobody_else(response: Response) -> Response:
    """Whoever keeps answers is told that this one is for who asked, and is what its type says."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    for name in DEPENDS_ON:
        response.headers.add_vary_header(name)
    return response


def _refuse_foreign_hosts(request: Request) -> None:
    host = request.url.hostname or ""
    if not is_loopback(host):
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", f"no token is set, so only this machine may ask, not {host}")


def _refuse_forms(request: Request) -> None:
    """Changes come as JSON: what a form or a script of another site can send without leave is refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in _SAFE_METHODS and kind != "application/json":
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
