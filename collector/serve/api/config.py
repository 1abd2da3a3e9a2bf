"""What the API is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from collector.tls import TlsFiles

if TYPE_CHECKING:
    from collector.config.parts import Endpoint  # the config is built from this


Revenue = Mapping[str, Mapping[str, int]]
"""Organisation -> customer -> what it pays in pico-USD a month."""

TRACE_PLACE = "{trace_id}"
"""What stands for the trace in a link to another tool."""


class Role(IntEnum):
    """What a caller may do; each includes those before it."""

    VIEWER = 1  # read
    EDITOR = 2  # ask for leases, settle them, decide on approvals
    ADMIN = 3  # change rules


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A secret that whoever calls has to show: itself, or its SHA-256 in hex."""

    name: str  # for the audit trail
    secret: str
    role: Role
    organization: str | None = None  # that it may see; None: all
    sha256: str = ""

    @property
    def digest(self) -> bytes:
        """What the digest of a shown secret has to be."""
        return bytes.fromhex(self.sha256) if self.sha256 else sha256(self.secret.encode()).digest()


@dataclass(frozen=True, slots=True)
class JwksUrl:
    """Where an identity provider publishes its keys (RFC 7517)."""

    url: str
    refresh_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class JwtConfig:
    """Which JWTs (RFC 7519) are believed, and what they say. Exactly one source of keys is given."""

    issuer: str
    audience: tuple[str, ...]
    secret: str = ""  # HS256
    public_key_file: Path | None = None  # PEM: RS256 for RSA, ES256 for P-256
    jwks_file: Path | None = None
    jwks_url: JwksUrl | None = None
    leeway_seconds: float = 10.0
    organization_claim: str = "org_id"
    role_claim: str = "role"
    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    """Word of the role claim -> role; without any, the names of the roles themselves."""
    default_role: Role | None = Role.VIEWER
    """Of a JWT that names no known role; None: it is refused."""


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where the API listens and whom it answers. Without tokens and JWTs everybody who reaches it is an admin."""

    endpoint: Endpoint
    tokens: tuple[ApiToken, ...] = ()
    jwt: JwtConfig | None = None
    tls: TlsFiles | None = None
    session_seconds: float = 12 * 3600.0
    time_zone: str = "UTC"
    """Of days, where a request names none; an IANA name."""
    is_given: bool = field(default=True, compare=False)
    """Whether a config asks for it; else a collector whose address is taken goes on without."""
    jaeger: str | None = None
    """Address of a trace in Jaeger's page, with `{trace_id}` in it."""
    revenue: Revenue = field(default_factory=lambda: MappingProxyType({}))

    @property
    def asks_who(self) -> bool:
        """Whether callers have to show who they are."""
        return bool(self.tokens) or self.jwt is not None
