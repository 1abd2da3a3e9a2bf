"""Who asks: a name, a role, and the organisations that they may see."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeGuard

from starlette.requests import Request

from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid

ORGANIZATION_HEADER = "X-Org-ID"
MAX_ORGANIZATION_CHARS = 200

Login = Literal["none", "token", "jwt", "session"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose credentials are known to be good."""

    name: str  # for the audit trail
    role: Role
    organizations: tuple[str, ...] | None  # that they may see; None: all
    login: Login
    by_jwt: bool = False  # a JWT has shown it, itself or when the session began
    choices: tuple[str, ...] | None = None  # of a session: what its credential may see; None: all

    @property
    def may_choose(self) -> tuple[str, ...] | None:
        """Organisations whose figures they may turn to; None: all."""
        return self.choices if self.login == "session" else self.organizations


ANYBODY = Caller("local", Role.ADMIN, None, "none")
"""Who asks where no credentials are needed."""


def is_organization(name: object) -> TypeGuard[str]:
    """Whether it can be the name of an organisation."""
    return isinstance(name, str) and 0 < len(name) <= MAX_ORGANIZATION_CHARS and name.isprintable()


def organization_of(request: Request, caller: Caller) -> str | None:
    """The one organisation that a request is about; None: all of them.

    Raises:
        ApiError: the header names one that the caller may not see (403), or does not choose among several (400).
    """
    said = request.headers.getlist(ORGANIZATION_HEADER)
    if len(set(said)) > 1:
        raise invalid("is there more than once", where=ORGANIZATION_HEADER, allowed="one")
    wanted = said[0] if said else None
    if wanted is not None and not is_organization(wanted):
        allowed = f"1 to {MAX_ORGANIZATION_CHARS} printable characters"
        raise invalid("is no organisation's name", where=ORGANIZATION_HEADER, allowed=allowed)
    seen = caller.organizations
    if seen is None:
        return wanted
    if wanted is not None:
        if wanted not in seen:
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "forbidden",
                f"{caller.name} may not see the organisation {wanted}",
                where=ORGANIZATION_HEADER,
            )
        return wanted
    if len(seen) != 1:
        raise invalid("is required: choose one", where=ORGANIZATION_HEADER, allowed=", ".join(seen))
    return seen[0]


def remember(request: Request, caller: Caller) -> None:
    """Set what handlers read: `request.state.caller` (a name), `.role`, `.login`, `.by_jwt`,
    `.organizations`, and `.org`.

    Raises:
        ApiError: see `organization_of`.
    """
    request.state.caller = caller.name
    request.state.role = caller.role
    request.state.login = caller.login
    request.state.by_jwt = caller.by_jwt
    request.state.organizations = caller.organizations
    request.state.org = organization_of(request, caller)
