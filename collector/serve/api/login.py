"""Login of the page, and who one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, NoneType
from typing import Literal, NotRequired, TypedDict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from collector.serve.api.auth import Guard
from collector.serve.api.bearer import unauthorized
from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid
from collector.serve.api.identity import ORGANIZATION_HEADER, Caller, Login, organization_of
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_body
from collector.serve.api.shapes import as_json
from otel_cost import __version__

MAX_BODY_BYTES = 64 * 1024
"""Of a login: a credential of up to 16,384 characters, escaped."""

Links = Mapping[str, str | None]
NO_LINKS: Links = MappingProxyType({"jaeger": None})
_WORDS: Mapping[Role, Literal["viewer", "editor", "admin"]] = {
    Role.VIEWER: "viewer",
    Role.EDITOR: "editor",
    Role.ADMIN: "admin",
}


class Credential(TypedDict):
    """What a person logs in with; `organization` where the credential is good for several."""

    token: str
    organization: NotRequired[str]


class Choice(TypedDict):
    """The organisation that a session turns to; null: all, for who may see all."""

    organization: str | None


@dataclass(frozen=True, slots=True)
class Me:
    """Who asks, and what they see. `org` null: all organisations; `orgs`: what they may choose, null: all there are."""

    name: str
    role: Literal["viewer", "editor", "admin"]
    org: str | None
    orgs: tuple[str, ...] | None
    login: Login
    version: str
    links: Links


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nobody is logged in any more."""


def login_paths(guard: Guard, links: Links) -> list[Path]:
    """The routes of login, logout, and who one is."""
    routes = _Routes(guard, links)
    viewer, me = Role.VIEWER, Returns(Me)
    return [
        Path("GET", "/me", viewer, routes.me, "who asks, and what they may see", is_open=True, returns=me),
        Path("POST", "/login", viewer, routes.login, "log in", is_open=True, body=Credential, returns=me),
        Path("POST", "/organization", viewer, routes.turn, "see another organization", body=Choice, returns=me),
        Path("POST", "/logout", viewer, routes.logout, "log out", is_open=True, returns=Returns(Nobody)),
    ]


class _Routes:
    def __init__(self, guard: Guard, links: Links) -> None:
        self._guard = guard
        self._links = dict(links)

    async def me(self, request: Request) -> Response:
        caller = await self._guard.caller(request)
        return JSONResponse(as_json(self._about(caller, _organization(request, caller))))

    async def login(self, request: Request) -> Response:
        """Begin a session of one organisation, or of all for who may see all."""
        said = await _said(request, "token", "organization")
        if not said.get("token"):
            raise invalid("is required", where="token")
        if not self._guard.asks_who:
            return await self.me(request)
        proof = await self._guard.credentials.read(said["token"] or "")
        organizations = _chosen(proof.caller, said.get("organization") or None)
        self._guard.sessions.end(request)  # one browser has one: nobody would ever log out of the other
        session = self._guard.sessions.begin(proof, organizations)
        caller = replace(proof.caller, login="session", organizations=organizations, choices=proof.caller.organizations)
        response = JSONResponse(as_json(self._about(caller, organizations[0] if organizations else None)))
        self._guard.sessions.set_cookie(request, response, session)
        return response

    async def turn(self, request: Request) -> Response:
        """Have the session see another organisation, or all; others name one in each request."""
        said = await _said(request, "organization", may_be_null=True)
        caller = await self._guard.caller(request)
        if caller.login != "session":
            raise invalid("is chosen by the header X-Org-ID: there is no session", where="organization")
        allowed = replace(caller, organizations=caller.choices)
        turned = self._guard.sessions.turn(request, _chosen(allowed, said.get("organization") or None))
        if turned is None:
            raise unauthorized("nobody is logged in")
        return JSONResponse(as_json(self._about(turned, turned.organizations[0] if turned.organizations else None)))

    async def logout(self, request: Request) -> Response:
        self._guard.sessions.end(request)
        response = JSONResponse({})
        self._guard.sessions.remove_cookie(request, response)
        return response

    def _about(self, caller: Caller, organization: str | None) -> Me:
        role = _WORDS[caller.role]
        return Me(caller.name, role, organization, caller.may_choose, caller.login, __version__, self._links)


def _organization(request: Request, caller: Caller) -> str | None:
    """The chosen one; None also where none of several is chosen yet."""
    try:
        return organization_of(request, caller)
    except ApiError:
        if ORGANIZATION_HEADER in request.headers:
            raise
        return None


def _chosen(caller: Caller, wanted: str | None) -> tuple[str, ...] | None:
    """What a session sees. Raises ApiError unless the caller may, and has chosen where there is a choice."""
    seen = caller.organizations
    if wanted is not None:
        if seen is not None and wanted not in seen:
            raise invalid(f"{caller.name} may not see it", where="organization", allowed=", ".join(seen))
        return (wanted,)
    if seen is not None and len(seen) > 1:
        raise invalid("is required: choose one", where="organization", allowed=", ".join(seen))
    return seen


async def _said(request: Request, *keys: str, may_be_null: bool = False) -> dict[str, str | None]:
    """The JSON object of a request: texts under some keys."""
    said = await json_body(request, MAX_BODY_BYTES)
    kinds = (str, NoneType) if may_be_null else (str,)
    if not isinstance(said, dict) or not all(isinstance(value, kinds) for value in said.values()):
        raise invalid("must be a JSON object of texts", where="body", allowed=", ".join(keys))
    for key in said:
        if key not in keys:
            raise invalid("is not known", where=key, allowed=", ".join(keys))
    return said
