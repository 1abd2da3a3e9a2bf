"""Sessions of people at the page: a cookie that no script can read, for a credential that was shown once.

A session is kept in memory by the digest of its id: it ends with the collector, when it is logged out, and when the
credential's own time is over. The cookie counts only for requests of our own pages: `SameSite=Strict` keeps it from
other sites, and what browsers say of a request's origin (Fetch Metadata) from other ports of this host, which are the
same site.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from collector.serve.api.bearer import Proof
from collector.serve.api.identity import Caller

MAX_SESSIONS = 10_000
"""Those that nobody has used for the longest go first. A session takes less than 1 KB."""
_COOKIE = "otel_cost_session"
_SECURE_COOKIE = f"__Host-{_COOKIE}"
"""Browsers take such a name only over TLS, for the host itself, and for all paths (RFC 6265bis, 4.1.3.2)."""


class Sessions:
    """Open sessions. Used on the event loop only."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._open: dict[bytes, Proof] = {}

    def begin(self, proof: Proof, organizations: tuple[str, ...] | None) -> str:
        """The id of a new session for somebody, who sees so much from now on."""
        now = self._clock()
        ends_at = min(now + self._seconds, proof.ends_at if proof.ends_at is not None else float("inf"))
        session = secrets.token_urlsafe(32)
        caller = replace(proof.caller, login="session", organizations=organizations, choices=proof.caller.organizations)
        self._open[_digest(session)] = Proof(caller, ends_at)
        while len(self._open) > MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        return session

    def find(self, request: Request) -> Caller | None:
        """Whose session a request's cookie is of."""
        session = _cookie(request)
        if session is None or not _is_ours(request):
            return None
        digest = _digest(session)
        proof = self._open.pop(digest, None)
        if proof is None or (proof.ends_at or 0.0) <= self._clock():
            return None
        self._open[digest] = proof  # at the end: the last one used is the last to go
        return proof.caller

    def turn(self, request: Request, organizations: tuple[str, ...] | None) -> Caller | None:
        """Have the session of a request see these from now on; the caller must be known to be allowed to."""
        caller = self.find(request)
        if caller is None:
            return None
        digest = _digest(_cookie(request) or "")
        turned = replace(caller, organizations=organizations)
        self._open[digest] = self._open[digest]._replace(caller=turned)
        return turned

    def end(self, request: Request) -> None:
        """Close the session of a request's cookie, if there is one."""
        session = _cookie(request)
        if session is not None and _is_ours(request):
            self._open.pop(_digest(session), None)

    def set_cookie(self, request: Request, response: Response, session: str) -> None:
        """Have the browser keep a session's id until it is closed."""
        response.set_cookie(_name(request), session, httponly=True, samesite="strict", secure=_is_secure(request))

    def remove_cookie(self, request: Request, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(_name(request), httponly=True, samesite="strict", secure=_is_secure(request))


def _cookie(request: Request) -> str | None:
    return request.cookies.get(_name(request))


def _name(request: Request) -> str:
    return _SECURE_COOKIE if _is_secure(request) else _COOKIE


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _is_ours(request: Request) -> bool:
    """Whether a page of ours, or a person in the address bar, has made the request (W3C Fetch Metadata, 2.4)."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def _digest(session: str) -> bytes:
    return sha256(session.encode()).digest()
