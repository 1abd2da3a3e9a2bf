"""What a shown credential proves: an API token by its digest, a JWT by its signature and its claims."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple

import jwt

from collector.serve.api.config import ApiConfig, JwtConfig, Role
from collector.serve.api.errors import ApiError
from collector.serve.api.identity import Caller, is_organization
from collector.serve.api.keys import Key, Keys, KeysUnavailable, keys_of

MAX_CREDENTIAL_CHARS = 16 * 1024
"""uvicorn takes heads of 64 KiB. JWTs with many groups have some 4 KB."""
MAX_ORGANIZATIONS = 1000
"""That one JWT may list."""
MAX_NAME_CHARS = 200
_WRONG = (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What PyJWT raises for tokens that anybody may send, said or not: numbers beyond all bounds, a thousand brackets."""
_CLAIMS = ("exp", "iss", "aud")


class Proof(NamedTuple):
    """Who somebody is, and until when that is known (Unix time; None: no end)."""

    caller: Caller
    ends_at: float | None


class Credentials:
    """Reads what callers show. Made from the config; raises StartupError for key files that cannot be used."""

    def __init__(self, config: ApiConfig, keys: Keys | None = None) -> None:
        self._tokens = [(token.digest, token) for token in config.tokens]
        self._jwt = config.jwt
        self._keys = keys if keys is not None or config.jwt is None else keys_of(config.jwt)
        self._refreshing = asyncio.Lock()
        self._tasks: set[asyncio.Task[bool]] = set()

    async def read(self, shown: str) -> Proof:
        """Who shows this.

        Raises:
            ApiError: 401, it proves nothing; 403, it proves somebody who may see nothing; 503, nobody can tell now.
        """
        if not 0 < len(shown) <= MAX_CREDENTIAL_CHARS:
            raise unauthorized("the credential is too long")
        digest = sha256(shown.encode()).digest()
        found = [token for known, token in self._tokens if hmac.compare_digest(known, digest)]
        if found:
            token = found[0]
            seen = None if token.organization is None else (token.organization,)
            return Proof(Caller(token.name, token.role, seen, "token"), None)
        if self._jwt is None or self._keys is None or shown.count(".") != 2:
            raise unauthorized("the token is not known")
        claims = await self._claims(shown, self._jwt, self._keys)
        return Proof(_caller(claims, self._jwt), float(claims["exp"]) + self._jwt.leeway_seconds)

    async def _claims(self, shown: str, config: JwtConfig, keys: Keys) -> dict[str, Any]:
        try:
            head = jwt.get_unverified_header(shown)
        except _WRONG:
            raise unauthorized("the token is not known, and is no JWT") from None
        if "crit" in head:  # RFC 7515, 4.1.11: what is not understood is refused
            raise unauthorized("the JWT demands an extension that is not known here")
        meant = _meant(keys.known(), head)
        if meant and keys.is_stale() and not self._refreshing.locked():
            task = asyncio.create_task(self._refreshed(keys))  # nobody waits for it while the keys in hand will do
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not meant:
            if not await self._refreshed(keys):
                status = HTTPStatus.SERVICE_UNAVAILABLE
                raise ApiError(status, "unavailable", "the keys that sign JWTs cannot be fetched now")
            meant = _meant(keys.known(), head)
        if not meant:
            raise unauthorized("no key here has the JWT's key id and algorithm")
        return _verified(shown, meant, config)

    async def _refreshed(self, keys: Keys) -> bool:
        """Whether there are keys, after fetching the newest. However many ask, one thread is used."""
        async with self._refreshing:
            try:
                await asyncio.to_thread(keys.refresh)
            except KeysUnavailable:
                return False
        return True


def unauthorized(why: str) -> ApiError:
    """401, with what to do about it."""
    return ApiError(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        f"{why}; a known token is needed: Authorization: Bearer TOKEN (extensions.api.tokens, extensions.api.auth)",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _meant(keys: Sequence[Key], head: dict[str, Any]) -> list[Key]:
    """The keys that a JWT may be signed with: those with its id, or all where one of the two has none."""
    key_id = head.get("kid")
    named = [key for key in keys if key.key_id is not None and key.key_id == key_id]
    candidates = named or [key for key in keys if key_id is None or key.key_id is None]
    return [key for key in candidates if key.algorithm == head.get("alg")]


def _verified(shown: str, keys: Sequence[Key], config: JwtConfig) -> dict[str, Any]:
    """The claims of a JWT that one of the keys has signed. Raises ApiError."""
    why = "its signature is wrong"
    for key in keys:
        try:
            claims: dict[str, Any] = jwt.decode(
                shown,
                key.material,
                algorithms=[key.algorithm],
                audience=config.audience,
                issuer=config.issuer,
                leeway=config.leeway_seconds,
                options={"require": list(_CLAIMS)},
            )
        except jwt.InvalidSignatureError:
            continue
        except _WRONG as error:
            why = str(error)
            break
        if isinstance(claims["exp"], int | float) and claims["exp"] < time.time() + 1e10:
            return claims
        why = "its end is no time"
    raise unauthorized(f"the JWT is refused: {why}")


def _caller(claims: dict[str, Any], config: JwtConfig) -> Caller:
    name = claims.get("sub")
    shown = name[:MAX_NAME_CHARS] if isinstance(name, str) and name and name.isprintable() else "jwt"
    role = _role(claims.get(config.role_claim), config)
    if role is None:
        raise _sees_nothing(f"no role is known among the JWT's {config.role_claim}")
    organizations = _organizations(claims.get(config.organization_claim))
    if not organizations:
        raise _sees_nothing(f"the JWT names no organisation ({config.organization_claim})")
    return Caller(shown, role, organizations, "jwt", by_jwt=True)


def _sees_nothing(why: str) -> ApiError:
    return ApiError(HTTPStatus.FORBIDDEN, "forbidden", why)


def _role(said: object, config: JwtConfig) -> Role | None:
    known = config.roles or {role.name.lower(): role for role in Role}
    words = said if isinstance(said, list) else [said]
    found = [known[word] for word in words if isinstance(word, str) and word in known]
    return max(found, default=config.default_role)


def _organizations(said: object) -> tuple[str, ...]:
    """Those of the claim, a text or a list of texts. What is not a name is none."""
    names = said if isinstance(said, list) else [said]
    return tuple(dict.fromkeys(name for name in names[:MAX_ORGANIZATIONS] if is_organization(name)))
